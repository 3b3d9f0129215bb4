// Runs that events start. An event becomes durable with what it tells of, once for each DAG that listens; and it is
// taken in the transaction that creates its run: so neither a crash nor a DAG that is busy loses or repeats one.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// What the parameters of a trigger may name.
class EventScope : public expr::Scope {
 public:
  EventScope(const Value& detail, const Dag& dag) : detail_(detail), dag_(dag) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    return path[0] == "event" ? std::optional(detail_) : std::nullopt;
  }
  const calendar::Zone& zone() const override { return *dag_.zone; }

 private:
  const Value& detail_;
  const Dag& dag_;
};

/// An event that comes from a run: it is about the same time.
TriggerEventRow event_of(const LiveRun& run, EventSource source) {
  TriggerEventRow event{.source = std::move(source)};
  event.logical_time = run.row.logical_time;
  event.interval_start = run.row.interval_start;
  event.interval_end = run.row.interval_end;
  return event;
}

/// Of the first one nothing needs to be told.
void add_chain(TriggerEventRow& event, std::int64_t chain) {
  if (chain > 1) event.detail.as_map()->emplace_back("chain", chain);
}

using Events = std::map<EventSource, std::deque<TriggerEventRow>>;

TriggerCondition::Has has_events(const Events& events) {
  return [&events](const EventSource& source) { return events.contains(source); };
}

/// Of the sources that one run takes its events from, in `each` mode: of alternatives the one that came first.
void choose_sources(const TriggerCondition& condition, const Events& events, std::vector<EventSource>& into) {
  using Kind = TriggerCondition::Kind;
  if (condition.kind == Kind::kSource) return into.push_back(condition.source);
  const auto has = has_events(events);
  std::vector<EventSource> first;
  const auto oldest = [&](const std::vector<EventSource>& sources) {
    EventId id = events.at(sources.front()).front().id;
    for (const EventSource& source : sources) id = std::min(id, events.at(source).front().id);
    return id;
  };
  for (const TriggerCondition& part : condition.parts) {
    if (condition.kind == Kind::kAll) {
      choose_sources(part, events, into);
    } else if (part.holds(has)) {
      std::vector<EventSource> chosen;
      choose_sources(part, events, chosen);
      if (first.empty() || oldest(chosen) < oldest(first)) first = std::move(chosen);
    }
  }
  into.insert(into.end(), first.begin(), first.end());
}

/// The events that one run takes, oldest first; none where the trigger does not hold.
std::vector<TriggerEventRow> take_events(const TriggerSpec& trigger, Events& events) {
  std::vector<TriggerEventRow> out;
  if (!trigger.when.holds(has_events(events))) return out;
  std::vector<EventSource> sources;
  if (trigger.mode == TriggerMode::kEach) {
    choose_sources(trigger.when, events, sources);
  } else {
    trigger.when.collect(sources);
  }
  for (const EventSource& source : sources) {
    const auto found = events.find(source);
    if (found == events.end()) continue;
    std::deque<TriggerEventRow>& waiting = found->second;
    const auto count = trigger.mode == TriggerMode::kEach ? 1 : static_cast<std::ptrdiff_t>(waiting.size());
    std::move(waiting.begin(), waiting.begin() + count, std::back_inserter(out));
    waiting.erase(waiting.begin(), waiting.begin() + count);
    if (waiting.empty()) events.erase(found);
  }
  std::ranges::sort(out, {}, &TriggerEventRow::id);
  return out;
}

/// Where several events give a parameter, the newest one's value counts.
Value merged_params(const std::vector<TriggerEventRow>& events) {
  ValueMap out;
  for (const TriggerEventRow& event : events) {
    for (const auto& [name, value] : *event.params.as_map()) {
      const auto known = std::ranges::find(out, name, &ValueMap::value_type::first);
      if (known == out.end()) {
        out.emplace_back(name, value);
      } else {
        known->second = value;
      }
    }
  }
  return out;
}

}  // namespace

// ---- Who listens to what ----

void EngineState::listen(const Deployment& deployment) {
  if (deployment.dag == nullptr) return;
  const std::vector<TriggerSpec>& triggers = deployment.dag->triggers;
  for (std::uint32_t i = 0; i < triggers.size(); ++i) {
    std::vector<EventSource> sources;
    triggers[i].when.collect(sources);
    for (const EventSource& source : sources) {
      consumers[source][deployment.dag->name] = i;
      if (source.kind == EventSource::Kind::kObject) order_listing(source);
    }
  }
}

void EngineState::stop_listening(const Deployment& deployment) {
  if (deployment.dag == nullptr) return;
  for (const TriggerSpec& trigger : deployment.dag->triggers) {
    std::vector<EventSource> sources;
    trigger.when.collect(sources);
    for (const EventSource& source : sources) {
      const auto listeners = consumers.find(source);
      listeners->second.erase(deployment.dag->name);
      if (listeners->second.empty()) consumers.erase(listeners);
      if (source.kind == EventSource::Kind::kObject) order_listing(source);
    }
  }
}

/// Those that no trigger of the DAG is about any more.
void EngineState::forget_unheard_events(Deployment& deployment) {
  std::vector<EventSource> heard;
  if (deployment.dag != nullptr) {
    for (const TriggerSpec& trigger : deployment.dag->triggers) trigger.when.collect(heard);
  }
  ValueList names;
  for (const EventSource& source : heard) names.emplace_back(to_text(source));
  deployment.row.sources = std::move(names);
  std::vector<EventSource> unheard;
  for (const auto& [source, events] : deployment.events) {
    if (std::ranges::find(heard, source) == heard.end()) unheard.push_back(source);
  }
  for (const EventSource& source : unheard) {
    while (deployment.events.contains(source)) give_up_event(deployment, source);
  }
  forget_sightings(deployment, heard);
  note_waits(deployment);
  line_up(deployment);  // What it has may be all that it needs by now.
}

/// What its triggers still need. The row is the caller's to save.
void EngineState::note_waits(Deployment& deployment) {
  std::string& text = deployment.row.waits_for;
  text.clear();
  if (deployment.dag == nullptr) return;
  const auto has = has_events(deployment.events);
  for (const TriggerSpec& trigger : deployment.dag->triggers) {
    const std::string missing = trigger.when.missing(has);
    if (missing.empty()) {
      text.clear();
      return;
    }
    text += (text.empty() ? "" : ", or ") + missing;
  }
  std::string there;
  for (const auto& [source, events] : deployment.events) {
    there += (there.empty() ? "" : ", ") + to_text(source);
    if (events.size() > 1) there += fmt::format(" ({} times)", events.size());
  }
  if (!there.empty()) text += "; there is " + there;
  for (const TriggerSpec& trigger : deployment.dag->triggers) {
    if (trigger.kind() != EventSource::Kind::kObject) continue;
    const std::string& name = trigger.when.source.name;
    const auto look = looks.find({LookTarget::Kind::kListing, name, 0});
    if (look != looks.end() && !look->second.told.empty()) {
      text += fmt::format("; last look at {}: {}", name, look->second.told);
    }
  }
}

// ---- Events come ----

/// Cost: O(DAGs that listen to it).
void EngineState::tell_triggers(const TriggerEventRow& event, std::optional<RunState> end) {
  const auto listeners = consumers.find(event.source);
  if (listeners == consumers.end() || CHAPPE_MUTANT(kEventsTellNobody)) return;
  for (const auto& [dag, position] : listeners->second) {
    Deployment& deployment = deployments.at(dag);
    const TriggerSpec& trigger = deployment.dag->triggers[position];
    if (!end || trigger.concerns(*end)) keep_event(deployment, trigger, event);
  }
}

void EngineState::tell_triggers_of_asset(const LiveRun& run, const AssetVersion& version) {
  std::set<std::string> names = {version.uri, version.name};
  names.erase("");
  const std::int64_t chain = chain_of(run) + 1;
  for (const std::string& name : names) {
    TriggerEventRow event = event_of(run, {EventSource::Kind::kAsset, name});
    if (!may_start_more(run, event.source, chain)) continue;
    event.key = std::to_string(version.id.value);
    event.detail = ValueMap{{"kind", "asset"},
                            {"asset", version.uri},
                            {"version", static_cast<std::int64_t>(version.id.value)},
                            {"published_at", to_iso8601(version.published_at)},
                            {"dag", run.row.dag},
                            {"run", run.row.id.text()}};
    add_chain(event, chain);
    tell_triggers(event, std::nullopt);
  }
}

void EngineState::tell_triggers_of_end(const LiveRun& run) {
  TriggerEventRow event = event_of(run, {EventSource::Kind::kDag, run.row.dag});
  const std::int64_t chain = chain_of(run) + 1;
  if (!may_start_more(run, event.source, chain)) return;
  event.key = fmt::format("{} {}", run.row.id.text(), run.row.generation);
  event.detail = ValueMap{{"kind", "dag"},
                          {"dag", run.row.dag},
                          {"run", run.row.id.text()},
                          {"state", name_of(run.row.state)},
                          {"logical_time", to_iso8601(run.row.logical_time)}};
  add_chain(event, chain);
  tell_triggers(event, run.row.state);
}

/// What cannot be kept is told: nothing is lost without a word. No id: it gives no parameters.
EventId EngineState::keep_event(Deployment& deployment, const TriggerSpec& trigger, TriggerEventRow event) {
  event.id = {++last_event.value};
  event.dag = deployment.row.dag;
  event.at = now.wall;
  auto params = evaluate(trigger.params, EventScope(event.detail, *deployment.dag));
  if (!params) {
    deployment.row.message = fmt::format("{} started no run: {}", to_text(event.source), params.error().message);
    save(deployment);
    return {};
  }
  event.params = Value(std::move(*params));
  const auto waiting = deployment.events.find(event.source);
  if (waiting != deployment.events.end() && waiting->second.size() >= config.events_max) {
    deployment.row.message = fmt::format("more than {} events of {} wait for a run; the oldest was given up",
                                         config.events_max, to_text(event.source));
    give_up_event(deployment, event.source);
  }
  const EventId id = event.id;
  out.persist.events.push_back(event);
  deployment.events[event.source].push_back(std::move(event));
  line_up(deployment);
  note_waits(deployment);
  save(deployment);
  return id;
}

/// The oldest one of the source.
void EngineState::give_up_event(Deployment& deployment, const EventSource& source) {
  const auto waiting = deployment.events.find(source);
  out.persist.taken.push_back({waiting->second.front().id, {}});
  waiting->second.pop_front();
  if (waiting->second.empty()) deployment.events.erase(waiting);
}

/// After a restart. The events of a DAG whose text does not load any more wait for a better one.
void EngineState::adopt_events(std::vector<TriggerEventRow> stored) {
  for (TriggerEventRow& event : stored) {
    if (CHAPPE_MUTANT(kRestoreForgetsEvents)) break;
    Deployment& deployment = deployments.at(event.dag);
    deployment.events[event.source].push_back(std::move(event));
    line_up(deployment);
  }
}

// ---- Runs begin ----

/// Somebody looks whether its triggers hold.
void EngineState::line_up(Deployment& deployment) {
  if (deployment.events.empty() || std::exchange(deployment.events_in_line, true)) return;
  event_line.push_back(deployment.row.dag);
}

/// Each DAG makes one run, and then it is another's turn.
void EngineState::run_triggers() {
  for (std::uint32_t left = config.fires_max; left > 0 && !event_line.empty(); --left) {
    if (runs.size() >= config.runs_max) return;
    Deployment& deployment = deployments.at(event_line.front());
    event_line.pop_front();
    InHand::take(config.in_hand, deployment.row.dag);
    deployment.events_in_line = false;
    if (fire_trigger(deployment)) line_up(deployment);
  }
}

/// Events wait as long as its DAG has no place for a run: the run that ends lines it up again. Of a DAG with a group
/// only the run that they make knows which one that is: it waits, and they do when too many of its like wait already.
/// False: nothing came.
bool EngineState::fire_trigger(Deployment& deployment) {
  if (deployment.dag == nullptr || deployment.row.paused) return false;
  const Dag& dag = *deployment.dag;
  const bool has_group = !dag.group.text().empty();
  const bool is_full = has_group ? hold(deployment) : !has_place(dag, RunRow{.dag = dag.name});
  if (is_full && dag.on_limit != OnLimit::kReplace) return false;
  for (const TriggerSpec& trigger : dag.triggers) {
    std::vector<TriggerEventRow> taken = take_events(trigger, deployment.events);
    if (taken.empty()) continue;
    start_triggered_run(deployment, trigger, std::move(taken));
    return true;
  }
  return false;
}

void EngineState::start_triggered_run(Deployment& deployment, const TriggerSpec& trigger,
                                      std::vector<TriggerEventRow> taken) {
  const TriggerEventRow& newest = taken.back();
  RunRequested wanted{.id = make_run_id(), .dag = deployment.dag, .trigger = std::string(name_of(trigger.kind()))};
  wanted.requested_by = "trigger";
  wanted.logical_time = newest.logical_time;
  wanted.interval_start = newest.interval_start;
  wanted.interval_end = newest.interval_end;
  for (const TriggerEventRow& event : taken) wanted.events.push_back(event.detail);
  auto params = resolve_params(deployment.dag->params, merged_params(taken));
  if (params) wanted.params = std::move(*params);
  auto planned = params ? plan_run(wanted) : fail(std::move(params.error()));
  deployment.row.message.clear();
  RunSeq run;
  if (planned) {
    run = add_run(wanted, *std::move(planned)).row.seq;
  } else {
    deployment.row.message = fmt::format("{} started no run: {}", trigger.when.text(), planned.error().message);
  }
  for (const TriggerEventRow& event : taken) {
    if (!CHAPPE_MUTANT(kEventsAreTakenTwice)) out.persist.taken.push_back({event.id, run});
    read_on(deployment, event.source);
  }
  note_waits(deployment);
  save(deployment);
}

}  // namespace chappe
