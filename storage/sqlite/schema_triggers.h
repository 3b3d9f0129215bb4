/// \file
/// Steps of the schema that are about triggers and what they have seen, and about states. Private to
/// storage/sqlite/schema.cc.
#pragma once

namespace chappe::sqlite {

// An event waits with run 0. What came with a run stays with it, and no event of one key comes twice.
inline constexpr char kSchema10[] = R"sql(
CREATE TABLE event_kinds (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO event_kinds VALUES (1, 'asset'), (2, 'dag'), (3, 's3'), (4, 'webhook');
CREATE TABLE trigger_events (
  id INTEGER PRIMARY KEY,
  dag TEXT NOT NULL,
  kind INTEGER NOT NULL REFERENCES event_kinds (id),
  source TEXT NOT NULL,
  key TEXT NOT NULL,
  detail TEXT NOT NULL,  -- JSON.
  params TEXT NOT NULL,  -- JSON.
  logical_time_us INTEGER NOT NULL,
  interval_start_us INTEGER NOT NULL,
  interval_end_us INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  run INTEGER NOT NULL
) STRICT;
CREATE INDEX trigger_events_by_run ON trigger_events (run);
CREATE UNIQUE INDEX trigger_events_by_key ON trigger_events (dag, kind, source, key) WHERE key <> '';
ALTER TABLE deployments ADD COLUMN triggers TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN sources TEXT NOT NULL DEFAULT '[]';  -- JSON.
ALTER TABLE deployments ADD COLUMN waits_for TEXT NOT NULL DEFAULT '';
)sql";

// What a trigger has looked for the first time has a row with the object ''.
inline constexpr char kSchema13[] = R"sql(
CREATE TABLE sightings (
  dag TEXT NOT NULL,
  source TEXT NOT NULL,
  object TEXT NOT NULL,
  stamp TEXT NOT NULL,
  PRIMARY KEY (dag, source, object)
) STRICT, WITHOUT ROWID;
)sql";

// Values that outlive runs.
inline constexpr char kSchema14[] = R"sql(
CREATE TABLE states (
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,  -- JSON.
  version INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  by_task INTEGER NOT NULL,
  by_attempt INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace chappe::sqlite
