// Calls of webhooks: each delivery is one event, and whoever calls is told of the run, after the commit of both.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value(text); }

TriggerEventRow event_of(const WebhookCalled& call, EventSource source) {
  TriggerEventRow event{.source = std::move(source), .key = call.delivery};
  event.detail = ValueMap{{"kind", "webhook"},
                          {"webhook", call.webhook},
                          {"delivery", text_or_null(call.delivery)},
                          {"type", text_or_null(call.type)},
                          {"called_by", call.requested_by},
                          {"body", call.body}};
  return event;
}

}  // namespace

/// Of those that wait, and those of this step; of the rest the store knows, and was asked before.
const TriggerEventRow* EngineState::known_delivery(const Deployment& deployment, const EventSource& source,
                                                   const std::string& delivery) const {
  if (delivery.empty() || CHAPPE_MUTANT(kDeliveriesAreAllNew)) return nullptr;
  const auto is_it = [&](const TriggerEventRow& event) {
    return event.dag == deployment.row.dag && event.source == source && event.key == delivery;
  };
  const auto now_kept = std::ranges::find_if(out.persist.events, is_it);
  if (now_kept != out.persist.events.end()) return &*now_kept;
  const auto waiting = deployment.events.find(source);
  if (waiting == deployment.events.end()) return nullptr;
  const auto found = std::ranges::find_if(waiting->second, is_it);
  return found == waiting->second.end() ? nullptr : &*found;
}

void EngineState::on(const WebhookCalled& event) {
  const EventSource source{EventSource::Kind::kHook, event.webhook};
  Deployment* deployment = deployed(event.dag);
  const auto listeners = consumers.find(source);
  const bool listens = listeners != consumers.end() && listeners->second.contains(event.dag);
  if (deployment == nullptr || !listens) {
    return reply(event.ticket, fail(ErrorCode::kNotFound,
                                    fmt::format("no deployed DAG '{}' has a webhook '{}'", event.dag, event.webhook)));
  }
  if (const TriggerEventRow* known = known_delivery(*deployment, source, event.delivery)) {
    return reply(event.ticket, told_of_delivery(*known, std::nullopt));
  }
  const auto waiting = deployment->events.find(source);
  if (waiting != deployment->events.end() && waiting->second.size() >= config.events_max) {
    return reply(event.ticket, fail(ErrorCode::kUnavailable, fmt::format("{} calls wait for a run of DAG {} already",
                                                                         config.events_max, event.dag)));
  }
  const TriggerSpec& trigger = deployment->dag->triggers[listeners->second.at(event.dag)];
  const EventId kept = keep_event(*deployment, trigger, event_of(event, source));
  if (!kept) return reply(event.ticket, fail(ErrorCode::kInvalidInput, deployment->row.message));
  hook_calls.push_back({event.ticket, event.dag, kept});
}

/// Once triggers have been looked at: most calls have their run by then.
void EngineState::answer_webhooks() {
  for (const WebhookCall& call : std::exchange(hook_calls, {})) {
    reply(call.ticket, told_of_event(deployments.at(call.dag), call.event));
  }
}

Result<Value> EngineState::told_of_event(const Deployment& deployment, EventId event) const {
  const std::vector<TriggerEventTaken>& taken = out.persist.taken;
  const auto found = std::ranges::find(taken, event, &TriggerEventTaken::id);
  if (found != taken.end() && !found->run) return fail(ErrorCode::kInvalidInput, deployment.row.message);
  ValueMap told{{"state", found == taken.end() ? "waiting" : "started"},
                {"event", static_cast<std::int64_t>(event.value)},
                {"run", Value()}};
  if (found == taken.end()) return Value(std::move(told));
  const auto run = std::ranges::find(out.persist.runs, found->run, &RunRow::seq);
  told.back().second = Value(run->id.text());
  return Value(std::move(told));
}

Value told_of_delivery(const TriggerEventRow& event, const std::optional<RunId>& run) {
  return ValueMap{{"state", "duplicate"},
                  {"event", static_cast<std::int64_t>(event.id.value)},
                  {"run", run ? Value(run->text()) : Value()}};
}

}  // namespace chappe
