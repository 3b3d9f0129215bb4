#include "tests/support/effects_text.h"

#include <fmt/format.h>

namespace chappe::support {

std::string EffectsText::run(RunSeq seq) const {
  const auto row = world_.store().tables().runs.find(seq);
  if (row == world_.store().tables().runs.end()) return fmt::format("run {}", seq.value);
  const auto name = runs_.find(row->second.id);
  if (name != runs_.end()) return name->second;
  // One that nobody asked for has the name of its time.
  const auto named = [&](const RunRow& each) { return each.dag + "@" + to_iso8601(each.logical_time).substr(0, 16); };
  const std::string own = named(row->second);
  std::size_t like_it = 1;
  for (const auto& [other, each] : world_.store().tables().runs) {
    if (other < seq && !runs_.contains(each.id) && named(each) == own) ++like_it;
  }
  return like_it == 1 ? own : fmt::format("{}.{}", own, like_it);
}

std::string EffectsText::instance(InstanceKey key) const {
  return run(key.run) + "/" + world_.instances(key.run).name_of(key.index);
}

std::string EffectsText::attempt(InstanceKey key, AttemptId attempt) const {
  for (const Assignment& each : world_.assigned()) {
    if (each.attempt == attempt) return fmt::format("{} #{}", instance(key), each.attempt_no);
  }
  return fmt::format("{} of the engine", instance(key));
}

/// With the names of the story for runs and attempts.
std::string EffectsText::readable(std::string text) const {
  const auto replace = [&](const std::string& old, const std::string& name) {
    for (std::size_t at = 0; (at = text.find(old, at)) != std::string::npos; at += name.size()) {
      text.replace(at, old.size(), name);
    }
  };
  for (const auto& [seq, row] : world_.store().tables().runs) replace(row.id.text(), run(seq));
  for (const Assignment& each : world_.assigned()) {
    replace(to_text(each.attempt),
            fmt::format("{} #{}", world_.instances(each.key.run).name_of(each.key.index), each.attempt_no));
  }
  return text;
}

std::string EffectsText::worker(WorkerSeq seq) const { return world_.store().tables().workers.at(seq).name; }

std::vector<std::string> EffectsText::lines(const Effects& effects) const {
  std::vector<std::string> out;
  add_persist(effects.persist, out);
  for (const WorkerSend& send : effects.send) add_send(send, out);
  for (const PublishAssets& publish : effects.publish) {
    for (const OutputObject& object : publish.values) {
      out.push_back(fmt::format("read {} of {}", object.name, attempt(publish.key, publish.attempt)));
    }
    for (const PublishAssets::Upload& upload : publish.uploads) {
      out.push_back(fmt::format("publish v{} {} of {}", upload.id.value, upload.object.asset_uri,
                                attempt(publish.key, publish.attempt)));
    }
  }
  for (const DropOutputs& drop : effects.drop) {
    for (const OutputObject& object : drop.objects) {
      out.push_back(fmt::format("drop {} of {}", object.name, attempt(drop.what.key, drop.what.attempt)));
    }
  }
  if (effects.remove) {
    for (const std::string& key : effects.remove->keys) out.push_back("remove object " + readable(key));
  }
  for (const LookOrder& order : effects.looks) {
    const bool listing = order.target.kind == LookTarget::Kind::kListing;
    out.push_back(fmt::format("{} {} {}", listing ? "list" : "look at", order.target.name,
                              order.every ? "every " + to_text(*order.every) : std::string("no more")));
  }
  for (const WantedDag& wanted : effects.wanted) {
    out.push_back(fmt::format("want {} for {}", wanted.dag, instance(wanted.key)));
  }
  for (const PodOrder& order : effects.pods) {
    if (order.dag == nullptr) {
      out.push_back(fmt::format("remove {}", order.pod));
    } else {
      out.push_back(fmt::format("{} {} for {} #{}", order.joined ? "keep" : "make", order.pod, instance(order.what.key),
                                order.attempt_no));
    }
  }
  for (const WantedDates& wanted : effects.dates) {
    out.push_back(fmt::format("look up {} dates of {} from {}", wanted.times.size(), wanted.dag,
                              to_iso8601(wanted.times.front()).substr(0, 16)));
  }
  for (const WantedPast& wanted : effects.past) {
    out.push_back(fmt::format("look up the past of {} {}", run(wanted.run), fmt::join(wanted.tasks, ", ")));
  }
  for (const RemoveRunObjects& remove : effects.remove_runs) out.push_back("remove objects " + remove.prefix);
  if (effects.prune) out.push_back("look which runs may go");
  if (effects.expired) out.push_back("look what may be collected");
  for (const CacheLookup& lookup : effects.lookups) {
    out.push_back(fmt::format("look up {} in {}", instance(lookup.key), readable(lookup.cache.scope)));
  }
  for (const NotificationRow& row : effects.notify) {
    out.push_back(fmt::format("notify #{} by {}: {}", row.id, row.channel, readable(row.text)));
  }
  for (const Reply& reply : effects.replies) {
    if (!reply.answer) out.push_back(fmt::format("refuse: {}", reply.answer.error().message));
  }
  return out;
}

void EffectsText::add_persist(const Persist& persist, std::vector<std::string>& out) const {
  for (const RunRow& row : persist.runs) out.push_back(line(row, "new"));
  for (const RunChange& change : persist.run_changes) out.push_back(line(change.row, "save"));
  for (const WorkerRow& row : persist.workers) {
    out.push_back(fmt::format("save worker {}{}", row.name, row.lost_at.is_set() ? " lost" : ""));
  }
  for (const TaskChange& change : persist.tasks) out.push_back(line(change.row));
  for (const DeploymentRow& row : persist.deployments) out.push_back(line(row));
  for (const TriggerEventRow& row : persist.events) {
    out.push_back(fmt::format("save event e{} {} for {}", row.id.value, to_text(row.source), row.dag));
  }
  for (const TriggerEventTaken& taken : persist.taken) {
    out.push_back(fmt::format("save event e{} {}", taken.id.value, taken.run ? "of " + run(taken.run) : "given up"));
  }
  for (const SightingChange& change : persist.sightings) {
    const std::string object = change.row.object.empty() ? "objects of " + change.row.source : change.row.object;
    out.push_back(fmt::format("{} {} for {}", change.gone ? "forget" : "save seen", object, change.row.dag));
  }
  for (const StateRow& row : persist.states) {
    out.push_back(fmt::format("save state {} {}={} v{}", row.scope, row.name, to_json(row.value), row.version));
  }
  for (const BackfillRow& row : persist.backfills) {
    out.push_back(fmt::format("save backfill {} {}: {} of {} dates, {} skipped", row.id.value, name_of(row.state),
                              row.made + row.skipped, row.total, row.skipped));
  }
  for (const AttemptImage& row : persist.attempt_images) {
    out.push_back(fmt::format("save image {} of attempt {}", row.image, to_text(row.attempt)));
  }
  for (const InputRow& row : persist.inputs) {
    if (!row.object.s3.empty()) {
      out.push_back(fmt::format("save read {}={} etag {} for {}", row.object.path, row.object.s3, row.object.etag,
                                attempt(row.key, row.attempt)));
      continue;
    }
    const std::string name = row.object.key.substr(row.object.key.rfind('/') + 1);
    out.push_back(fmt::format("save input {}={} of {} for {}",
                              row.object.path.empty() ? row.object.name : row.object.path, name,
                              attempt(row.object.producer, row.object.producer_attempt), instance(row.key)));
  }
  for (const DatasetRow& row : persist.datasets) {
    out.push_back(
        fmt::format("save {} {} of {}", row.written ? "output" : "input", row.uri, attempt(row.key, row.attempt)));
  }
  for (const AssetVersion& row : persist.asset_versions) {
    out.push_back(fmt::format("save asset v{} {} by {}", row.id.value, row.uri, instance(row.producer)));
  }
  for (const ArtifactRow& row : persist.artifacts) {
    out.push_back(fmt::format("save artifact {} of {}", row.object.name, attempt(row.key, row.attempt)));
  }
  for (const ArtifactCollected& row : persist.collected) {
    out.push_back(fmt::format("save collected {} of {}", row.name, attempt(row.key, row.attempt)));
  }
  for (const std::string& key : persist.doomed) out.push_back("save doomed " + readable(key));
  for (const std::string& key : persist.removed) out.push_back("save removed " + readable(key));
  for (const ValueRow& row : persist.values) {
    out.push_back(fmt::format("save value {}={} of {}", row.value.name, to_json(row.value.value), instance(row.key)));
  }
  for (const AssetPublished& row : persist.published) out.push_back(fmt::format("save published v{}", row.id.value));
  for (const AliasRow& row : persist.aliases) out.push_back(line(row));
  for (const CacheUseRow& row : persist.cache_uses) {
    if (!row.told.empty()) out.push_back(fmt::format("save cache {}: {}", instance(row.key), readable(row.told)));
  }
  for (const NotificationChange& change : persist.notification_changes) {
    out.push_back(fmt::format("save notification #{} {}", change.id, name_of(change.state)));
  }
  for (const InstanceKey key : persist.cache_forgets) out.push_back("forget result of " + instance(key));
  for (const CacheEntryRow& row : persist.cache_drops) out.push_back("drop result of " + instance(row.producer));
  for (const CacheEntryRow& row : persist.cache_entries) {
    out.push_back(fmt::format("keep result of {}", instance(row.producer)));
  }
  for (const AuditRow& row : persist.audit) {
    if (row.verb.starts_with("task."))
      out.push_back(fmt::format("audit {} by {}: {}", row.verb, row.principal, row.result));
  }
}

std::string EffectsText::line(const RunRow& row, const char* verb) const {
  std::string text = fmt::format("{} {} {}", verb, run(row.seq), name_of(row.state));
  if (row.generation > 1) text += fmt::format(" generation {}", row.generation);
  if (row.stop != Stop::kNone && !is_final(row.state)) text += ", stopping";
  if (row.late_at.is_set() && !is_final(row.state)) text += ", late";
  if (!row.group.empty() && row.state == RunState::kQueued) text += fmt::format(" for group {}", row.group);
  if (!row.message.empty()) text += ": " + row.message;
  if (!row.outputs.is_null()) text += " with outputs " + to_json(row.outputs);
  return text;
}

std::string EffectsText::line(const DeploymentRow& row) const {
  std::string text = fmt::format("save deployed {}", row.dag);
  if (row.removed) text += " removed";
  if (row.paused) text += " paused";
  if (!row.waits_for.empty()) text += " waits for " + row.waits_for;
  if (row.next_at.is_set()) text += " next " + to_iso8601(row.next_at).substr(0, 16);
  return row.message.empty() ? text : text + ": " + row.message;
}

std::string EffectsText::line(const TaskRow& row) const {
  std::string text = fmt::format("save {} {}", instance(row.key), name_of(row.state));
  if (row.attempt_no > 0 && row.attempt) text += fmt::format(" #{}", row.attempt_no);
  if (row.worker && holds_attempt(row.state)) text += " on " + worker(row.worker);
  if (row.allowed) text += " allowed";
  if (row.state >= TaskState::kUpForRetry) text += line(row.end);
  if (row.state == TaskState::kUpForRetry) text += ", again after " + to_text(row.retry_at - world_.now.wall);
  return text;
}

std::string EffectsText::line(const AttemptEnd& end) const {
  std::string text;
  if (end.reason != Reason::kNone) text += fmt::format(" {}", name_of(end.reason));
  if (end.reason == Reason::kExitCode) text += fmt::format(" {}", end.exit_code);
  const bool cached = end.message.starts_with("cached:");
  if (!end.message.empty()) text += fmt::format(" ({})", cached ? readable(end.message) : end.message);
  return text;
}

std::string EffectsText::line(const AliasRow& row) const {
  const auto version = [](AssetVersionId id) { return id ? fmt::format("v{}", id.value) : std::string("nothing"); };
  std::string by = row.by;
  if (row.by_task.run) by = instance(row.by_task);
  return fmt::format("save alias {}@{} {}, it was {}, by {}", row.model, row.alias, version(row.version),
                     version(row.previous), by);
}

void EffectsText::add_send(const WorkerSend& send, std::vector<std::string>& out) const {
  std::string name = "nobody";
  for (const auto& [each, worker] : world_.workers()) {
    if (worker.connection == send.to) name = each;
  }
  if (send.welcome) out.push_back(fmt::format("send {} welcome", name));
  if (send.hello_please) out.push_back(fmt::format("send {} hello please", name));
  for (const AttemptId id : send.acknowledged) {
    std::string what = to_text(id);
    for (const Assignment& each : world_.assigned()) {
      if (each.attempt == id) what = attempt(each.key, id);
    }
    out.push_back(fmt::format("send {} ack {}", name, what));
  }
  for (const CancelAttempt& cancel : send.cancel) {
    const char* verb = cancel.forget ? "forget" : "cancel";
    const std::string why = cancel.reason == Reason::kCancelled ? "" : fmt::format(" {}", name_of(cancel.reason));
    out.push_back(fmt::format("send {} {} {}{}", name, verb, attempt(cancel.what.key, cancel.what.attempt), why));
  }
  for (const Assignment& each : send.assign) {
    out.push_back(fmt::format("send {} assign {}", name, attempt(each.key, each.attempt)));
  }
}

}  // namespace chappe::support
