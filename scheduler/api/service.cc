#include "dags/loader/loader.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"
#include "scheduler/api/routes.h"

namespace chappe::api {
namespace {

constexpr std::size_t kVerifiedRowsMax = 100'000;  // A second's work at most.

}  // namespace

void list_workers(Context& context, const Request&, Respond respond) {
  context.backend.workers([respond = std::move(respond)](const Result<Value>& told) {
    respond(told ? json_answer(*told) : problem(told.error()));
  });
}

Answer list_audit(Context& context, const Request& request) {
  const auto limit = request.number("limit", 100, 1, 1'000);
  if (!limit) return problem(400, limit.error().message);
  const auto before = request.number("after", 0, 1, INT64_MAX);
  if (!before) return problem(400, before.error().message);
  const auto at = request.time_range();
  if (!at) return problem(400, at.error().message);
  const auto rows = context.reader.audit(*limit, *before, *at);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const AuditEntry& entry : *rows) items.push_back(audit_json(entry));
  const bool more = rows->size() == *limit;
  return json_answer(page_json(std::move(items), more ? Value(std::to_string(rows->back().number)) : Value()));
}

Answer verify_audit(Context& context, const Request& request) {
  const auto after = request.number("after", 0, 0, INT64_MAX);
  if (!after) return problem(400, after.error().message);
  const auto verdict = context.reader.verify_audit(*after, kVerifiedRowsMax);
  if (!verdict) return problem(verdict.error());
  const bool broken = verdict->broken != 0;
  const bool more = !broken && verdict->rows == kVerifiedRowsMax;
  return json_answer(ValueMap{{"rows", static_cast<std::int64_t>(verdict->rows)},
                              {"head", verdict->head},
                              {"broken", broken ? Value(static_cast<std::int64_t>(verdict->broken)) : Value()},
                              {"why", broken ? Value(verdict->why) : Value()},
                              {"next", more ? Value(std::to_string(verdict->last)) : Value()}});
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
