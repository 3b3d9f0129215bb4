// The law of results that are used again, read from what becomes durable.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using Things = std::multiset<std::tuple<std::string, std::string, std::string>>;

Things inputs_of(const std::vector<InputRow>& rows, AttemptId attempt) {
  Things all;
  for (const InputRow& row : rows) {
    if (row.attempt == attempt) all.emplace(row.object.name, row.object.path, row.object.sha256);
  }
  return all;
}

Things artifacts_of(const std::vector<ArtifactRow>& rows, AttemptId attempt) {
  Things all;
  for (const ArtifactRow& row : rows) {
    if (row.attempt == attempt) all.emplace(row.object.name, row.object.key, row.object.sha256);
  }
  return all;
}

Things values_of(const std::vector<ValueRow>& rows, AttemptId attempt) {
  Things all;
  for (const ValueRow& row : rows) {
    if (row.attempt == attempt) all.emplace(row.value.name, to_json(row.value.value), "");
  }
  return all;
}

}  // namespace

void Laws::note_cached(const Persist& persist) {
  cached_now_.clear();
  for (const CacheUseRow& use : persist.cache_uses) {
    if (use.from) cached_now_.insert(use.attempt);
    if (!use.from && !use.told.empty()) world_.saw(Sight::kResultNotFound);
  }
}

/// It has the outputs of an attempt that won, was made of the same, and is not too old; and its objects are there.
void Laws::check_cached(const Persist& persist, const CacheUseRow& use) {
  if (!use.from) return;
  world_.saw(Sight::kResultUsedAgain);
  const auto& tables = world_.store.tables();
  const auto wrong = [&](const char* what) { broken(Law::kCached, fmt::format("{} {}", name(use.key), what)); };
  if (!won_.contains(use.from)) return wrong("has the result of an attempt that did not win");
  if (inputs_of(persist.inputs, use.attempt) != inputs_of(tables.inputs, use.from)) wrong("was made of other inputs");
  if (artifacts_of(persist.artifacts, use.attempt) != artifacts_of(tables.artifacts, use.from)) {
    wrong("has other artifacts than the attempt whose result it has");
  }
  if (values_of(persist.values, use.attempt) != values_of(tables.values, use.from)) {
    wrong("has other values than the attempt whose result it has");
  }
  const auto& ttl = task_of(runs_.at(use.key.run), use.key).cache->ttl;
  const auto entry = tables.cache_entries.find({use.cache.scope, use.cache.sha256});
  const bool old = ttl && entry != tables.cache_entries.end() && world_.wall() - entry->second.made_at > *ttl;
  if (old && !world_.plan.knows(Fault::kWallJump)) wrong("has a result that is older than its ttl");
}

void Laws::commit_cached_artifact(const ArtifactRow& row) {
  const auto source = committed_objects_.find(row.object.key);
  if (source == committed_objects_.end() || source->second != row.made_by_attempt) {
    broken(Law::kCached, name(row.key) + " has an object that the attempt it names did not make");
  }
  const auto& objects = world_.objects.objects();
  const auto object = objects.find(row.object.key);
  if (object == objects.end() || object->second.sha256 != row.object.sha256) {
    broken(Law::kCached, row.object.key + " is used again, and is not there");
  }
}

}  // namespace chappe::simulation
