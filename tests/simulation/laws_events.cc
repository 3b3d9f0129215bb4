// The laws over events that start runs: each is kept with what it tells of, and taken once.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

std::string event_text(const TriggerEventRow& row) {
  return fmt::format("event {} of {} for {}", row.id.value, to_text(row.source), row.dag);
}

/// The trigger of a listener that is about this; null: none is.
const TriggerSpec* trigger_about(const Story& listener, const EventSource& source) {
  for (const TriggerSpec& trigger : listener.dag->triggers) {
    std::vector<EventSource> sources;
    trigger.when.collect(sources);
    if (std::find(sources.begin(), sources.end(), source) != sources.end()) return &trigger;
  }
  return nullptr;
}

bool must_hear(const TriggerSpec& trigger, RunState end) {
  if (end == RunState::kSuccess) return trigger.on_success;
  return end == RunState::kFailed ? trigger.on_failed : trigger.on_cancelled;
}

bool all_there(const TriggerCondition& condition, const std::set<EventSource>& there) {
  if (condition.kind == TriggerCondition::Kind::kSource) return there.contains(condition.source);
  std::ptrdiff_t parts = 0;
  for (const TriggerCondition& part : condition.parts) parts += all_there(part, there) ? 1 : 0;
  return condition.kind == TriggerCondition::Kind::kAll ? parts == std::ssize(condition.parts) : parts > 0;
}

}  // namespace

const Story* Laws::listener(const std::string& dag) const {
  for (const Story& each : world_.listeners) {
    if (each.dag->name == dag) return &each;
  }
  return nullptr;
}

void Laws::check_events(const Persist& persist) {
  std::vector<Heard> heard;
  for (const AssetPublished& published : persist.published) {
    const AssetVersion& version = versions_.at(published.id);
    for (const std::string& name : std::set<std::string>{version.uri, version.name}) {
      heard.push_back({{EventSource::Kind::kAsset, name}, std::to_string(published.id.value), {}});
    }
  }
  for (const RunChange& change : persist.run_changes) {
    if (!is_final(change.row.state) || is_final(change.expect_state)) continue;
    const std::string key = fmt::format("{} {}", change.row.id.text(), change.row.generation);
    heard.push_back({{EventSource::Kind::kDag, change.row.dag}, key, change.row.state});
  }
  check_all_hear(persist, heard);
  for (const TriggerEventRow& row : persist.events) {
    if (row.source.kind == EventSource::Kind::kObject) {
      check_object_event(persist, row);
    } else if (row.source.kind == EventSource::Kind::kHook) {
      check_call_event(row);
    } else {
      check_event(row, heard);
    }
  }
  for (const SightingChange& change : persist.sightings) check_sighting(persist, change);
  for (const TriggerEventTaken& taken : persist.taken) check_taken(persist, taken);
}

/// Whoever was deployed before is told of all that it listens to.
void Laws::check_all_hear(const Persist& persist, const std::vector<Heard>& heard) {
  for (const Story& listener : world_.listeners) {
    if (!world_.store.tables().deployments.contains(listener.dag->name)) continue;
    for (const Heard& each : heard) {
      const TriggerSpec* trigger = trigger_about(listener, each.source);
      if (trigger == nullptr || (each.end && !must_hear(*trigger, *each.end))) continue;
      const auto kept = std::count_if(persist.events.begin(), persist.events.end(), [&](const TriggerEventRow& row) {
        return row.dag == listener.dag->name && row.source == each.source && row.key == each.key;
      });
      if (kept != 1) broken(Law::kEvents, fmt::format("{} hears {} times of {}", listener.dag->name, kept, each.key));
    }
  }
}

void Laws::check_event(const TriggerEventRow& row, const std::vector<Heard>& heard) {
  const Story* story = listener(row.dag);
  const TriggerSpec* trigger = story == nullptr ? nullptr : trigger_about(*story, row.source);
  const bool happened = std::any_of(heard.begin(), heard.end(), [&](const Heard& each) {
    return each.source == row.source && each.key == row.key &&
           (!each.end || (trigger != nullptr && must_hear(*trigger, *each.end)));
  });
  if (trigger == nullptr || !happened) broken(Law::kEvents, event_text(row) + " tells of nothing");
  if (row.run) broken(Law::kEvents, event_text(row) + " begins as taken");
  world_.saw(row.source.kind == EventSource::Kind::kAsset ? Sight::kAssetTold : Sight::kEndTold);
}

void Laws::check_taken(const Persist& persist, const TriggerEventTaken& taken) {
  const auto& stored = world_.store.tables().events;
  const auto before = stored.find(taken.id);
  if (before != stored.end()) world_.saw(Sight::kEventWaited);
  const auto now = std::find_if(persist.events.begin(), persist.events.end(),
                                [&](const TriggerEventRow& row) { return row.id == taken.id; });
  if (before == stored.end() && now == persist.events.end()) return broken(Law::kEvents, "a run takes no event");
  const TriggerEventRow& row = before != stored.end() ? before->second : *now;
  if (!taken.run) return broken(Law::kEvents, event_text(row) + " is given up");
  const auto run =
      std::find_if(persist.runs.begin(), persist.runs.end(), [&](const RunRow& each) { return each.seq == taken.run; });
  if (run == persist.runs.end() || run->dag != row.dag) {
    broken(Law::kEvents, event_text(row) + " is taken by no run of its DAG that begins with it");
  }
}

/// A run that nobody asked for takes the events that started it.
void Laws::check_triggered(const RunRow& row, const Persist& persist) {
  std::map<EventSource, std::uint32_t> took;
  for (const TriggerEventTaken& taken : persist.taken) {
    if (taken.run != row.seq) continue;
    const auto stored = world_.store.tables().events.find(taken.id);
    const auto now = std::find_if(persist.events.begin(), persist.events.end(),
                                  [&](const TriggerEventRow& each) { return each.id == taken.id; });
    if (stored != world_.store.tables().events.end()) ++took[stored->second.source];
    if (now != persist.events.end()) ++took[now->source];
  }
  if (took.empty()) return broken(Law::kEvents, "a run begins that nobody asked for, and no event started");
  const TriggerSpec* trigger = trigger_about(*listener(row.dag), took.begin()->first);
  std::set<EventSource> sources;
  for (const auto& [source, count] : took) {
    sources.insert(source);
    if (trigger_about(*listener(row.dag), source) != trigger)
      broken(Law::kEvents, "a run takes events of two triggers");
    if (count > 1) world_.saw(Sight::kEventsCollapsed);
    if (count > 1 && trigger->mode == TriggerMode::kEach) broken(Law::kEvents, "a run takes two events, not each one");
  }
  if (!all_there(trigger->when, sources)) broken(Law::kEvents, "a run begins before all that it is to wait for");
}

/// In the end none waits that could start a run.
void Laws::check_no_event_waits() {
  for (const Story& listener : world_.listeners) {
    std::set<EventSource> there;
    for (const auto& [id, row] : world_.store.tables().events) {
      if (row.dag == listener.dag->name && !row.run) there.insert(row.source);
    }
    for (const TriggerSpec& trigger : listener.dag->triggers) {
      if (all_there(trigger.when, there)) broken(Law::kEvents, listener.dag->name + " has events, and does not start");
    }
  }
}

}  // namespace chappe::simulation
