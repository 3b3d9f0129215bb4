#include "storage/sqlite/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/base/assert.h"
#include "storage/sqlite/schema_datasets.h"
#include "storage/sqlite/schema_notify.h"
#include "storage/sqlite/schema_objects.h"
#include "storage/sqlite/schema_pods.h"
#include "storage/sqlite/schema_prune.h"
#include "storage/sqlite/schema_retention.h"
#include "storage/sqlite/schema_runs.h"
#include "storage/sqlite/schema_triggers.h"

namespace chappe::sqlite {
namespace {

// Times are microseconds since 1970 (UTC), 0 where not set; so are sizes and ids that are 0: SQLite spends no byte on
// a 0. The views show NULL and ISO 8601 instead, and names for numbers.
//
// `tasks` is written twice for each task of each run, so it has no index but its key, and holds the latest attempt
// itself. Its id is run << 32 | position: the rows of a run lie side by side.
constexpr char kSchema1[] = R"sql(
CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL
) STRICT;
INSERT INTO store VALUES (1, 0);

CREATE TABLE task_states (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO task_states VALUES (0, 'none'), (1, 'scheduled'), (2, 'queued'), (3, 'running'), (4, 'committing'),
  (5, 'up_for_retry'), (6, 'waiting'), (7, 'success'), (8, 'failed'), (9, 'skipped'), (10, 'upstream_failed'),
  (11, 'cancelled');
CREATE TABLE run_states (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO run_states VALUES (0, 'queued'), (1, 'running'), (2, 'success'), (3, 'failed'), (4, 'cancelled');
CREATE TABLE reasons (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO reasons VALUES (0, 'none'), (1, 'exit_code'), (2, 'signal'), (3, 'timeout'), (4, 'queue_timeout'),
  (5, 'oom'), (6, 'lost_worker'), (7, 'artifact_io'), (8, 'invalid_output'), (9, 'launch_failed'), (10, 'cancelled'),
  (11, 'check_failed'), (12, 'upstream');

CREATE TABLE dag_versions (
  version TEXT NOT NULL UNIQUE,
  dag TEXT NOT NULL,
  source TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  submitted_at_us INTEGER NOT NULL  -- The latest time: going back to an older text makes it the newest.
) STRICT;
CREATE INDEX dag_versions_by_dag ON dag_versions (dag, submitted_at_us);

CREATE TABLE runs (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  dag TEXT NOT NULL,
  dag_version TEXT NOT NULL REFERENCES dag_versions (version),
  params TEXT NOT NULL,
  trigger_kind TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  request_id TEXT NOT NULL,
  logical_time_us INTEGER NOT NULL,
  interval_start_us INTEGER NOT NULL,
  interval_end_us INTEGER NOT NULL,
  state INTEGER NOT NULL REFERENCES run_states (id),
  stop INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  instances INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_by_request ON runs (request_id) WHERE request_id <> '';
CREATE INDEX runs_by_dag ON runs (dag, state);
CREATE INDEX runs_by_state ON runs (state);

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  allowed INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  attempt_no INTEGER NOT NULL,
  user_tries INTEGER NOT NULL,
  infra_tries INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  ready_at_us INTEGER NOT NULL,
  queued_at_us INTEGER NOT NULL,
  retry_at_us INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  exit_code INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  cpu_us INTEGER NOT NULL,
  peak_memory_bytes INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT;

CREATE TABLE earlier_attempts (
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  attempt_no INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  queued_at_us INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  exit_code INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  cpu_us INTEGER NOT NULL,
  peak_memory_bytes INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (task, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
  seq INTEGER PRIMARY KEY,
  incarnation TEXT NOT NULL,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  cpu_milli INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  joined_at_us INTEGER NOT NULL,
  lost_at_us INTEGER NOT NULL
) STRICT;

-- What winning attempts wrote, and what attempts were handed: the two halves of lineage.
CREATE TABLE artifacts (
  row INTEGER PRIMARY KEY,
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  name TEXT NOT NULL,
  object_key TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  packed INTEGER NOT NULL,
  etag TEXT NOT NULL,
  asset_uri TEXT NOT NULL,
  asset_name TEXT NOT NULL,
  upload TEXT NOT NULL,
  asset_version INTEGER NOT NULL
) STRICT;
CREATE INDEX artifacts_by_task ON artifacts (task);
CREATE INDEX artifacts_by_key ON artifacts (object_key);

CREATE TABLE inputs (
  row INTEGER PRIMARY KEY,
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  object_key TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  packed INTEGER NOT NULL,
  asset_version INTEGER NOT NULL,
  producer INTEGER NOT NULL,
  producer_attempt INTEGER NOT NULL
) STRICT;
CREATE INDEX inputs_by_task ON inputs (task);
CREATE INDEX inputs_by_key ON inputs (object_key);

CREATE TABLE task_values (
  row INTEGER PRIMARY KEY,
  task INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,  -- JSON.
  metric INTEGER NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX task_values_by_task ON task_values (task);

CREATE TABLE asset_versions (
  id INTEGER PRIMARY KEY,
  uri TEXT NOT NULL,
  name TEXT NOT NULL,
  object_key TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  packed INTEGER NOT NULL,
  producer INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  artifact TEXT NOT NULL,
  etag TEXT NOT NULL,
  store_version TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  published_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX asset_versions_by_uri ON asset_versions (uri);
CREATE INDEX asset_versions_by_name ON asset_versions (name) WHERE name <> '';
-- The newest published version of each URI, kept with each publication: so no list ever walks all versions.
CREATE TABLE newest_asset_versions (
  uri TEXT PRIMARY KEY,
  id INTEGER NOT NULL UNIQUE REFERENCES asset_versions (id)
) STRICT, WITHOUT ROWID;

-- Append only: the newest row of (model, alias) is where the alias stands.
CREATE TABLE alias_moves (
  row INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  alias TEXT NOT NULL,
  asset_version INTEGER NOT NULL,
  previous_version INTEGER NOT NULL,
  by_task INTEGER NOT NULL,
  by_attempt INTEGER NOT NULL,
  moved_by TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX alias_moves_by_alias ON alias_moves (model, alias);
CREATE INDEX alias_moves_by_task ON alias_moves (by_task) WHERE by_task <> 0;

CREATE TABLE audit (
  row INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  principal TEXT NOT NULL,
  verb TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

-- For people with the sqlite3 shell.
CREATE VIEW run_list AS
SELECT r.id, r.dag, s.name AS state, r.generation, r.instances, r.trigger_kind, r.requested_by, r.params,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(r.created_at_us, 0) / 1e6, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(r.started_at_us, 0) / 1e6, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(r.ended_at_us, 0) / 1e6, 'unixepoch') AS ended_at,
  r.message, r.dag_version, r.seq
FROM runs r JOIN run_states s ON s.id = r.state;

CREATE VIEW task_list AS
SELECT r.id AS run, r.dag, t.id & 4294967295 AS position, s.name AS state, nullif(x.name, 'none') AS reason,
  t.exit_code, t.attempt_no AS attempts, w.name AS worker,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(t.queued_at_us, 0) / 1e6, 'unixepoch') AS queued_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(t.started_at_us, 0) / 1e6, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(t.ended_at_us, 0) / 1e6, 'unixepoch') AS ended_at,
  t.cpu_us, t.peak_memory_bytes, t.message
FROM tasks t JOIN runs r ON r.seq = t.id >> 32 JOIN task_states s ON s.id = t.state JOIN reasons x ON x.id = t.reason
LEFT JOIN workers w ON w.seq = t.worker;

CREATE VIEW attempts AS
SELECT r.id AS run, r.dag, a.task & 4294967295 AS position, printf('%016x', a.attempt) AS attempt, a.attempt_no,
  a.state, nullif(x.name, 'none') AS reason, a.exit_code, w.name AS worker, w.host,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(a.queued_at_us, 0) / 1e6, 'unixepoch') AS queued_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(a.started_at_us, 0) / 1e6, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', nullif(a.ended_at_us, 0) / 1e6, 'unixepoch') AS ended_at,
  a.cpu_us, a.peak_memory_bytes, a.bytes_in, a.bytes_out, a.message
FROM (
  SELECT t.id AS task, t.attempt, t.attempt_no, s.name AS state, t.reason, t.exit_code, t.worker, t.queued_at_us,
    t.started_at_us, t.ended_at_us, t.cpu_us, t.peak_memory_bytes, t.bytes_in, t.bytes_out, t.message
  FROM tasks t JOIN task_states s ON s.id = t.state WHERE t.attempt <> 0
  UNION ALL
  SELECT e.task, e.attempt, e.attempt_no, CASE e.reason WHEN 0 THEN 'success' WHEN 10 THEN 'cancelled' ELSE 'failed' END,
    e.reason, e.exit_code, e.worker, e.queued_at_us, e.started_at_us, e.ended_at_us, e.cpu_us, e.peak_memory_bytes,
    e.bytes_in, e.bytes_out, e.message
  FROM earlier_attempts e
) a JOIN runs r ON r.seq = a.task >> 32 JOIN reasons x ON x.id = a.reason LEFT JOIN workers w ON w.seq = a.worker;

CREATE VIEW aliases AS
SELECT a.model, a.alias, v.uri, v.id AS asset_version, v.sha256, a.moved_by,
  strftime('%Y-%m-%dT%H:%M:%fZ', a.at_us / 1e6, 'unixepoch') AS moved_at
FROM alias_moves a JOIN asset_versions v ON v.id = a.asset_version
WHERE a.row = (SELECT max(b.row) FROM alias_moves b WHERE b.model = a.model AND b.alias = a.alias);
)sql";

// The audit log is a chain (audit_chain.h): rows are added, never changed. The triggers keep an honest hand from
// slipping, the hashes show a dishonest one.
constexpr char kSchema2[] = R"sql(
CREATE TABLE roles (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO roles VALUES (1, 'viewer'), (2, 'operator'), (3, 'author'), (4, 'admin');
CREATE TABLE tokens (
  name TEXT PRIMARY KEY,
  role INTEGER NOT NULL REFERENCES roles (id),
  sha256 TEXT NOT NULL UNIQUE,
  created_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE workers ADD COLUMN key TEXT NOT NULL DEFAULT '';

ALTER TABLE audit ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN result TEXT NOT NULL DEFAULT 'ok';
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE TRIGGER audit_rows_stay BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_rows_are_kept BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
)sql";

// What fan-outs over results came to: rows are added, never changed.
constexpr char kSchema3[] = R"sql(
CREATE TABLE fan_outs (
  row INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  task INTEGER NOT NULL,
  items TEXT NOT NULL  -- JSON: a list, or start, count and step of a sequence.
) STRICT;
CREATE INDEX fan_outs_by_run ON fan_outs (run);
)sql";

// A row stays when its DAG is undeployed: no time of its schedule ever makes a second run.
constexpr char kSchema4[] = R"sql(
CREATE TABLE deployments (
  dag TEXT PRIMARY KEY,
  dag_version TEXT NOT NULL REFERENCES dag_versions (version),
  schedule TEXT NOT NULL,
  origin TEXT NOT NULL,
  paused INTEGER NOT NULL,
  removed INTEGER NOT NULL,
  fired_to_us INTEGER NOT NULL,
  next_at_us INTEGER NOT NULL,
  deployed_by TEXT NOT NULL,
  deployed_at_us INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_dag_and_age ON runs (dag);
CREATE UNIQUE INDEX runs_by_schedule ON runs (dag, logical_time_us) WHERE trigger_kind = 'schedule';
)sql";

constexpr char kSchema5[] = R"sql(
ALTER TABLE tasks ADD COLUMN iteration INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr char kSchema6[] = R"sql(
ALTER TABLE runs ADD COLUMN parent_task INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN parent_attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
)sql";

// Results that may be used again. A cached result's artifacts are rows of whoever uses it, too, and say who made them.
constexpr char kSchema7[] = R"sql(
ALTER TABLE runs ADD COLUMN no_cache INTEGER NOT NULL DEFAULT 0;
ALTER TABLE artifacts ADD COLUMN made_by INTEGER NOT NULL DEFAULT 0;
ALTER TABLE artifacts ADD COLUMN made_by_attempt INTEGER NOT NULL DEFAULT 0;
CREATE TABLE cache_uses (
  task INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL,
  scope TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  parts TEXT NOT NULL,  -- JSON.
  from_attempt INTEGER NOT NULL,
  told TEXT NOT NULL
) STRICT;
CREATE TABLE cache_entries (
  scope TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  parts TEXT NOT NULL,
  task TEXT NOT NULL,
  map_key TEXT NOT NULL,
  run TEXT NOT NULL,
  producer INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  made_at_us INTEGER NOT NULL,
  used_at_us INTEGER NOT NULL,
  PRIMARY KEY (scope, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX cache_entries_by_use ON cache_entries (scope, task, used_at_us);
CREATE INDEX cache_entries_by_item ON cache_entries (scope, task, map_key, used_at_us);
)sql";

constexpr char kSchema8[] = R"sql(
CREATE TABLE backfills (
  id INTEGER PRIMARY KEY,
  dag TEXT NOT NULL,
  dag_version TEXT NOT NULL REFERENCES dag_versions (version),
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  reprocess INTEGER NOT NULL,
  newest_first INTEGER NOT NULL,
  max_active INTEGER NOT NULL,
  only_tasks TEXT NOT NULL,  -- With commas; '' for all.
  params TEXT NOT NULL,
  state INTEGER NOT NULL,
  done_us INTEGER NOT NULL,
  total INTEGER NOT NULL,
  made INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX backfills_by_dag ON backfills (dag);
CREATE INDEX backfills_that_live ON backfills (id) WHERE state < 2;
ALTER TABLE runs ADD COLUMN backfill INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN rerun_of INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_time ON runs (dag, logical_time_us);
CREATE INDEX runs_by_backfill ON runs (backfill, state) WHERE backfill <> 0;
)sql";

constexpr char kSchema9[] = R"sql(
ALTER TABLE tasks ADD COLUMN image TEXT NOT NULL DEFAULT '';
ALTER TABLE earlier_attempts ADD COLUMN image TEXT NOT NULL DEFAULT '';
)sql";

// Where the file of a version came from. Of those before nobody knows.
constexpr char kSchema16[] = R"sql(
ALTER TABLE dag_versions ADD COLUMN git_commit TEXT NOT NULL DEFAULT '';
)sql";

constexpr char kSchema17[] = R"sql(
ALTER TABLE runs ADD COLUMN late_at_us INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array kMigrations{Migration{1, "first schema", kSchema1},
                                 Migration{2, "tokens, and a chain of audit rows", kSchema2},
                                 Migration{3, "fan-outs over results", kSchema3},
                                 Migration{4, "deployed DAGs and their schedules", kSchema4},
                                 Migration{5, "iterations of loops", kSchema5},
                                 Migration{6, "runs that tasks start", kSchema6},
                                 Migration{7, "results that are used again", kSchema7},
                                 Migration{8, "backfills and reruns", kSchema8},
                                 Migration{9, "images that attempts ran in", kSchema9},
                                 Migration{10, "events that start runs", kSchema10},
                                 Migration{11, "workers in pods", kSchema11},
                                 Migration{12, "notifications", kSchema12},
                                 Migration{13, "objects that triggers have seen", kSchema13},
                                 Migration{14, "values that outlive runs", kSchema14},
                                 Migration{15, "images of pods", kSchema15},
                                 Migration{16, "commits of DAG versions", kSchema16},
                                 Migration{17, "deadlines of runs", kSchema17},
                                 Migration{18, "retention of artifacts", kSchema18},
                                 Migration{19, "datasets outside", kSchema19},
                                 Migration{20, "groups and outputs of runs", kSchema20},
                                 Migration{22, "objects that attempts read", kSchema22},
                                 Migration{23, "runs that were pruned", kSchema23},
                                 Migration{24, "days in the zones of DAGs", kSchema24}};

std::int64_t number(Connection& connection, const char* sql) {
  Statement statement(connection, sql);
  CHAPPE_ASSERT(statement.query().step());
  return statement.next<std::int64_t>();
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

bool needs_migration(Connection& connection, std::span<const Migration> known) {
  const std::int64_t application = number(connection, "PRAGMA application_id");
  if (application == 0 && number(connection, "SELECT count(*) FROM sqlite_schema") == 0) return true;
  if (application != kApplicationId) {
    throw Failed{{ErrorCode::kInvalidInput, "this is a database of another program: name another file"}};
  }
  const std::int64_t version = number(connection, "SELECT coalesce(max(version), 0) FROM migrations");
  if (version > known.back().version) {
    throw Failed{{ErrorCode::kInvalidInput,
                  fmt::format("schema version {} was written by a newer Chappe, this one knows up to {}: use the newer "
                              "one, or a backup from before the upgrade",
                              version, known.back().version)}};
  }
  return version < known.back().version;
}

void migrate(Connection& connection, std::span<const Migration> known, WallTime now) {
  if (!needs_migration(connection, known)) return;
  Transaction transaction(connection, "BEGIN IMMEDIATE");
  connection.execute(
      "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
      "applied_at_us INTEGER NOT NULL) STRICT");
  connection.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
  const std::int64_t done = number(connection, "SELECT coalesce(max(version), 0) FROM migrations");
  for (auto next = std::ranges::upper_bound(known, done, {}, &Migration::version); next != known.end(); ++next) {
    connection.execute(next->sql);
    Statement insert(connection, "INSERT INTO migrations VALUES (?1, ?2, ?3)");
    insert.run(next->version, std::string_view(next->name), now);
  }
  transaction.commit();
}

}  // namespace chappe::sqlite
