#include "dags/loader/loader.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"
#include "scheduler/api/routes.h"

namespace chappe::api {

void list_workers(Context& context, const Request&, Respond respond) {
  context.backend.workers([respond = std::move(respond)](const Result<Value>& told) {
    respond(told ? json_answer(*told) : problem(told.error()));
  });
}

Answer list_audit(Context& context, const Request& request) {
  const auto limit = request.number("limit", 100, 1, 1'000);
  if (!limit) return problem(400, limit.error().message);
  const auto rows = context.reader.audit(*limit);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const AuditRow& row : *rows) {
    items.emplace_back(ValueMap{{"at", time_json(row.at)},
                                {"principal", row.principal},
                                {"verb", row.verb},
                                {"object", row.object},
                                {"detail", row.detail}});
  }
  return json_answer(page_json(std::move(items), Value()));
}

Answer show_schema() { return {.content_type = "application/schema+json", .body = std::string(dag_schema())}; }

Answer show_openapi() { return {.content_type = "application/yaml", .body = std::string(openapi_description())}; }

Answer health() { return json_answer(ValueMap{{"status", "ok"}}); }

Answer readiness(Context& context, const Request&) {
  const auto runs = context.reader.runs({.limit = 1});
  if (!runs) return problem(503, "the metadata store cannot be read");
  return json_answer(ValueMap{{"status", "ready"}});
}

}  // namespace chappe::api
