#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

/// In rows that are sorted by DAG; null: none.
template <typename Row>
const Row* find_by_name(const std::vector<Row>& rows, const std::string& dag) {
  const auto found = std::ranges::lower_bound(rows, dag, {}, &Row::dag);
  return found == rows.end() || found->dag != dag ? nullptr : &*found;
}

void add_deployment(ValueMap& item, const DeploymentRow* row) {
  item.emplace_back("deployed", row != nullptr);
  if (row == nullptr) return;
  item.emplace_back("schedule", row->schedule.empty() ? Value() : Value(row->schedule));
  item.emplace_back("triggers", row->triggers.empty() ? Value() : Value(row->triggers));
  item.emplace_back("sources", row->sources.is_null() ? Value(ValueList{}) : row->sources);
  item.emplace_back("waits_for", row->waits_for.empty() ? Value() : Value(row->waits_for));
  item.emplace_back("paused", row->paused);
  item.emplace_back("next_at", time_json(row->next_at));
  item.emplace_back("origin", row->origin.empty() ? Value() : Value(row->origin));
  item.emplace_back("deployed_by", row->deployed_by);
  item.emplace_back("deployed_at", time_json(row->deployed_at));
  item.emplace_back("message", row->message);
}

}  // namespace

std::string no_such_dag(Context& context, const std::string& name) {
  std::vector<std::string> names;
  if (const auto rows = context.reader.dags()) {
    for (const DagVersionRow& row : *rows) names.push_back(row.dag);
  }
  const auto near = nearest(name, names);
  return fmt::format("there is no DAG '{}'{}", name,
                     near ? fmt::format("; did you mean '{}'?", *near) : "; see 'chappe dags'");
}

Answer list_dags(Context& context, const Request&) {
  auto versions = context.reader.dags();
  if (!versions) return problem(versions.error());
  const auto deployments = context.reader.deployments();
  if (!deployments) return problem(deployments.error());
  const auto runs = context.reader.newest_runs();
  if (!runs) return problem(runs.error());
  ValueList items;
  for (DagVersionRow& row : *versions) {
    const auto deployed = find_by_name(*deployments, row.dag);
    const auto run = find_by_name(*runs, row.dag);
    if (deployed != nullptr && deployed->version != row.version) {  // An older one than the newest.
      auto in_use = context.reader.dag_version(deployed->version);
      if (!in_use) return problem(in_use.error());
      row = std::move(*in_use);
    }
    Value item = dag_json(row);
    add_deployment(*item.as_map(), deployed);
    item.as_map()->emplace_back("last_run", run == nullptr ? Value() : run_json(*run));
    items.push_back(std::move(item));
  }
  ValueList complaints;
  for (DagComplaint& each : context.backend.dag_complaints()) {
    complaints.emplace_back(ValueMap{{"file", std::move(each.file)}, {"text", std::move(each.text)}});
  }
  Value page = page_json(std::move(items), Value());
  page.as_map()->emplace_back("complaints", std::move(complaints));
  return json_answer(page);
}

Answer show_dag(Context& context, const Request& request) {
  const std::string& name = request.variable("dag");
  const auto version = request.parameter("version");
  const auto row = version ? context.reader.dag_version(*version) : version_in_use(context, name);
  if (!row && row.error().code == ErrorCode::kNotFound && !version) return problem(404, no_such_dag(context, name));
  if (!row) return problem(row.error());
  if (row->dag != name) return problem(404, "this version belongs to another DAG");
  const auto deployments = context.reader.deployments(name);
  if (!deployments) return problem(deployments.error());
  Value shown = dag_json(*row);
  add_deployment(*shown.as_map(), find_by_name(*deployments, name));
  shown.as_map()->emplace_back("source", row->source);
  return json_answer(shown);
}

}  // namespace chappe::api
