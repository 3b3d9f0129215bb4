// Values that outlive runs. An attempt is told them when it is assigned; what it leaves becomes the state in the
// transaction of its success. Whoever began before the last change knows an earlier value, and may not change it:
// attempt ids only grow, so the newest one at a change says who that is, also after a restart.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"
#include "engine/run/states.h"

namespace chappe {
namespace {

const Value* value_called(std::span<const NamedValue> values, std::string_view name) {
  const auto found = std::ranges::find(values, name, &NamedValue::name);
  return found == values.end() ? nullptr : &found->value;
}

const std::vector<StateUse>& states_of(const LiveRun& run, std::uint32_t index) {
  static const std::vector<StateUse> kNone;
  const Task& task = run.task(run.instances->task_of(index));
  return task.work == nullptr ? kNone : task.work->states;
}

/// A run for a stretch of the past is about that: it must not move a cursor back.
bool writes(const LiveRun& run, const StateUse& use) { return !use.write.empty() && !run.row.backfill; }

}  // namespace

std::string state_scope(const Dag& dag, StateUse::Scope scope) {
  return scope == StateUse::Scope::kDag ? "dag:" + dag.name : "namespace:" + dag.namespace_name;
}

const StateRow* EngineState::find_state(const Dag& dag, const StateUse& use) const {
  const auto found = states.find({state_scope(dag, use.scope), use.name});
  return found == states.end() ? nullptr : &found->second;
}

std::optional<Value> state_value(const EngineState& state, const Dag& dag, const StateUse& use) {
  const StateRow* row = state.find_state(dag, use);
  const Value& value = row == nullptr || row->value.is_null() ? use.default_value : row->value;
  return value.is_null() ? std::nullopt : std::optional(value);
}

/// Whether the attempt may leave what it leaves. Errors: kConflict; kInvalidInput: a value is too large for a state.
Result<void> EngineState::check_states(const LiveRun& run, std::uint32_t index, AttemptId attempt,
                                       const AttemptOutputs& outputs) const {
  if (CHAPPE_MUTANT(kStatesAreNotFenced)) return {};
  for (const StateUse& use : states_of(run, index)) {
    if (!writes(run, use)) continue;
    if (value_called(outputs.values, use.write) == nullptr) {
      const std::string object = value_object_name(use.write);
      if (std::ranges::find(outputs.objects, object, &OutputObject::name) == outputs.objects.end()) continue;
      return fail(ErrorCode::kInvalidInput, fmt::format("state '{}' holds {} KiB, and value '{}' is larger", use.name,
                                                        kInlineValueMax >> 10, use.write));
    }
    if (promised_states.contains({state_scope(*run.dag, use.scope), use.name})) {
      return fail(ErrorCode::kConflict,
                  fmt::format("state '{}' is changed by another attempt, which is publishing its assets", use.name));
    }
    const StateRow* row = find_state(*run.dag, use);
    if (row == nullptr || attempt > row->fence) continue;
    return fail(ErrorCode::kConflict,
                fmt::format("state '{}' was changed while the attempt ran: it has version {} now, "
                            "by {}",
                            use.name, row->version, row->by));
  }
  return {};
}

/// Requires: check_states() says yes.
void EngineState::write_states(const LiveRun& run, std::uint32_t index, AttemptId attempt,
                               std::span<const NamedValue> values) {
  for (const StateUse& use : states_of(run, index)) {
    const Value* value = value_called(values, use.write);
    if (!writes(run, use) || value == nullptr || CHAPPE_MUTANT(kStatesAreNotWritten)) continue;
    const std::string scope = state_scope(*run.dag, use.scope);
    StateRow& row = states[{scope, use.name}];
    row = {.scope = scope, .name = use.name, .value = *value, .version = row.version + 1, .fence = newest_attempt()};
    row.by_task = {run.row.seq, index};
    row.by_attempt = attempt;
    row.by = fmt::format("run {} {}", run.row.id.text(), run.instances->name_of(index));
    row.at = now.wall;
    out.persist.states.push_back(row);
  }
}

/// Requires: check_states() said yes.
void EngineState::promise_states(const LiveRun& run, std::uint32_t index, AttemptId attempt,
                                 std::span<const NamedValue> values) {
  for (const StateUse& use : states_of(run, index)) {
    if (!writes(run, use) || value_called(values, use.write) == nullptr) continue;
    promised_states[{state_scope(*run.dag, use.scope), use.name}] = attempt;
  }
}

void EngineState::release_states(AttemptId attempt) {
  std::erase_if(promised_states, [&](const auto& each) { return each.second == attempt; });
}

void EngineState::on(const StateSetRequested& event) {
  if (promised_states.contains({event.scope, event.name})) {
    return reply(event.ticket, fail(ErrorCode::kConflict,
                                    fmt::format("state '{}' of {} is about to change: an attempt that moves it is "
                                                "publishing its assets; ask again",
                                                event.name, event.scope)));
  }
  const auto known = states.find({event.scope, event.name});
  const std::uint64_t version = known == states.end() ? 0 : known->second.version;
  if (event.expect_version && *event.expect_version != version) {
    return reply(event.ticket,
                 fail(ErrorCode::kConflict, fmt::format("state '{}' of {} has version {}, not {}", event.name,
                                                        event.scope, version, *event.expect_version)));
  }
  if (known == states.end() && states.size() >= config.states_max) {
    return reply(event.ticket, fail(ErrorCode::kConflict, fmt::format("there are {} states already", states.size())));
  }
  const Value before = known == states.end() ? Value() : known->second.value;
  StateRow& row = states[{event.scope, event.name}];
  row = {.scope = event.scope, .name = event.name, .value = event.value, .version = version + 1};
  row.fence = newest_attempt();
  row.by = event.requested_by;
  row.at = now.wall;
  out.persist.states.push_back(row);
  audit({event.requested_by, event.source}, "state.set", fmt::format("state {} {}", event.scope, event.name),
        to_json(
            ValueMap{{"before", before}, {"after", event.value}, {"version", static_cast<std::int64_t>(row.version)}}));
  reply(event.ticket, Value(ValueMap{{"scope", row.scope},
                                     {"name", row.name},
                                     {"value", row.value},
                                     {"version", static_cast<std::int64_t>(row.version)}}));
}

}  // namespace chappe
