#include "scheduler/api/render.h"

#include <fmt/format.h>

#include "engine/model/sidecar.h"
#include "proto/json/json.h"
#include "scheduler/quarantine/quarantine.h"

namespace chappe::api {
namespace {

/// Null rather than an empty text: "there is none".
Value text_or_null(std::string_view text) { return text.empty() ? Value() : Value(text); }

Value size_json(std::uint64_t size) { return static_cast<std::int64_t>(size); }

template <typename Tag, typename Int>
Value id_json(StrongId<Tag, Int> id) {
  return id ? Value(static_cast<std::int64_t>(id.value)) : Value();
}

Value params_json(const std::string& text) {
  auto parsed = parse_json(text);
  return parsed ? *std::move(parsed) : Value(ValueMap{});
}

/// Whether a program ended by itself, or was killed, and its code is known.
bool has_exit_code(const AttemptEnd& end) {
  if (end.exit_code != 0 || end.reason == Reason::kExitCode) return end.ended_at.is_set();
  const bool ran_well =
      end.reason == Reason::kNone || end.reason == Reason::kCheckFailed || end.reason == Reason::kInvalidOutput;
  return ran_well && end.started_at.is_set() && end.ended_at.is_set();
}

void append_end(ValueMap& out, const AttemptEnd& end) {
  out.emplace_back("reason", end.reason == Reason::kNone ? Value() : Value(name_of(end.reason)));
  out.emplace_back("exit_code", has_exit_code(end) ? Value(std::int64_t{end.exit_code}) : Value());
  out.emplace_back("message", text_or_null(end.message));
  out.emplace_back("started_at", time_json(end.started_at));
  out.emplace_back("ended_at", time_json(end.ended_at));
  out.emplace_back("cpu_seconds", static_cast<double>(end.usage.cpu_us) / 1e6);
  out.emplace_back("peak_memory_bytes", size_json(end.usage.peak_memory_bytes));
  out.emplace_back("bytes_in", size_json(end.usage.bytes_in));
  out.emplace_back("bytes_out", size_json(end.usage.bytes_out));
  append_images(out, end.image);
}

std::string_view outcome_of(const AttemptEnd& end) {
  if (!end.ended_at.is_set()) return end.started_at.is_set() ? "running" : "queued";
  if (end.reason == Reason::kNone) return "success";
  return end.reason == Reason::kCancelled ? "cancelled" : "failed";
}

}  // namespace

void append_images(ValueMap& out, const std::string& images) {
  const ImagesOfAttempt of = split_images(images);
  ValueMap sidecars;
  for (const auto& [name, image] : of.sidecars) sidecars.emplace_back(name, image);
  out.emplace_back("image", text_or_null(of.own));
  out.emplace_back("sidecar_images", sidecars.empty() ? Value() : Value(std::move(sidecars)));
}

Value time_json(WallTime time) { return text_or_null(to_iso8601(time)); }

Value run_json(const RunRow& run) {
  const bool left_alone = quarantine::is_left_alone(quarantine::Kind::kRun, std::to_string(run.seq.value));
  return ValueMap{{"id", run.id.text()},
                  {"dag", run.dag},
                  {"dag_version", run.dag_version},
                  {"state", name_of(run.state)},
                  {"message", left_alone ? Value(quarantine::complaint()) : text_or_null(run.message)},
                  {"params", params_json(run.params_json)},
                  {"trigger", run.trigger},
                  {"backfill", id_json(run.backfill)},
                  {"group", text_or_null(run.group)},
                  {"requested_by", text_or_null(run.requested_by)},
                  {"request_id", text_or_null(run.request_id)},
                  {"logical_time", time_json(run.logical_time)},
                  {"interval_start", time_json(run.interval_start)},
                  {"interval_end", time_json(run.interval_end)},
                  {"generation", std::int64_t{run.generation}},
                  {"task_count", std::int64_t{run.instances}},
                  {"created_at", time_json(run.created_at)},
                  {"started_at", time_json(run.started_at)},
                  {"ended_at", time_json(run.ended_at)},
                  {"late_at", time_json(run.late_at)},
                  {"pruned_at", time_json(run.pruned_at)}};
}

Value event_json(const TriggerEventRow& event) {
  return ValueMap{{"event", std::int64_t(event.id.value)},
                  {"source", to_text(event.source)},
                  {"at", time_json(event.at)},
                  {"detail", event.detail}};
}

Value counts_json(const std::array<std::uint64_t, kTaskStates>& counts) {
  ValueMap out;
  for (std::size_t state = 0; state < kTaskStates; ++state) {
    if (counts[state] != 0) out.emplace_back(name_of(static_cast<TaskState>(state)), size_json(counts[state]));
  }
  return out;
}

Value task_json(const TaskRow& row, const Instances* instances) {
  const std::uint32_t index = row.key.index;
  ValueMap out{{"index", std::int64_t{index}}};
  if (instances != nullptr && index < instances->size()) {
    out.emplace_back("name", instances->name_of(index));
    out.emplace_back("task", instances->dag().tasks[instances->task_of(index)].id);
    out.emplace_back("key", text_or_null(instances->key_of(index)));
  } else {
    out.emplace_back("name", fmt::format("#{}", index));
  }
  out.emplace_back("state", name_of(row.state));
  out.emplace_back("allowed", row.allowed);
  out.emplace_back("attempt", row.attempt ? Value(to_text(row.attempt)) : Value());
  out.emplace_back("attempt_no", std::int64_t{row.attempt_no});
  out.emplace_back("worker", id_json(row.worker));
  out.emplace_back("ready_at", time_json(row.ready_at));
  out.emplace_back("queued_at", time_json(row.queued_at));
  const bool waits = row.state == TaskState::kWaiting;
  out.emplace_back("retry_at", time_json(waits ? WallTime{} : row.retry_at));
  out.emplace_back("late_at", time_json(waits ? row.retry_at : WallTime{}));
  append_end(out, row.end);
  return out;
}

AttemptRow latest_attempt(const TaskRow& row) {
  return {row.key, row.attempt, row.attempt_no, row.worker, row.queued_at, row.end};
}

Value attempt_json(const AttemptRow& row, std::string_view state) {
  ValueMap out{{"attempt", to_text(row.attempt)},
               {"attempt_no", std::int64_t{row.attempt_no}},
               {"state", state},
               {"worker", id_json(row.worker)},
               {"queued_at", time_json(row.queued_at)}};
  append_end(out, row.end);
  return out;
}

Value attempts_json(const TaskRow& row, const std::vector<AttemptRow>& earlier) {
  ValueList out;
  if (row.attempt) {
    const bool live = holds_attempt(row.state);
    out.emplace_back(attempt_json(latest_attempt(row), live ? name_of(row.state) : outcome_of(row.end)));
  }
  for (const AttemptRow& attempt : earlier) out.emplace_back(attempt_json(attempt, outcome_of(attempt.end)));
  return out;
}

Value input_json(const InputRow& row) {
  const InputObject& object = row.object;
  return ValueMap{{"name", object.name},
                  {"path", object.path},
                  {"attempt", to_text(row.attempt)},
                  {"object", object.key},
                  {"size_bytes", size_json(object.size)},
                  {"sha256", object.sha256},
                  {"asset_version", id_json(object.asset)},
                  {"s3", text_or_null(object.s3)},
                  {"etag", text_or_null(object.etag)},
                  {"store_version", text_or_null(object.store_version)},
                  {"producer_attempt", object.producer_attempt ? Value(to_text(object.producer_attempt)) : Value()}};
}

Value artifact_json(const ArtifactRow& row) {
  const OutputObject& object = row.object;
  return ValueMap{{"name", object.name},
                  {"attempt", to_text(row.attempt)},
                  {"object", object.key},
                  {"size_bytes", size_json(object.size)},
                  {"sha256", object.sha256},
                  {"packed", object.packed},
                  {"asset", text_or_null(object.asset_uri)},
                  {"asset_name", text_or_null(object.asset_name)},
                  {"asset_version", id_json(row.asset)},
                  {"made_by_attempt", row.made_by_attempt ? Value(to_text(row.made_by_attempt)) : Value()},
                  {"collected_at", time_json(row.collected_at)}};
}

Value value_json(const ValueRow& row) {
  return ValueMap{{"name", row.value.name},
                  {"value", row.value.value},
                  {"metric", row.value.metric},
                  {"attempt", to_text(row.attempt)},
                  {"at", time_json(row.at)}};
}

Value asset_json(const AssetVersion& version) {
  return ValueMap{{"id", id_json(version.id)},
                  {"uri", version.uri},
                  {"name", text_or_null(version.name)},
                  {"object", version.key},
                  {"size_bytes", size_json(version.size)},
                  {"sha256", version.sha256},
                  {"packed", version.packed},
                  {"artifact", version.artifact},
                  {"attempt", to_text(version.attempt)},
                  {"etag", text_or_null(version.etag)},
                  {"store_version", text_or_null(version.store_version)},
                  {"created_at", time_json(version.created_at)},
                  {"published_at", time_json(version.published_at)}};
}

Value alias_json(const AliasRow& row) {
  return ValueMap{{"model", row.model},
                  {"alias", row.alias},
                  {"version", id_json(row.version)},
                  {"previous", id_json(row.previous)},
                  {"by", text_or_null(row.by)},
                  {"by_attempt", row.by_attempt ? Value(to_text(row.by_attempt)) : Value()},
                  {"at", time_json(row.at)}};
}

Value audit_json(const AuditEntry& entry) {
  const AuditRow& row = entry.row;
  return ValueMap{{"number", static_cast<std::int64_t>(entry.number)},
                  {"at", time_json(row.at)},
                  {"principal", row.principal},
                  {"source", row.source},
                  {"verb", row.verb},
                  {"object", row.object},
                  {"result", row.result},
                  {"detail", row.detail},
                  {"hash", entry.hash}};
}

Value dag_json(const DagVersionRow& row) {
  return ValueMap{{"name", row.dag},
                  {"version", row.version},
                  {"commit", text_or_null(row.commit)},
                  {"created_at", time_json(row.created_at)}};
}

Value page_json(ValueList items, Value next) {
  return ValueMap{{"items", std::move(items)}, {"next", std::move(next)}};
}

}  // namespace chappe::api
