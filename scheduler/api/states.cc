#include <fmt/format.h>

#include <utility>

#include "engine/base/text.h"
#include "proto/json/json.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

Value state_json(const StateRow& row) {
  return ValueMap{{"scope", row.scope},   {"name", row.name},
                  {"value", row.value},   {"version", static_cast<std::int64_t>(row.version)},
                  {"changed_by", row.by}, {"changed_at", to_iso8601(row.at)}};
}

/// "dag:NAME" or "namespace:NAME".
bool is_scope(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  return colon != std::string::npos && (kind == "dag" || kind == "namespace") && is_identifier(text.substr(colon + 1));
}

/// "SCOPE NAME", as the page before told it.
std::pair<std::string, std::string> position(const std::string& after) {
  const std::size_t space = std::min(after.find(' '), after.size());
  return {after.substr(0, space), after.substr(std::min(space + 1, after.size()))};
}

}  // namespace

Answer list_states(Context& context, const Request& request) {
  const auto limit = request.number("limit", 100, 1, 1'000);
  if (!limit) return problem(400, limit.error().message);
  const auto [scope, name] = position(request.parameter("after").value_or(""));
  const auto rows = context.reader.states(scope, name, *limit);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const StateRow& row : *rows) items.push_back(state_json(row));
  const bool more = rows->size() == *limit;
  return json_answer(page_json(std::move(items), more ? Value(rows->back().scope + " " + rows->back().name) : Value()));
}

Answer show_state(Context& context, const Request& request) {
  const auto row = context.reader.state(request.variable("scope"), request.variable("name"));
  return row ? json_answer(state_json(*row)) : problem(row.error());
}

void set_state(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"value", "any"}, {"expected_version", "integer"}});
  if (!body) return respond(problem(400, body.error().message));
  const Value* value = body->find("value");
  if (value == nullptr) return respond(problem(400, "the body needs a 'value'"));
  if (!is_scope(request.variable("scope")) || !is_identifier(request.variable("name"))) {
    return respond(problem(422, "a state is called /api/v1/state/dag:NAME/STATE, or namespace:NAME/STATE"));
  }
  if (to_json(*value).size() > kStateBytesMax) {
    return respond(problem(422, fmt::format("a state has at most {} bytes as JSON", kStateBytesMax)));
  }
  StateSetRequested event{.ticket = {},
                          .scope = request.variable("scope"),
                          .name = request.variable("name"),
                          .value = *value,
                          .expect_version = {},
                          .requested_by = request.principal,
                          .source = request.source};
  const Value* expected = body->find("expected_version");
  if (expected != nullptr && !expected->is_null()) {
    if (*expected->as_int() < 0) return respond(problem(422, "'expected_version' is 0 or more"));
    event.expect_version = static_cast<std::uint64_t>(*expected->as_int());
  }
  context.backend.request(std::move(event), answer_with(std::move(respond)));
}

}  // namespace chappe::api
