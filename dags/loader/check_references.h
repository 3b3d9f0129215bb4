/// \file
/// What tasks say of each other: circles, outputs that exist and are there, joins below a branch.
#pragma once

#include "dags/loader/names.h"
#include "dags/loader/task_reader.h"
#include "engine/model/dag.h"

namespace chappe {

/// Complains of every mistake between tasks. All tasks of `dag` have been read.
void check_references(Complaints& complaints, const Dag& dag, const Names& names, const TaskReader& tasks);

}  // namespace chappe
