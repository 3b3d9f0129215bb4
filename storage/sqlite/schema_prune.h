/// \file
/// Part of the schema: runs that were pruned. Private to storage/sqlite.
#pragma once

namespace chappe::sqlite {

// Of a run that was pruned its row stays; while others of its rows or objects may be left it is in `pruning`. Indexes
// say who refers to a run, and what lists of a stretch of time hold. inputs_by_key is made anew: that of the many
// inputs of one object some are another run's is told by two looks.
inline constexpr char kSchema23[] = R"sql(
ALTER TABLE runs ADD COLUMN pruned_at_us INTEGER NOT NULL DEFAULT 0;
CREATE TABLE pruning (run INTEGER PRIMARY KEY) STRICT;
CREATE INDEX runs_by_end ON runs (ended_at_us, seq) WHERE pruned_at_us = 0 AND ended_at_us > 0;
CREATE INDEX runs_by_creation ON runs (created_at_us);
CREATE INDEX audit_by_time ON audit (at_us);
CREATE INDEX runs_by_parent ON runs (parent_task) WHERE parent_task <> 0;
CREATE INDEX artifacts_of_assets ON artifacts (task) WHERE asset_version <> 0;
CREATE INDEX states_by_task ON states (by_task) WHERE by_task <> 0;
CREATE INDEX cache_uses_by_source ON cache_uses (from_attempt) WHERE from_attempt <> 0;
DROP INDEX inputs_by_key;
CREATE INDEX inputs_by_key ON inputs (object_key, task);
)sql";

}  // namespace chappe::sqlite
