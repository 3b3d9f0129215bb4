/// \file
/// What tasks say of each other: circles, outputs that exist and are there, joins below a branch.
#pragma once

#include <string>
#include <vector>

#include "dags/loader/names.h"
#include "dags/loader/task_reader.h"
#include "engine/model/dag.h"

namespace chappe {

/// Complains of every mistake between tasks. All tasks of `dag` have been read.
void check_references(Complaints& complaints, const Dag& dag, const Names& names, const TaskReader& tasks);

/// Complains of outputs and tasks that expressions name and that there are not, wherever the expressions stand.
void check_mentions(Complaints& complaints, const Dag& dag, const Names& names);

/// The values and metrics that the task may leave.
std::vector<std::string> names_of_values(const Task& task);
/// Null pointer where the task has no output artifact of that name.
const OutputArtifact* find_artifact(const Task& task, const std::string& name);

}  // namespace chappe
