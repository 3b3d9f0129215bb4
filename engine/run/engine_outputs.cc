// Outputs of an attempt that won: recorded, published, remembered.
#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/run/datasets.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// True: it was about values of an instance that had succeeded before.
bool end_reading(LiveRun& run, std::uint32_t index, AttemptId attempt) {
  const auto reading = run.reading.find(index);
  if (reading == run.reading.end() || reading->second != attempt) return false;
  run.reading.erase(reading);
  return true;
}

}  // namespace

/// An attempt's objects lie under its own prefix. A report that names others must neither publish nor remove them.
bool EngineState::owns_all(const LiveRun& run, const HeldAttempt& what, std::span<const OutputObject> objects) const {
  if (objects.empty()) return true;
  if (!run.started() || what.key.index >= run.states.size()) return false;
  const std::uint32_t task = run.instances->task_of(what.key.index);
  const std::string prefix =
      attempt_prefix(run.row.dag, run.row.id, run.task(task).id, run.instances->key_of(what.key.index), what.attempt);
  return std::all_of(objects.begin(), objects.end(),
                     [&](const OutputObject& object) { return object.key.starts_with(prefix); });
}

/// A worker says what is in an output, not what others find it by: name and URI are the task's to say.
bool EngineState::declares_all(const LiveRun& run, std::uint32_t index, std::span<const OutputObject> objects) const {
  if (objects.empty()) return true;
  const Task& task = run.task(run.instances->task_of(index));
  if (task.work == nullptr) return false;
  const auto& declared = task.work->outputs;
  const RunScope scope(run, index);
  const auto& values = task.work->values;
  return std::all_of(objects.begin(), objects.end(), [&](const OutputObject& object) {
    if (const auto value = value_in_object(object.name)) {
      const bool plain = object.asset_uri.empty() && object.asset_name.empty() && object.upload.empty();
      return plain && !object.packed && std::ranges::find(values, *value, &OutputValue::name) != values.end();
    }
    const auto output = std::find_if(declared.begin(), declared.end(),
                                     [&](const OutputArtifact& each) { return each.name == object.name; });
    if (output == declared.end() || output->asset_name != object.asset_name) return false;
    const auto uri = output->asset.expand(scope);
    return uri && *uri == object.asset_uri;
  });
}

/// Why what an attempt left does not count; "": it does, or the attempt failed by itself.
std::string EngineState::why_refused(const LiveRun& run, std::uint32_t index, const AttemptFinished& event) const {
  if (event.outputs == nullptr) return "";
  if (!owns_all(run, event.what, event.outputs->objects) && !CHAPPE_MUTANT(kTrustsObjectKeys)) {
    return "the worker reported an object that is not the attempt's own";
  }
  if (!declares_all(run, index, event.outputs->objects)) {
    return "the worker reported an output that the task does not declare so";
  }
  if (event.end.reason != Reason::kNone) return "";
  if (std::string why = why_too_large(run, event.outputs->objects); !why.empty()) return why;
  const auto may = check_states(run, index, event.what.attempt, *event.outputs);
  return may ? "" : may.error().message;
}

/// Values in objects are held in memory while the run lasts, for its expressions.
std::string EngineState::why_too_large(const LiveRun& run, std::span<const OutputObject> objects) {
  std::uint64_t bytes = run.value_bytes;
  for (const OutputObject& object : objects) {
    const auto value = value_in_object(object.name);
    if (!value) continue;
    bytes += object.size;
    if (object.size > kValueMax) {
      return fmt::format("value '{}' is larger than {} MiB; make it an artifact", *value, kValueMax >> 20);
    }
    if (bytes > kRunValuesMax) {
      return fmt::format(
          "with value '{}' those of the run that are larger than {} KiB take over {} MiB; make it an "
          "artifact",
          *value, kInlineValueMax >> 10, kRunValuesMax >> 20);
    }
  }
  return "";
}

void EngineState::drop_outputs(const LiveRun& run, const HeldAttempt& what, const AttemptOutputs& outputs) {
  if (outputs.objects.empty() || !owns_all(run, what, outputs.objects) || CHAPPE_MUTANT(kDropsNothing)) return;
  out.drop.push_back({what, outputs.objects});
}

void EngineState::end_success(LiveRun& run, std::uint32_t index, TaskRow row, const AttemptOutputs* outputs) {
  PublishAssets publish{.key = row.key, .attempt = row.attempt};
  if (outputs != nullptr) record_outputs(run, index, *outputs, publish);
  const bool nothing_left = publish.uploads.empty() && publish.values.empty();
  if (nothing_left || CHAPPE_MUTANT(kSuccessBeforeVisible)) {
    row.state = TaskState::kSuccess;
    record_datasets(run, index, out.persist);
    keep_result(run, row);
    if (outputs != nullptr) write_states(run, index, row.attempt, outputs->values);
    return settle(run, index, std::move(row));
  }
  row.state = TaskState::kCommitting;
  if (outputs != nullptr) promise_states(run, index, row.attempt, outputs->values);
  run.committing[index] = row;
  store_row(run, index, std::move(row));
  if (!CHAPPE_MUTANT(kNeverPublishes)) out.publish.push_back(std::move(publish));
}

void EngineState::record_outputs(LiveRun& run, std::uint32_t index, const AttemptOutputs& outputs,
                                 PublishAssets& publish) {
  run.forget_outputs(index);
  for (const OutputObject& object : outputs.objects) {
    ArtifactRow artifact{.key = publish.key, .attempt = publish.attempt, .object = object};
    artifact.retention = retention_of(run.task(run.instances->task_of(index)), object.name);
    if (!object.asset_uri.empty()) {
      artifact.asset = {++last_asset_version.value};
      AssetVersion version = version_of(artifact);
      version.created_at = now.wall;
      out.persist.asset_versions.push_back(std::move(version));
      publish.uploads.push_back({artifact.asset, object});
    }
    if (!CHAPPE_MUTANT(kForgetsManifest)) out.persist.artifacts.push_back(artifact);
    run.keep(index, std::move(artifact));
  }
  InstanceOutputs& kept = run.outputs[index];
  for (const NamedValue& value : outputs.values) {
    out.persist.values.push_back({publish.key, publish.attempt, value, now.wall});
    kept.values.push_back(value);
  }
  publish.values = unread_values(kept);
}

// ---- What the object store came to ----

/// Values that an earlier process knew: whoever needs them waits until this one does.
void EngineState::read_values_again(LiveRun& run) {
  if (run.value_bytes == 0) return;
  for (const auto& [index, outputs] : run.outputs) {
    const InstanceState& instance = run.states[index];
    if (instance.state == TaskState::kSuccess && !unread_values(outputs).empty()) run.reading[index] = instance.attempt;
  }
  if (CHAPPE_MUTANT(kRestoreReadsNoValues)) return;
  for (const auto& [index, attempt] : run.reading) {
    if (run.states[index].state != TaskState::kSuccess) continue;
    if (!CHAPPE_MUTANT(kRestoreWaitsForNoValues)) run.set_state(index, TaskState::kCommitting);
    std::vector<OutputObject> values = unread_values(run.outputs.at(index));
    out.publish.push_back(
        {.key = {run.row.seq, index}, .attempt = attempt, .uploads = {}, .values = std::move(values)});
  }
}

/// The instance is what it was; who waits in the run is woken when the last one is known.
void EngineState::adopt_values(LiveRun& run, std::uint32_t index, std::span<const NamedValue> values) {
  InstanceOutputs& kept = run.outputs[index];
  kept.values.insert(kept.values.end(), values.begin(), values.end());
  run.set_state(index, TaskState::kSuccess);
  // No row is written, and a hook that a person runs again has not heard of it.
  if (!run.task(run.instances->task_of(index)).hooks.empty()) hooks_due.push_back({run.row.seq, index});
  go_on_with_values(run, index);
}

void EngineState::fail_reading(LiveRun& run, std::uint32_t index, const std::string& message) {
  TaskRow row = row_of(run, index);
  row.state = TaskState::kFailed;
  row.end = {.reason = Reason::kArtifactIo, .ended_at = now.wall, .message = message};
  row.allowed = is_tolerated(run, index, row.end);
  run.forget_outputs(index);
  store_row(run, index, std::move(row));
  go_on_with_values(run, index);
}

void EngineState::go_on_with_values(LiveRun& run, std::uint32_t index) {
  tell_children(run, index);
  services.note_end(run, index);
  if (run.row.state != RunState::kRunning) return;  // A person runs it again, and it has to wait for its turn.
  if (run.reading.empty()) resume_waits(run);
  judge_due(run);
  touched.push_back(run.row.seq);
}

void EngineState::on(const AssetsPublished& event) {
  LiveRun* run = find_run(event.key.run);
  if (run == nullptr || !run->started()) return;
  if (end_reading(*run, event.key.index, event.attempt)) return adopt_values(*run, event.key.index, event.values);
  const auto committing = run->committing.find(event.key.index);
  if (committing == run->committing.end() || committing->second.attempt != event.attempt) return;
  TaskRow row = std::move(committing->second);
  run->committing.erase(committing);
  for (AssetPublished published : event.assets) {
    published.at = now.wall;
    remember_published(*run, event.key.index, published);
    out.persist.published.push_back(std::move(published));
  }
  release_states(row.attempt);
  std::vector<NamedValue>& kept = run->outputs.at(event.key.index).values;
  write_states(*run, event.key.index, row.attempt, kept);
  kept.insert(kept.end(), event.values.begin(), event.values.end());
  row.state = TaskState::kSuccess;
  record_datasets(*run, event.key.index, out.persist);
  keep_result(*run, row);
  settle(*run, event.key.index, std::move(row));
  judge_due(*run);
  tell_asset_waiters();
}

/// Its outputs count for nothing, though some may be visible.
void EngineState::on(const PublishFailed& event) {
  LiveRun* run = find_run(event.key.run);
  if (run == nullptr || !run->started()) return;
  if (end_reading(*run, event.key.index, event.attempt)) return fail_reading(*run, event.key.index, event.message);
  const auto committing = run->committing.find(event.key.index);
  if (committing == run->committing.end() || committing->second.attempt != event.attempt) return;
  TaskRow row = std::move(committing->second);
  run->committing.erase(committing);
  release_states(row.attempt);
  row.state = TaskState::kFailed;
  row.end.reason = Reason::kInvalidOutput;
  row.end.message = event.message;
  row.allowed = is_tolerated(*run, event.key.index, row.end);
  run->forget_outputs(event.key.index);
  settle(*run, event.key.index, std::move(row));
  judge_due(*run);
}

void EngineState::remember_published(const LiveRun& run, std::uint32_t index, const AssetPublished& published) {
  for (const ArtifactRow& artifact : run.outputs.at(index).artifacts) {
    if (artifact.asset != published.id) continue;
    AssetVersion version = version_of(artifact);
    version.published_at = published.at;
    remember_asset(version);
    tell_triggers_of_asset(run, version);
  }
}

void EngineState::remember_asset(const AssetVersion& version) {
  for (const std::string& name : {version.uri, version.name}) {
    if (name.empty()) continue;
    AssetVersion& newest = newest_assets[name];
    if (newest.id < version.id) newest = version;
    if (asset_waiters.contains(name)) assets_changed.push_back(name);
  }
}

}  // namespace chappe
