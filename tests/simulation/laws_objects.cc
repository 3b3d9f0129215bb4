// The laws over triggers from outside. Objects: each version that comes after the first look is an event, once, in the
// commit that remembers it. Calls: who was told that one is kept finds it, once.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

std::string text_in(const Value& detail, std::string_view name) { return *detail.find(name)->as_string(); }

bool is_first_look(const Persist& persist, const std::string& dag) {
  return std::any_of(persist.sightings.begin(), persist.sightings.end(), [&](const SightingChange& each) {
    return each.row.dag == dag && each.row.object.empty() && !each.gone;
  });
}

bool wants_existing(const Story& listener) { return listener.dag->triggers.back().existing; }

/// A stamp begins with the ETag.
std::string etag_of(const std::string& stamp) { return stamp.substr(0, stamp.find(' ')); }

}  // namespace

void Laws::check_object_event(const Persist& persist, const TriggerEventRow& row) {
  const Story* story = listener(row.dag);
  if (story == nullptr) return broken(Law::kEvents, "an object is told to a DAG that nobody deployed");
  const std::string key = text_in(row.detail, "key");
  const std::string etag = text_in(row.detail, "etag");
  const bool seen = std::any_of(persist.sightings.begin(), persist.sightings.end(), [&](const SightingChange& each) {
    return each.row.dag == row.dag && each.row.object == key && !each.gone && etag_of(each.row.stamp) == etag;
  });
  if (!seen) broken(Law::kEvents, fmt::format("{} is told to {}, and not remembered", key, row.dag));
  if (!objects_told_.emplace(row.dag, key + " " + etag).second) {
    broken(Law::kEvents, fmt::format("{} {} is told to {} twice", key, etag, row.dag));
  }
  // A scheduler that stood still hears of the second look in the same step.
  if (is_first_look(persist, row.dag) && listings_ == 1 && !wants_existing(*story)) {
    broken(Law::kEvents, fmt::format("{} is news to {} at the first look", key, row.dag));
  }
  world_.saw(Sight::kObjectTold);
}

void Laws::check_sighting(const Persist& persist, const SightingChange& change) {
  const SightingRow& row = change.row;
  if (change.gone) return world_.saw(Sight::kObjectGone);
  if (row.object.empty()) return;
  const Story* story = listener(row.dag);
  if (story == nullptr) return broken(Law::kEvents, "a DAG that nobody deployed looks at objects");
  if (is_first_look(persist, row.dag) && !wants_existing(*story)) return world_.saw(Sight::kObjectWasThere);
  const auto told = std::count_if(persist.events.begin(), persist.events.end(), [&](const TriggerEventRow& event) {
    return event.dag == row.dag && event.source.kind == EventSource::Kind::kObject &&
           text_in(event.detail, "key") == row.object && text_in(event.detail, "etag") == etag_of(row.stamp);
  });
  if (told != 1) broken(Law::kEvents, fmt::format("{} is told to {} {} times", row.object, row.dag, told));
}

void Laws::check_call_event(const TriggerEventRow& row) {
  const std::vector<Request>& requests = world_.people.requests();
  const bool called = std::any_of(requests.begin(), requests.end(), [&](const Request& each) {
    return each.kind == Request::Kind::kCallWebhook && each.answer == row.key &&
           world_.listeners[each.story].dag->name == row.dag;
  });
  if (!called) broken(Law::kEvents, fmt::format("an event of {} is of no call", row.dag));
  world_.saw(Sight::kCallTold);
}

/// That it is there once is the store's own guard.
void Laws::check_called(const Request& request, const RunId& run) {
  const std::string& dag = world_.listeners[request.story].dag->name;
  for (const auto& [id, event] : world_.store.tables().events) {
    const bool is_it = event.dag == dag && event.source.kind == EventSource::Kind::kHook && event.key == request.answer;
    if (!is_it) continue;
    const bool right = run == RunId{} || (event.run && world_.store.tables().runs.at(event.run).id == run);
    if (!right) broken(Law::kRequests, "a call was told of another run than the one that took it");
    return;
  }
  broken(Law::kRequests, fmt::format("a call of {} was told to be kept, and is not", dag));
}

/// What stands there in the end was seen by all who listen.
bool Laws::all_drops_seen() const {
  const std::vector<SeenObject> objects = world_.dropped();
  const auto& sightings = world_.store.tables().sightings;
  return std::all_of(world_.listeners.begin(), world_.listeners.end(), [&](const Story& each) {
    if (each.dag->triggers.empty() || each.dag->triggers.back().kind() != EventSource::Kind::kObject) return true;
    if (!world_.store.tables().deployments.contains(each.dag->name)) return true;
    std::size_t seen = 0;
    for (const auto& [key, stamp] : sightings) seen += std::get<0>(key) == each.dag->name ? 1U : 0U;
    return seen == objects.size() + 1 && std::all_of(objects.begin(), objects.end(), [&](const SeenObject& object) {
             const auto found = sightings.find({each.dag->name, kDrop, object.key});
             return found != sightings.end() && etag_of(found->second) == object.etag;
           });
  });
}

}  // namespace chappe::simulation
