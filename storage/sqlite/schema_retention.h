/// \file
/// Part of the schema: how long artifacts are kept. Private to storage/sqlite.
#pragma once

namespace chappe::sqlite {

// Runs that ended before have no time at which theirs go. An artifact is collected first, and its object removed after:
// between the two the object is doomed.
inline constexpr char kSchema18[] = R"sql(
ALTER TABLE runs ADD COLUMN retention_due_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN retention_keep_us INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE runs ADD COLUMN retention_keep_last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN collected INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_retention ON runs (retention_due_us) WHERE retention_due_us > 0;
ALTER TABLE artifacts ADD COLUMN retention_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE artifacts ADD COLUMN collected_at_us INTEGER NOT NULL DEFAULT 0;
CREATE TABLE doomed_objects (object_key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
)sql";

}  // namespace chappe::sqlite
