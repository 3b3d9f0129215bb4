// Results that are used again. What an instance is made of is known when it is ready: the shell looks whether there is
// such a result with all its objects; until it has said so the instance is scheduled, and stands in no queue. Nothing
// of a lookup is stored before its end, so a restart begins it anew.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "engine/run/cache.h"
#include "engine/run/engine_state.h"
#include "engine/run/resolve.h"

namespace chappe {

/// As enqueue(), but a result is looked up first.
void EngineState::line_up(LiveRun& run, ReadyRange range) { lookup_line.emplace_back(run.row.seq, range); }

/// As many as may be under way at a time. Cost: O(those that begin).
void EngineState::begin_lookups() {
  while (!lookup_line.empty() && lookups_under_way.size() < config.lookups_max) {
    auto& [seq, range] = lookup_line.front();
    LiveRun* run = range.next < range.end ? find_run(seq) : nullptr;
    if (run == nullptr || !run->started()) {
      lookup_line.pop_front();
      continue;
    }
    const std::uint32_t index = range.next++;
    if (run->states[index].state == TaskState::kScheduled) look_up(*run, index);
  }
}

void EngineState::look_up(LiveRun& run, std::uint32_t index) {
  const std::uint32_t position = run.instances->task_of(index);
  const auto work = resolve_work(run, index, *this);
  if (!work) return enqueue(run, position, {index, index + 1});  // It fails when it has its turn, and says why.
  auto key = key_of(run, index, **work);
  if (!key) {
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, key.error().message);
    return judge_due(run);
  }
  run.looked_up[index] = *lookups_under_way.insert(++lookups_made).first;
  CacheLookup lookup{{run.row.seq, index}, lookups_made, std::move(*key), run.task(position).id, ""};
  if (run.instances->mapped(position)) lookup.map_key = run.instances->key_of(index);
  out.lookups.push_back(std::move(lookup));
}

Result<CacheKey> EngineState::key_of(const LiveRun& run, std::uint32_t index, const ResolvedWork& work) const {
  CHAPPE_ASSERT(config.sha256 != nullptr);
  return cache_key(run, index, work, config.sha256);
}

void EngineState::on(const CacheLooked& event) {
  const bool outdated = collector.outdates(event) || pruner.outdates(event);
  if (lookups_under_way.erase(event.serial) > 0) {
    collector.looked_up(lookups_under_way);
    pruner.looked_up();
  }
  LiveRun* run = find_run(event.key.run);
  if (run == nullptr || !run->started()) return;
  const auto found = run->looked_up.find(event.key.index);
  if (found == run->looked_up.end() || found->second != event.serial) return;
  run->looked_up.erase(found);
  if (event.lost) out.persist.cache_drops.push_back(*event.lost);
  if (run->states[event.key.index].state != TaskState::kScheduled) return;
  const auto work = resolve_work(*run, event.key.index, *this);
  auto key = work ? key_of(*run, event.key.index, **work) : Result<CacheKey>(fail(work.error()));
  const bool same = key && (!event.hit || key->sha256 == event.hit->entry.cache.sha256);
  // An asset that it reads has moved on, or the result has been collected.
  if (!same || outdated) return line_up(*run, {event.key.index, event.key.index + 1});
  std::string why = event.hit ? why_not_again(*run, event.key.index, *event.hit) : event.told;
  if (!why.empty()) return go_without_result(*run, event.key.index, std::move(*key), std::move(why));
  use_again(*run, event.key.index, *event.hit, **work);
  judge_due(*run);
}

/// "": the result may be used.
std::string EngineState::why_not_again(const LiveRun& run, std::uint32_t index, const CacheHit& hit) const {
  const auto& ttl = run.task(run.instances->task_of(index)).cache->ttl;
  if (ttl && since(hit.entry.made_at) > *ttl && !CHAPPE_MUTANT(kResultsStayFresh)) {
    return fmt::format("the result of attempt {} is from {}, and its ttl is {}", to_text(hit.entry.attempt),
                       to_iso8601(hit.entry.made_at), to_text(*ttl));
  }
  for (const ArtifactRow& artifact : hit.artifacts) {
    if (!artifact.asset) continue;
    const auto newest = newest_assets.find(artifact.object.asset_uri);
    if (newest != newest_assets.end() && newest->second.id == artifact.asset) continue;
    return fmt::format("'{}' shows another version than attempt {} made", artifact.object.asset_uri,
                       to_text(hit.entry.attempt));
  }
  return "";
}

void EngineState::go_without_result(LiveRun& run, std::uint32_t index, CacheKey key, std::string told) {
  out.persist.cache_uses.push_back({.key = {run.row.seq, index}, .cache = std::move(key), .told = std::move(told)});
  enqueue(run, run.instances->task_of(index), {index, index + 1});
}

/// It ends well with the outputs of the earlier attempt: its objects, under their keys, and its values.
void EngineState::use_again(LiveRun& run, std::uint32_t index, const CacheHit& hit, const ResolvedWork& work) {
  TaskRow row = row_of(run, index);
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.worker = {};
  row.queued_at = now.wall;
  row.end = {.started_at = now.wall, .ended_at = now.wall};
  row.end.message =
      fmt::format("cached: outputs of attempt {} of run {}", to_text(hit.entry.attempt), hit.entry.run.text());
  row.state = TaskState::kSuccess;
  for (const ResolvedInput& input : work.inputs) {
    for (const InputObject& object : input.objects) {
      if (!object.key.empty()) out.persist.inputs.push_back({row.key, row.attempt, object});
    }
  }
  run.forget_outputs(index);
  pruner.note_use(hit.entry.producer.run);
  for (ArtifactRow artifact : hit.artifacts) {
    artifact.made_by = hit.entry.producer;
    artifact.made_by_attempt = hit.entry.attempt;
    artifact.key = row.key;
    artifact.attempt = row.attempt;
    artifact.object.upload.clear();
    artifact.retention = retention_of(run.task(run.instances->task_of(index)), artifact.object.name);
    out.persist.artifacts.push_back(artifact);
    run.keep(index, std::move(artifact));
  }
  InstanceOutputs& kept = run.outputs[index];
  kept.values = hit.values_in_objects;
  for (const NamedValue& value : hit.values) {
    out.persist.values.push_back({row.key, row.attempt, value, now.wall});
    kept.values.push_back(value);
  }
  out.persist.cache_uses.push_back({.key = row.key,
                                    .attempt = row.attempt,
                                    .cache = hit.entry.cache,
                                    .from = hit.entry.attempt,
                                    .told = row.end.message});
  out.persist.cache_entries.push_back(hit.entry);
  out.persist.cache_entries.back().used_at = now.wall;
  settle(run, index, std::move(row));
}

// ---- Results are made ----

/// An attempt is assigned: what it is made of is what was resolved for it, whatever was looked up.
void EngineState::note_making(LiveRun& run, std::uint32_t index, AttemptId attempt, const ResolvedWork& work) {
  auto key = key_of(run, index, work);
  if (!key) return;
  CacheUseRow made{.key = {run.row.seq, index}, .attempt = attempt, .cache = std::move(*key)};
  if (run.row.no_cache) made.told = "the run was asked to use nothing again";
  out.persist.cache_uses.push_back(made);
  run.cached[index] = std::move(made);
}

/// Requires: the attempt of `row` has just won, with everything that it promised.
void EngineState::keep_result(LiveRun& run, const TaskRow& row) {
  const auto made = run.cached.find(row.key.index);
  if (made == run.cached.end() || made->second.attempt != row.attempt) return;
  const std::uint32_t position = run.instances->task_of(row.key.index);
  CacheEntryRow entry{.cache = std::move(made->second.cache), .task = run.task(position).id, .run = run.row.id};
  if (run.instances->mapped(position)) entry.map_key = run.instances->key_of(row.key.index);
  entry.producer = row.key;
  entry.attempt = row.attempt;
  entry.made_at = entry.used_at = now.wall;
  run.cached.erase(made);
  out.persist.cache_entries.push_back(std::move(entry));
}

/// A person runs these again, by name: what they came to before is not good enough.
void EngineState::forget_results(const LiveRun& run, std::span<const std::string> names,
                                 std::span<const std::uint32_t> again) {
  for (const std::uint32_t index : again) {
    const Task& task = run.task(run.instances->task_of(index));
    const auto is_meant = [&](const std::string& name) {
      return name == task.id || name == run.instances->name_of(index);
    };
    if (!task.cache || std::none_of(names.begin(), names.end(), is_meant)) continue;
    out.persist.cache_forgets.push_back({run.row.seq, index});
  }
}

}  // namespace chappe
