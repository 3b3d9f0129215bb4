// Triggers on objects. What a look found is compared with what was seen before, and what is news becomes events in the
// transaction that remembers having seen it: a scheduler that is killed in between looks again, and finds the same.
#include <fmt/format.h>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::string_view kLooked = "looked";  ///< The stamp of the first look itself.

LookTarget listing_of(std::string name) { return {LookTarget::Kind::kListing, std::move(name), 0}; }

/// Another content, another writing of the same, another version of the bucket: each is another stamp.
std::string stamp_of(const SeenObject& object) {
  return fmt::format("{} {} {}", object.etag, object.version, object.modified_at.us);
}

TriggerEventRow event_of(const EventSource& source, const SeenObject& object) {
  TriggerEventRow event{.source = source};
  event.detail = ValueMap{{"kind", "s3"},
                          {"uri", object.uri},
                          {"key", object.key},
                          {"etag", object.etag},
                          {"version", object.version.empty() ? Value() : Value(object.version)},
                          {"size", static_cast<std::int64_t>(object.size)},
                          {"modified_at", to_iso8601(object.modified_at)}};
  return event;
}

}  // namespace

/// How often the listing of a source is to be looked at: as the most impatient listener says; none: nobody listens.
std::optional<Duration> EngineState::listing_interval(const EventSource& source) const {
  const auto listeners = consumers.find(source);
  if (listeners == consumers.end()) return std::nullopt;
  std::optional<Duration> every;
  for (const auto& [dag, position] : listeners->second) {
    const Duration wanted = deployments.at(dag).dag->triggers[position].every;
    every = std::min(every.value_or(wanted), wanted);
  }
  return every;
}

/// Whoever listens to the source changed. The order goes out even where the interval stays: a new listener needs a look
/// of its own.
void EngineState::order_listing(const EventSource& source) {
  const LookTarget target = listing_of(source.name);
  looks_changed.insert(target);
  const auto every = listing_interval(source);
  if (every) {
    looks[target].every = *every;
  } else {
    looks.erase(target);
  }
}

/// How many more things would be looked at.
std::size_t EngineState::new_listings(const Dag& dag) const {
  std::vector<EventSource> sources;
  for (const TriggerSpec& trigger : dag.triggers) trigger.when.collect(sources);
  return static_cast<std::size_t>(std::ranges::count_if(sources, [&](const EventSource& source) {
    return source.kind == EventSource::Kind::kObject && !looks.contains(listing_of(source.name));
  }));
}

void EngineState::on_listing(const LookReported& event) {
  const EventSource source{EventSource::Kind::kObject, event.target.name};
  const auto listeners = consumers.find(source);
  if (listeners == consumers.end()) {
    looks_changed.insert(event.target);  // The order to stop has crossed it.
    return;
  }
  looks.at(event.target).told = event.message;
  for (const auto& [dag, position] : listeners->second) {
    Deployment& deployment = deployments.at(dag);
    if (event.what == LookReported::What::kListed) {
      take_in_listing(deployment, deployment.dag->triggers[position], source, event.objects);
    }
    const std::string before = deployment.row.waits_for;
    note_waits(deployment);
    if (deployment.row.waits_for != before) save(deployment);
  }
}

/// Both are in the order of keys. Cost: O(objects + what was seen).
void EngineState::take_in_listing(Deployment& deployment, const TriggerSpec& trigger, const EventSource& source,
                                  const std::vector<SeenObject>& objects) {
  const auto [entry, first] = deployment.seen.try_emplace(source.name);
  auto& seen = entry->second;
  if (first) {
    out.persist.sightings.push_back({{deployment.row.dag, source.name, "", std::string(kLooked)}, "", false});
  }
  const bool is_news = !first || trigger.existing || CHAPPE_MUTANT(kFirstLookIsNews);
  const auto waiting = deployment.events.find(source);
  std::size_t room = config.events_max - (waiting == deployment.events.end() ? 0 : waiting->second.size());
  auto known = seen.begin();
  const auto forget = [&] {
    out.persist.sightings.push_back({{deployment.row.dag, source.name, known->first, ""}, known->second, true});
    known = seen.erase(known);
  };
  for (const SeenObject& object : objects) {
    while (known != seen.end() && known->first < object.key) forget();
    std::string stamp = stamp_of(object);
    const bool there = known != seen.end() && known->first == object.key;
    if (there && (known->second == stamp || CHAPPE_MUTANT(kNewVersionIsNoNews))) {
      ++known;
      continue;
    }
    if (is_news && room == 0) {  // It stays unseen until there is room for its event.
      deployment.unread.insert(source.name);
      if (there) ++known;
      continue;
    }
    const std::string before = there ? known->second : "";
    if (!CHAPPE_MUTANT(kSightingsAreNotKept)) {
      out.persist.sightings.push_back({{deployment.row.dag, source.name, object.key, stamp}, before, false});
    }
    known = std::next(seen.insert_or_assign(known, object.key, std::move(stamp)));
    if (!is_news) continue;
    keep_event(deployment, trigger, event_of(source, object));
    --room;
  }
  while (known != seen.end()) forget();
}

/// There is room for more of its events.
void EngineState::read_on(Deployment& deployment, const EventSource& source) {
  if (source.kind != EventSource::Kind::kObject || deployment.unread.erase(source.name) == 0) return;
  looks_changed.insert(listing_of(source.name));
}

/// The trigger is gone: it would begin anew.
void EngineState::forget_sightings(Deployment& deployment, const std::vector<EventSource>& heard) {
  std::erase_if(deployment.seen, [&](const auto& each) {
    if (std::ranges::find(heard, EventSource{EventSource::Kind::kObject, each.first}) != heard.end()) return false;
    out.persist.sightings.push_back({{deployment.row.dag, each.first, "", ""}, std::string(kLooked), true});
    deployment.unread.erase(each.first);
    return true;
  });
}

/// After a restart.
void EngineState::adopt_sightings(std::vector<SightingRow> stored) {
  for (SightingRow& row : stored) {
    if (CHAPPE_MUTANT(kRestoreForgetsSightings)) break;
    auto& seen = deployments.at(row.dag).seen[row.source];
    if (!row.object.empty()) seen.emplace_hint(seen.end(), std::move(row.object), std::move(row.stamp));
  }
}

}  // namespace chappe
