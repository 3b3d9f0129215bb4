/// \file
/// The keys of a DAG apart from its tasks.
#pragma once

#include <optional>

#include "dags/loader/names.h"
#include "dags/loader/reader.h"
#include "engine/model/dag.h"

namespace chappe {

/// Name, owner, limits and the like.
void read_general(Reader& reader, const yaml::Node& root, Dag& dag);
/// Whose places its runs take. Requires: dag.params.
void read_group(Reader& reader, Names& names, const yaml::Node& root, Dag& dag);
/// What its runs publish. Complains of every mistake in it. Requires: `dag` is whole but for it, and free of mistakes.
void read_run_outputs(Reader& reader, const yaml::Node& node, Dag& dag);
/// {max: METRIC} or {min: METRIC}.
std::optional<Select> read_select(Reader& reader, const yaml::Node& node);
/// When it starts by itself. Requires: dag.params.
void read_schedule(Reader& reader, const yaml::Node& root, Dag& dag);
/// What else starts it. Requires: dag.params, dag.name.
void read_triggers(Reader& reader, Names& names, const yaml::Node& root, Dag& dag);
/// Who is told. Requires: dag.owner.
void read_notify(Reader& reader, Dag& dag, const yaml::Node& node);
/// `what`: the key that they stand under, for messages.
std::vector<ParamSpec> read_params(Reader& reader, const yaml::Node& node, std::string_view what = "params");

struct TaskList {
  std::vector<const yaml::Node*> nodes;  ///< In step with dag.tasks.
  std::vector<bool> lists;               ///< In step: it lists the objects that the next one fans out over.
  std::uint32_t inits = 0;               ///< So many of the first ones are `handlers: {init: ...}`.
};
/// Fills dag.tasks with ids, from the list or the map form, and indexes them; `init` comes first, other handlers last.
TaskList read_task_ids(Reader& reader, const yaml::Node& root, Dag& dag);
/// Complains where runs that others depend on would be cancelled for them. Requires: all tasks are read.
void check_limit(Reader& reader, const yaml::Node& root, const Dag& dag);
/// Lets everything wait for `init`, and `exit` for the other handlers. Requires: all tasks are read.
void join_handlers(const TaskList& list, Dag& dag);

}  // namespace chappe
