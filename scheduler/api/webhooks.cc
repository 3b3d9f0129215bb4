#include <fmt/format.h>

#include <utility>

#include "engine/base/text.h"
#include "proto/json/json.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::size_t kIdMax = 200;  ///< Bytes of a delivery's id, and of its type.

bool is_id(const std::string& text) { return text.size() <= kIdMax && is_utf8(text); }

Result<Value> read_json(const std::string& body) {
  if (body.empty()) return Value();
  auto parsed = parse_json(body);
  if (!parsed) return fail(std::move(parsed.error()).in("the body is not JSON"));
  return parsed;
}

/// 202 for what is durable now; what was so before is no news.
int status_of(const Value& told) { return text_member(told, "state") == "duplicate" ? 200 : 202; }

}  // namespace

void take_delivery(Context& context, const Request& request, Respond respond) {
  if (!is_id(request.delivery) || !is_id(request.delivery_type)) {
    return respond(
        problem(400, fmt::format("the id and the type of a delivery are UTF-8 of at most {} bytes", kIdMax)));
  }
  auto body = read_json(request.body);
  if (!body) return respond(problem(400, body.error().message));
  context.backend.request(WebhookCalled{.dag = request.variable("dag"),
                                        .webhook = request.variable("webhook"),
                                        .delivery = request.delivery,
                                        .type = request.delivery_type,
                                        .body = *std::move(body),
                                        .requested_by = request.principal,
                                        .source = request.source},
                          [respond = std::move(respond)](const Result<Value>& told) {
                            respond(told ? json_answer(*told, status_of(*told)) : problem(told.error()));
                          });
}

Answer list_webhooks(Context& context, const Request& request) {
  const std::string& name = request.variable("dag");
  const auto deployed = context.reader.deployments(name);
  if (!deployed) return problem(deployed.error());
  if (deployed->empty()) return problem(404, fmt::format("no DAG '{}' is deployed", name));
  const auto dag = context.views.dag(context.reader, deployed->front().version);
  if (!dag) return problem(dag.error());
  ValueList items;
  for (const TriggerSpec& trigger : (*dag)->triggers) {
    if (trigger.kind() != EventSource::Kind::kHook) continue;
    const std::string& webhook = trigger.when.source.name;
    items.emplace_back(ValueMap{{"webhook", webhook},
                                {"path", fmt::format("/api/v1/dags/{}/webhooks/{}", name, webhook)},
                                {"secret", context.webhooks.secret_of(name, webhook)}});
  }
  return json_answer(page_json(std::move(items), Value()));
}

}  // namespace chappe::api
