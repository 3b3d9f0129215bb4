/// \file
/// How each record stands in its table: the columns, and the fields in the same order. The one place that knows both.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include "engine/ports/meta_reader.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

template <typename Row>
struct Table;

template <>
struct Table<DagVersionRow> {
  static constexpr std::string_view kName = "dag_versions";
  static constexpr std::string_view kColumns = "version, dag, source, created_at_us, git_commit";
  static auto fields(auto& row) { return std::tie(row.version, row.dag, row.source, row.created_at, row.commit); }
};

template <>
struct Table<RunRow> {
  static constexpr std::string_view kName = "runs";
  static constexpr std::string_view kColumns =
      "seq, id, dag, dag_version, params, trigger_kind, requested_by, request_id, logical_time_us, interval_start_us, "
      "interval_end_us, state, stop, generation, instances, created_at_us, started_at_us, ended_at_us, message, "
      "parent_task, parent_attempt, depth, no_cache, backfill, rerun_of, late_at_us, retention_due_us, "
      "retention_keep_us, retention_keep_last, collected, place_group, outputs, date_in_zone, pruned_at_us";
  static auto fields(auto& row) {
    return std::tie(row.seq, row.id, row.dag, row.dag_version, row.params_json, row.trigger, row.requested_by,
                    row.request_id, row.logical_time, row.interval_start, row.interval_end, row.state, row.stop,
                    row.generation, row.instances, row.created_at, row.started_at, row.ended_at, row.message,
                    row.parent.key, row.parent.attempt, row.depth, row.no_cache, row.backfill, row.rerun_of,
                    row.late_at, row.retention.due, row.retention.keep, row.retention.keep_last,
                    row.retention.collected, row.group, row.outputs, row.date_in_zone, row.pruned_at);
  }
};

template <>
struct Table<TaskRow> {
  static constexpr std::string_view kName = "tasks";
  static constexpr std::string_view kColumns =
      "id, state, allowed, attempt, attempt_no, user_tries, infra_tries, worker, ready_at_us, queued_at_us, "
      "retry_at_us, reason, exit_code, started_at_us, ended_at_us, cpu_us, peak_memory_bytes, bytes_in, bytes_out, "
      "message, iteration, image";
  static auto fields(auto& row) {
    auto& end = row.end;
    return std::tie(row.key, row.state, row.allowed, row.attempt, row.attempt_no, row.user_tries, row.infra_tries,
                    row.worker, row.ready_at, row.queued_at, row.retry_at, end.reason, end.exit_code, end.started_at,
                    end.ended_at, end.usage.cpu_us, end.usage.peak_memory_bytes, end.usage.bytes_in,
                    end.usage.bytes_out, end.message, row.iteration, end.image);
  }
};

template <>
struct Table<AttemptRow> {
  static constexpr std::string_view kName = "earlier_attempts";
  static constexpr std::string_view kColumns =
      "task, attempt, attempt_no, worker, queued_at_us, reason, exit_code, started_at_us, ended_at_us, cpu_us, "
      "peak_memory_bytes, bytes_in, bytes_out, message, image";
  static auto fields(auto& row) {
    auto& end = row.end;
    return std::tie(row.key, row.attempt, row.attempt_no, row.worker, row.queued_at, end.reason, end.exit_code,
                    end.started_at, end.ended_at, end.usage.cpu_us, end.usage.peak_memory_bytes, end.usage.bytes_in,
                    end.usage.bytes_out, end.message, end.image);
  }
};

template <>
struct Table<AttemptImage> {
  static constexpr std::string_view kName = "attempt_images";
  static constexpr std::string_view kColumns = "attempt, image";
  static auto fields(auto& row) { return std::tie(row.attempt, row.image); }
};

template <>
struct Table<WorkerRow> {
  static constexpr std::string_view kName = "workers";
  static constexpr std::string_view kColumns =
      "seq, incarnation, name, host, cpu_milli, memory_bytes, joined_at_us, lost_at_us, key, pod";
  static auto fields(auto& row) {
    return std::tie(row.seq, row.incarnation, row.name, row.host, row.cpu_milli, row.memory_bytes, row.joined_at,
                    row.lost_at, row.key, row.pod);
  }
};

template <>
struct Table<ArtifactRow> {
  static constexpr std::string_view kName = "artifacts";
  static constexpr std::string_view kColumns =
      "task, attempt, name, object_key, size_bytes, sha256, packed, etag, asset_uri, asset_name, upload, "
      "asset_version, made_by, made_by_attempt, retention_us, collected_at_us";
  static auto fields(auto& row) {
    auto& object = row.object;
    return std::tie(row.key, row.attempt, object.name, object.key, object.size, object.sha256, object.packed,
                    object.etag, object.asset_uri, object.asset_name, object.upload, row.asset, row.made_by,
                    row.made_by_attempt, row.retention, row.collected_at);
  }
};

template <>
struct Table<InputRow> {
  static constexpr std::string_view kName = "inputs";
  static constexpr std::string_view kColumns =
      "task, attempt, name, path, object_key, size_bytes, sha256, packed, asset_version, producer, "
      "producer_attempt, s3, etag, store_version";
  static auto fields(auto& row) {
    auto& object = row.object;
    return std::tie(row.key, row.attempt, object.name, object.path, object.key, object.size, object.sha256,
                    object.packed, object.asset, object.producer, object.producer_attempt, object.s3, object.etag,
                    object.store_version);
  }
};

template <>
struct Table<DatasetRow> {
  static constexpr std::string_view kName = "datasets";
  static constexpr std::string_view kColumns = "task, attempt, written, uri";
  static auto fields(auto& row) { return std::tie(row.key, row.attempt, row.written, row.uri); }
};

template <>
struct Table<ValueRow> {
  static constexpr std::string_view kName = "task_values";
  static constexpr std::string_view kColumns = "task, attempt, name, value, metric, at_us";
  static auto fields(auto& row) {
    return std::tie(row.key, row.attempt, row.value.name, row.value.value, row.value.metric, row.at);
  }
};

template <>
struct Table<FanOutRow> {
  static constexpr std::string_view kName = "fan_outs";
  static constexpr std::string_view kColumns = "run, task, items";
  static auto fields(auto& row) { return std::tie(row.run, row.task, row.items); }
};

template <>
struct Table<AssetVersion> {
  static constexpr std::string_view kName = "asset_versions";
  static constexpr std::string_view kColumns =
      "id, uri, name, object_key, size_bytes, sha256, packed, producer, attempt, artifact, etag, store_version, "
      "created_at_us, published_at_us";
  static auto fields(auto& row) {
    return std::tie(row.id, row.uri, row.name, row.key, row.size, row.sha256, row.packed, row.producer, row.attempt,
                    row.artifact, row.etag, row.store_version, row.created_at, row.published_at);
  }
};

template <>
struct Table<AliasRow> {
  static constexpr std::string_view kName = "alias_moves";
  static constexpr std::string_view kColumns =
      "model, alias, asset_version, previous_version, by_task, by_attempt, moved_by, at_us";
  static auto fields(auto& row) {
    return std::tie(row.model, row.alias, row.version, row.previous, row.by_task, row.by_attempt, row.by, row.at);
  }
};

template <>
struct Table<AuditRow> {
  static constexpr std::string_view kName = "audit";
  static constexpr std::string_view kColumns = "at_us, principal, verb, object, detail, source, result";
  static auto fields(auto& row) {
    return std::tie(row.at, row.principal, row.verb, row.object, row.detail, row.source, row.result);
  }
};

template <>
struct Table<AuditEntry> {
  static constexpr std::string_view kName = "audit";
  static constexpr std::string_view kColumns = "row, at_us, principal, verb, object, detail, source, result, hash";
  static auto fields(auto& entry) {
    return std::tuple_cat(std::tie(entry.number), Table<AuditRow>::fields(entry.row), std::tie(entry.hash));
  }
};

template <>
struct Table<TokenRow> {
  static constexpr std::string_view kName = "tokens";
  static constexpr std::string_view kColumns = "name, role, sha256, created_by, created_at_us, expires_at_us";
  static auto fields(auto& row) {
    return std::tie(row.name, row.role, row.sha256, row.created_by, row.created_at, row.expires_at);
  }
};

template <>
struct Table<DeploymentRow> {
  static constexpr std::string_view kName = "deployments";
  static constexpr std::string_view kColumns =
      "dag, dag_version, schedule, origin, paused, removed, fired_to_us, next_at_us, deployed_by, deployed_at_us, "
      "message, triggers, sources, waits_for";
  static auto fields(auto& row) {
    return std::tie(row.dag, row.version, row.schedule, row.origin, row.paused, row.removed, row.fired_to, row.next_at,
                    row.deployed_by, row.deployed_at, row.message, row.triggers, row.sources, row.waits_for);
  }
};

template <>
struct Table<TriggerEventRow> {
  static constexpr std::string_view kName = "trigger_events";
  static constexpr std::string_view kColumns =
      "id, dag, kind, source, key, detail, params, logical_time_us, interval_start_us, interval_end_us, at_us, run";
  static auto fields(auto& row) {
    return std::tie(row.id, row.dag, row.source.kind, row.source.name, row.key, row.detail, row.params,
                    row.logical_time, row.interval_start, row.interval_end, row.at, row.run);
  }
};

template <>
struct Table<SightingRow> {
  static constexpr std::string_view kName = "sightings";
  static constexpr std::string_view kColumns = "dag, source, object, stamp";
  static auto fields(auto& row) { return std::tie(row.dag, row.source, row.object, row.stamp); }
};

template <>
struct Table<StateRow> {
  static constexpr std::string_view kName = "states";
  static constexpr std::string_view kColumns =
      "scope, name, value, version, fence, by_task, by_attempt, changed_by, at_us";
  static auto fields(auto& row) {
    return std::tie(row.scope, row.name, row.value, row.version, row.fence, row.by_task, row.by_attempt, row.by,
                    row.at);
  }
};

template <>
struct Table<BackfillRow> {
  static constexpr std::string_view kName = "backfills";
  static constexpr std::string_view kColumns =
      "id, dag, dag_version, from_us, to_us, reprocess, newest_first, max_active, only_tasks, params, state, done_us, "
      "total, made, skipped, created_by, created_at_us, ended_at_us, message";
  static auto fields(auto& row) {
    auto& spec = row.spec;
    return std::tie(row.id, row.dag, row.version, spec.from, spec.to, spec.reprocess, spec.newest_first,
                    spec.max_active, spec.tasks, row.params_json, row.state, row.done, row.total, row.made, row.skipped,
                    row.created_by, row.created_at, row.ended_at, row.message);
  }
};

template <>
struct Table<CacheUseRow> {
  static constexpr std::string_view kName = "cache_uses";
  static constexpr std::string_view kColumns = "task, attempt, scope, sha256, parts, from_attempt, told";
  static auto fields(auto& row) {
    auto& cache = row.cache;
    return std::tie(row.key, row.attempt, cache.scope, cache.sha256, cache.parts, row.from, row.told);
  }
};

template <>
struct Table<CacheEntryRow> {
  static constexpr std::string_view kName = "cache_entries";
  static constexpr std::string_view kColumns =
      "scope, sha256, parts, task, map_key, run, producer, attempt, made_at_us, used_at_us";
  static auto fields(auto& row) {
    auto& cache = row.cache;
    return std::tie(cache.scope, cache.sha256, cache.parts, row.task, row.map_key, row.run, row.producer, row.attempt,
                    row.made_at, row.used_at);
  }
};

template <>
struct Table<NotificationRow> {
  static constexpr std::string_view kName = "notifications";
  static constexpr std::string_view kColumns =
      "id, run, generation, run_id, dag, dag_version, notice, channel, task, text, made_at_us, state, tries, "
      "ended_at_us, told";
  static auto fields(auto& row) {
    return std::tie(row.id, row.run, row.generation, row.run_id, row.dag, row.dag_version, row.notice, row.channel,
                    row.task, row.text, row.made_at, row.state, row.tries, row.ended_at, row.told);
  }
};

template <typename Row>
constexpr int columns_of() {
  constexpr std::string_view columns = Table<Row>::kColumns;
  return static_cast<int>(std::count(columns.begin(), columns.end(), ',')) + 1;
}

/// "INSERT INTO runs (seq, ...) VALUES (?1, ...)"
template <typename Row>
std::string insert_sql() {
  std::string marks = "?1";
  for (int i = 2; i <= columns_of<Row>(); ++i) marks += fmt::format(", ?{}", i);
  return fmt::format("INSERT INTO {} ({}) VALUES ({})", Table<Row>::kName, Table<Row>::kColumns, marks);
}

/// "INSERT OR REPLACE INTO runs (seq, ...) VALUES (?1, ...)"
template <typename Row>
std::string replace_sql() {
  return "INSERT OR REPLACE" + insert_sql<Row>().substr(std::string_view("INSERT").size());
}

/// "SELECT t.seq, ... FROM runs t REST": the rest may join, and names this table t.
template <typename Row>
std::string select_sql(std::string_view rest) {
  std::string columns;
  for (const char c : Table<Row>::kColumns) columns += c == ' ' ? std::string(" t.") : std::string(1, c);
  return fmt::format("SELECT t.{} FROM {} t {}", columns, Table<Row>::kName, rest);
}

/// Inserts `row`, or whatever else `statement` does with its columns as ?1, ?2 ... and `more` after them.
template <typename Row, typename... More>
void write_row(Statement& statement, const Row& row, const More&... more) {
  std::apply([&](const auto&... fields) { statement.run(fields..., more...); }, Table<Row>::fields(row));
}

template <typename Row>
void read_row(Statement& statement, Row& row) {
  std::apply([&](auto&... fields) { statement.read(fields...); }, Table<Row>::fields(row));
}

}  // namespace chappe::sqlite
