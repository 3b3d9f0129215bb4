#include "tests/support/memory_meta_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/ports/past_lookup.h"
#include "proto/json/json.h"

namespace chappe::support {
namespace {

std::string described(const TaskRow& row) {
  return fmt::format("{} with attempt {}", name_of(row.state), to_text(row.attempt));
}

template <typename Row>
void append(std::vector<Row>& table, const std::vector<Row>& rows) {
  table.insert(table.end(), rows.begin(), rows.end());
}

}  // namespace

Result<void> MemoryMetaStore::commit(const Persist& changes) {
  broken_.clear();
  apply(changes);
  if (broken_.empty()) {
    log_.push_back(changes);
    return {};
  }
  lose_newest(0);  // All of a Persist or nothing.
  return fail(ErrorCode::kConflict, "a commit broke a guard: " + broken_);
}

void MemoryMetaStore::lose_newest(std::size_t commits) {
  log_.resize(log_.size() - std::min(commits, log_.size()));
  tables_ = {};
  for (const Persist& changes : log_) apply(changes);
}

void MemoryMetaStore::broken(const std::string& row, const std::string& expected, const std::string& found) {
  if (broken_.empty()) broken_ = fmt::format("{}: expected {}, found {}", row, expected, found);
}

void MemoryMetaStore::apply(const Persist& changes) {
  for (const DagVersionRow& row : changes.dag_versions) tables_.dag_versions.try_emplace(row.version, row);
  for (const RunRow& row : changes.runs) apply(row);
  for (const RunChange& change : changes.run_changes) apply(change);
  for (const WorkerRow& row : changes.workers) apply(row);
  append(tables_.fan_outs, changes.fan_outs);
  for (const TaskChange& change : changes.tasks) apply(change);
  append(tables_.attempts, changes.attempts);
  append(tables_.inputs, changes.inputs);
  append(tables_.datasets, changes.datasets);
  for (const AssetVersion& row : changes.asset_versions) {
    if (!tables_.asset_versions.try_emplace(row.id, row).second) {
      broken(fmt::format("asset version {}", row.id.value), "no row", "one");
    }
  }
  append(tables_.artifacts, changes.artifacts);
  for (const ArtifactCollected& collected : changes.collected) apply(collected);
  tables_.doomed.insert(changes.doomed.begin(), changes.doomed.end());
  for (const std::string& key : changes.removed) tables_.doomed.erase(key);
  append(tables_.values, changes.values);
  for (const AssetPublished& published : changes.published) apply(published);
  append(tables_.aliases, changes.aliases);
  for (const TokenChange& change : changes.tokens) apply(change);
  for (const DeploymentRow& row : changes.deployments) apply(row);
  for (const TriggerEventRow& row : changes.events) apply(row);
  for (const TriggerEventTaken& taken : changes.taken) apply(taken);
  for (const SightingChange& change : changes.sightings) apply(change);
  for (const StateRow& row : changes.states) apply(row);
  for (const BackfillRow& row : changes.backfills) apply(row);
  apply_cache(changes);
  apply_notifications(changes);
  apply_pruning(changes);
  append(tables_.audit, changes.audit);
}

void MemoryMetaStore::apply(const TriggerEventRow& row) {
  const auto name = [&] { return fmt::format("event {}", row.id.value); };
  for (const auto& [id, other] : tables_.events) {
    const bool same = other.dag == row.dag && other.source == row.source && other.key == row.key;
    if (same && !row.key.empty()) broken(name(), "a new key", row.key);
  }
  if (!tables_.events.try_emplace(row.id, row).second) broken(name(), "no row", "one");
}

void MemoryMetaStore::apply(const TriggerEventTaken& taken) {
  const auto found = tables_.events.find(taken.id);
  const std::string name = fmt::format("event {}", taken.id.value);
  if (found == tables_.events.end() || found->second.run) return broken(name, "one that waits", "none, or one taken");
  if (taken.run && !tables_.runs.contains(taken.run)) broken(name, "the run that takes it", "none");
  found->second.run = taken.run;
  if (!taken.run) tables_.events.erase(found);
}

void MemoryMetaStore::apply(const SightingChange& change) {
  const SightingRow& row = change.row;
  if (change.gone && row.object.empty()) {
    std::erase_if(tables_.sightings, [&](const auto& each) {
      return std::get<0>(each.first) == row.dag && std::get<1>(each.first) == row.source;
    });
    return;
  }
  const std::tuple key(row.dag, row.source, row.object);
  const auto found = tables_.sightings.find(key);
  const std::string stands = found == tables_.sightings.end() ? "" : found->second;
  if (stands != change.before) broken("object " + row.object, change.before, stands);
  if (change.gone) {
    tables_.sightings.erase(key);
  } else {
    tables_.sightings[key] = row.stamp;
  }
}

void MemoryMetaStore::apply(const StateRow& row) {
  StateRow& stands = tables_.states[{row.scope, row.name}];
  const std::string name = fmt::format("state {} {}", row.scope, row.name);
  if (stands.version + 1 != row.version) broken(name, fmt::format("version {}", row.version - 1), "another");
  if (row.by_attempt && row.by_attempt <= stands.fence) broken(name, "an attempt that knows it", "an earlier one");
  stands = row;
}

void MemoryMetaStore::apply(const BackfillRow& row) {
  const std::string name = fmt::format("backfill {}", row.id.value);
  if (!tables_.dag_versions.contains(row.version)) broken(name, "its DAG version", "none");
  const auto [kept, fresh] = tables_.backfills.try_emplace(row.id, row);
  if (!fresh && is_final(kept->second.state)) broken(name, "one that is not over", "one that is");
  if (row.made + row.skipped < kept->second.made + kept->second.skipped) broken(name, "fewer dates", "more");
  kept->second = row;
}

void MemoryMetaStore::apply_notifications(const Persist& changes) {
  for (const NotificationRow& row : changes.notifications) {
    const auto name = [&] { return fmt::format("notification {}", row.id); };
    for (const auto& [id, other] : tables_.notifications) {
      const bool same = other.run == row.run && other.generation == row.generation && other.notice == row.notice &&
                        other.task == row.task && other.channel == row.channel;
      if (same) broken(name(), "nothing of the kind", other.text);
    }
    if (!tables_.notifications.try_emplace(row.id, row).second) broken(name(), "no row", "one");
  }
  for (const NotificationChange& change : changes.notification_changes) {
    const auto found = tables_.notifications.find(change.id);
    if (found == tables_.notifications.end() || found->second.state != NotificationState::kPending) continue;
    found->second.state = change.state;
    found->second.tries = change.tries;
    found->second.ended_at = change.ended_at;
    found->second.told = change.told;
  }
}

void MemoryMetaStore::apply_cache(const Persist& changes) {
  const auto name = [](const CacheKey& key) { return std::pair(key.scope, key.sha256); };
  for (const CacheUseRow& row : changes.cache_uses) {
    CacheUseRow& kept = tables_.cache_uses[row.key];
    const std::string told = row.told.empty() ? kept.told : row.told;
    kept = row;
    kept.told = told;
  }
  for (const InstanceKey key : changes.cache_forgets) {
    const auto use = tables_.cache_uses.find(key);
    if (use != tables_.cache_uses.end()) tables_.cache_entries.erase(name(use->second.cache));
  }
  for (const CacheEntryRow& row : changes.cache_drops) {
    const auto entry = tables_.cache_entries.find(name(row.cache));
    const bool same = entry != tables_.cache_entries.end() && entry->second.attempt == row.attempt;
    if (same) tables_.cache_entries.erase(entry);
  }
  for (const CacheEntryRow& row : changes.cache_entries) tables_.cache_entries[name(row.cache)] = row;
}

void MemoryMetaStore::apply(const DeploymentRow& row) {
  if (!tables_.dag_versions.contains(row.version)) broken("deployed DAG " + row.dag, "its version", "none");
  DeploymentRow& kept = tables_.deployments[row.dag];
  if (row.fired_to < kept.fired_to) broken("deployed DAG " + row.dag, "an earlier time", "a later one");
  kept = row;
}

void MemoryMetaStore::apply(const TokenChange& change) {
  const std::string name = "token " + change.row.name;
  if (change.revoked) {
    if (tables_.tokens.erase(change.row.name) != 1) broken(name, "a row", "none");
  } else if (!tables_.tokens.try_emplace(change.row.name, change.row).second) {
    broken(name, "no row", "one");
  }
}

void MemoryMetaStore::apply(const RunRow& row) {
  const auto name = [&] { return fmt::format("run {}", row.seq.value); };
  for (const auto& [seq, other] : tables_.runs) {
    if (other.id == row.id) broken(name(), "a new id", other.id.text());
    const bool same_time = other.dag == row.dag && other.logical_time == row.logical_time;
    if (same_time && other.trigger == "schedule" && row.trigger == "schedule")
      broken(name(), "a new time", "another run");
    if (!row.request_id.empty() && other.request_id == row.request_id) broken(name(), "a new request", row.request_id);
  }
  if (!tables_.dag_versions.contains(row.dag_version)) broken(name(), "its DAG version", "none");
  if (!tables_.runs.try_emplace(row.seq, row).second) broken(name(), "no row", "one");
}

void MemoryMetaStore::apply(const RunChange& change) {
  const auto found = tables_.runs.find(change.row.seq);
  const auto name = [&] { return fmt::format("run {}", change.row.seq.value); };
  if (found == tables_.runs.end()) return broken(name(), std::string(name_of(change.expect_state)), "no row");
  RunRow& row = found->second;
  if (row.state != change.expect_state) {
    return broken(name(), std::string(name_of(change.expect_state)), std::string(name_of(row.state)));
  }
  if (row.pruned_at.is_set()) return broken(name(), "one that is not pruned", "one that is");
  const bool same = row.id == change.row.id && row.dag == change.row.dag && row.dag_version == change.row.dag_version &&
                    row.params_json == change.row.params_json && row.group == change.row.group;
  if (!same) return broken(name(), "id, DAG, version, parameters and group that never change", "others");
  row = change.row;
}

void MemoryMetaStore::apply(const WorkerRow& row) {
  const auto [place, fresh] = tables_.workers.try_emplace(row.seq, row);
  const WorkerRow& before = place->second;
  if (!fresh && before.incarnation != row.incarnation && before.incarnation != before.pod) {
    broken(fmt::format("worker {}", row.seq.value), row.incarnation, place->second.incarnation);
  }
  place->second = row;
}

void MemoryMetaStore::apply(const TaskChange& change) {
  const InstanceKey key = change.row.key;
  const auto name = [&] { return fmt::format("task instance {} of run {}", key.index, key.run.value); };
  const auto found = tables_.tasks.find(key);
  if (!tables_.runs.contains(key.run)) return broken(name(), "its run", "none");
  if (!change.expect_row) {
    if (change.expect_state != TaskState::kNone || change.expect_attempt) return broken(name(), "no row", "a guard");
    if (found != tables_.tasks.end()) return broken(name(), "no row", described(found->second));
    tables_.tasks[key] = change.row;
    return;
  }
  const auto expected = [&] {
    return fmt::format("{} with attempt {}", name_of(change.expect_state), to_text(change.expect_attempt));
  };
  if (found == tables_.tasks.end()) return broken(name(), expected(), "no row");
  TaskRow& row = found->second;
  if (row.state != change.expect_state || row.attempt != change.expect_attempt) {
    return broken(name(), expected(), described(row));
  }
  if (row.attempt && row.attempt != change.row.attempt && row.end.ended_at.is_set()) {
    tables_.attempts.push_back({key, row.attempt, row.attempt_no, row.worker, row.queued_at, row.end});
  }
  row = change.row;
}

void MemoryMetaStore::apply(const AssetPublished& published) {
  const auto found = tables_.asset_versions.find(published.id);
  if (found == tables_.asset_versions.end()) {
    return broken(fmt::format("asset version {}", published.id.value), "a row", "none");
  }
  found->second.published_at = published.at;
  found->second.etag = published.etag;
  found->second.store_version = published.store_version;
}

void MemoryMetaStore::apply(const ArtifactCollected& collected) {
  const auto found = std::find_if(tables_.artifacts.begin(), tables_.artifacts.end(), [&](const ArtifactRow& row) {
    return row.key == collected.key && row.attempt == collected.attempt && row.object.name == collected.name;
  });
  const bool right = found != tables_.artifacts.end() && !found->collected_at.is_set();
  if (!right) return broken("artifact " + collected.name, "one that is not collected", "none, or one that is");
  found->collected_at = collected.at;
}

Value MemoryMetaStore::params_of(const RunRow& row) { return parse_json(row.params_json).value(); }

StoredRun MemoryMetaStore::stored(const RunRow& row) const {
  StoredRun run{.row = row};
  run.dag_source = tables_.dag_versions.at(row.dag_version).source;
  run.dag = dags_.at(row.dag_version);
  run.params = params_of(row);
  for (const FanOutRow& each : tables_.fan_outs) {
    if (each.run == row.seq) run.fan_outs.push_back(each);
  }
  const auto first = tables_.tasks.lower_bound({row.seq, 0});
  const auto last = tables_.tasks.upper_bound({row.seq, 0xffffffffU});
  for (auto it = first; it != last; ++it) run.tasks.push_back(it->second);
  const auto latest = [&](InstanceKey key, AttemptId attempt) {
    const auto task = tables_.tasks.find(key);
    return key.run == row.seq && task != tables_.tasks.end() && task->second.attempt == attempt;
  };
  for (const ArtifactRow& each : tables_.artifacts) {
    if (latest(each.key, each.attempt)) run.artifacts.push_back(each);
  }
  for (const ValueRow& each : tables_.values) {
    if (latest(each.key, each.attempt)) run.values.push_back(each);
  }
  for (const auto& [id, each] : tables_.events) {
    if (each.run == row.seq) run.events.push_back(each);
  }
  for (const auto& [key, each] : tables_.cache_uses) {
    const bool under_way = latest(key, each.attempt) && holds_attempt(tables_.tasks.at(key).state);
    if (under_way) run.cached.push_back(each);
  }
  return run;
}

Result<StoredRun> MemoryMetaStore::load_run(const RunId& id) {
  for (const auto& [seq, row] : tables_.runs) {
    if (row.id == id) return stored(row);
  }
  return fail(ErrorCode::kNotFound, "run " + id.text());
}

std::vector<std::optional<RunState>> MemoryMetaStore::newest_of_dates(const std::string& dag,
                                                                      const std::vector<WallTime>& times) const {
  std::vector<std::optional<RunState>> newest(times.size());
  for (const auto& [seq, row] : tables_.runs) {
    for (std::size_t i = 0; i < times.size(); ++i) {
      const bool live_before = newest[i] && !is_final(*newest[i]);
      if (row.dag == dag && row.logical_time == times[i] && !live_before) newest[i] = row.state;
    }
  }
  return newest;
}

PastLooked MemoryMetaStore::look_up_past(const WantedPast& wanted) {
  const auto newest_before = [&](const std::string& dag, WallTime before) -> Result<std::optional<RunRow>> {
    std::optional<RunRow> newest;
    for (const auto& [seq, row] : tables_.runs) {
      const bool earlier = row.dag == dag && row.logical_time < before;
      if (earlier && (!newest || newest->logical_time <= row.logical_time)) newest = row;
    }
    return newest;
  };
  const auto instances = [&](const RunRow& row) -> Result<std::shared_ptr<const Instances>> {
    const StoredRun run = stored(row);
    auto out = Instances::expand(run.dag, *run.params.as_map());
    if (!out) return fail(out.error());
    for (const FanOutRow& each : run.fan_outs) {
      if (auto given = out->fan_out(each.task, each.items, run.params); !given) return fail(given.error());
    }
    return std::make_shared<const Instances>(*std::move(out));
  };
  const auto unwell = [&](RunSeq run, std::uint32_t first, std::uint32_t count) -> Result<std::optional<TaskState>> {
    for (std::uint32_t i = first; i < first + count; ++i) {
      const auto row = tables_.tasks.find({run, i});
      if (row == tables_.tasks.end()) return TaskState::kCancelled;
      const TaskState state = row->second.state;
      const bool well = state == TaskState::kSuccess || state == TaskState::kSkipped || row->second.allowed;
      if (!well) return state;
    }
    return std::nullopt;
  };
  return chappe::look_up_past({newest_before, instances, unwell}, wanted);
}

ExpiredLooked MemoryMetaStore::expired(const ExpiredQuery& query) const {
  ExpiredLooked looked;
  for (const auto& [seq, row] : tables_.runs) {
    const WallTime due = row.retention.due;
    const bool meant = query.run ? seq == query.run : due.is_set() && due <= query.now;
    if (meant && (!looked.run || due < looked.run->retention.due)) looked.run = row;
    if (due.is_set()) looked.next = std::min(looked.next.value_or(due), due);
  }
  if (!looked.run) return looked;
  const bool success = looked.run->state == RunState::kSuccess;
  for (const auto& [seq, row] : tables_.runs) {
    const bool same = row.dag == looked.run->dag && is_final(row.state) && (row.state == RunState::kSuccess) == success;
    if (same && seq > looked.run->seq && looked.newer < looked.run->retention.keep_last) ++looked.newer;
  }
  std::map<ArtifactPlace, const ArtifactRow*> behind;
  for (std::size_t i = 0; i < tables_.artifacts.size(); ++i) {
    const ArtifactPlace place{tables_.artifacts[i].key, static_cast<std::int64_t>(i)};
    if (place.key.run == looked.run->seq && query.after < place) behind.emplace(place, &tables_.artifacts[i]);
  }
  looked.last = behind.size() < kCollectMax;
  for (const auto& [place, row] : behind) {
    if (looked.artifacts.size() == kCollectMax) break;
    looked.end = place;
    const auto holds = [row = row](const ArtifactRow& other) {
      return other.object.key == row->object.key && !other.collected_at.is_set();
    };
    const auto holders = std::count_if(tables_.artifacts.begin(), tables_.artifacts.end(), holds);
    if (!row->collected_at.is_set()) looked.artifacts.push_back({*row, static_cast<std::uint32_t>(holders)});
  }
  return looked;
}

Result<StoredState> MemoryMetaStore::load() const {
  StoredState out{.epoch = epoch_};
  if (!tables_.runs.empty()) out.last_run = tables_.runs.rbegin()->first;
  if (!tables_.workers.empty()) out.last_worker = tables_.workers.rbegin()->first;
  if (!tables_.asset_versions.empty()) out.last_asset_version = tables_.asset_versions.rbegin()->first;
  std::set<WorkerSeq> holding;
  for (const auto& [seq, row] : tables_.runs) {
    if (is_final(row.state)) continue;
    out.runs.push_back(stored(row));
    for (const TaskRow& task : out.runs.back().tasks) {
      if (task.worker && holds_attempt(task.state)) holding.insert(task.worker);
    }
  }
  for (const WorkerSeq seq : holding) out.workers.push_back(tables_.workers.at(seq));
  std::map<std::pair<std::string, std::string>, AliasRow> aliases;
  for (const AliasRow& row : tables_.aliases) aliases[{row.model, row.alias}] = row;
  std::map<std::string, AssetVersionId> newest;
  std::set<AssetVersionId> wanted;
  for (const auto& [id, version] : tables_.asset_versions) {
    if (version.published_at.is_set()) newest[version.uri] = id;
  }
  for (const auto& [uri, id] : newest) wanted.insert(id);
  for (const auto& [name, row] : aliases) {
    out.aliases.push_back(row);
    if (row.version) wanted.insert(row.version);
  }
  for (const AssetVersionId id : wanted) out.assets.push_back(tables_.asset_versions.at(id));
  if (!tables_.backfills.empty()) out.last_backfill = tables_.backfills.rbegin()->first;
  for (const auto& [id, row] : tables_.backfills) {
    if (is_final(row.state)) continue;
    out.backfills.push_back(
        {row, tables_.dag_versions.at(row.version).source, dags_.at(row.version), parse_json(row.params_json).value()});
  }
  for (const auto& [name, row] : tables_.tokens) out.tokens.push_back(row);
  for (const auto& [id, row] : tables_.notifications) {
    out.last_notification = id;
    if (row.state == NotificationState::kPending) ++out.notifications_pending;
  }
  for (const RunSeq run : tables_.pruning) out.pruning.push_back(tables_.runs.at(run));
  out.doomed.assign(tables_.doomed.begin(), tables_.doomed.end());
  for (const auto& [seq, row] : tables_.runs) {
    const WallTime due = row.retention.due;
    if (due.is_set()) out.next_due = std::min(out.next_due.value_or(due), due);
  }
  std::map<std::string, LastEnd> ends;
  for (const auto& [seq, row] : tables_.runs) {
    const bool ended = row.state == RunState::kSuccess || row.state == RunState::kFailed;
    if (ended) ends[row.dag] = {seq, row.state == RunState::kFailed};
  }
  for (const auto& [dag, end] : ends) {
    if (end.failed) out.failed_dags.emplace_back(dag, end);
  }
  for (const auto& [dag, row] : tables_.deployments) {
    out.deployments.push_back({row, tables_.dag_versions.at(row.version).source, dags_.at(row.version)});
  }
  if (!tables_.events.empty()) out.last_event = tables_.events.rbegin()->first;
  for (const auto& [id, row] : tables_.events) {
    if (!row.run) out.events.push_back(row);
  }
  for (const auto& [key, row] : tables_.states) out.states.push_back(row);
  for (const auto& [key, stamp] : tables_.sightings) {
    out.sightings.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), stamp});
  }
  return out;
}

}  // namespace chappe::support
