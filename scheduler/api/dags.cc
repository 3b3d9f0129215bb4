#include <fmt/format.h>

#include "engine/base/text.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

std::string no_such_dag(Context& context, const std::string& name) {
  std::vector<std::string> names;
  if (const auto rows = context.reader.dags()) {
    for (const DagVersionRow& row : *rows) names.push_back(row.dag);
  }
  const auto near = nearest(name, names);
  return fmt::format("there is no DAG '{}'{}", name,
                     near ? fmt::format("; did you mean '{}'?", *near) : "; see 'chappe dags'");
}

}  // namespace

Answer list_dags(Context& context, const Request&) {
  const auto rows = context.reader.dags();
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const DagVersionRow& row : *rows) items.push_back(dag_json(row));
  return json_answer(page_json(std::move(items), Value()));
}

Answer show_dag(Context& context, const Request& request) {
  const auto version = request.parameter("version");
  const auto row =
      version ? context.reader.dag_version(*version) : context.reader.newest_dag_version(request.variable("dag"));
  if (!row && row.error().code == ErrorCode::kNotFound && !version) {
    return problem(404, no_such_dag(context, request.variable("dag")));
  }
  if (!row) return problem(row.error());
  if (row->dag != request.variable("dag")) return problem(404, "this version belongs to another DAG");
  Value shown = dag_json(*row);
  shown.as_map()->emplace_back("source", row->source);
  return json_answer(shown);
}

}  // namespace chappe::api
