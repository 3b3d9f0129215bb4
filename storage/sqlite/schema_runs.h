/// \file
/// Part of the schema: what runs were given later on. Private to storage/sqlite.
#pragma once

namespace chappe::sqlite {

// Runs that share their places by name, and what a run publishes: JSON.
inline constexpr char kSchema20[] = R"sql(
ALTER TABLE runs ADD COLUMN place_group TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN outputs TEXT NOT NULL DEFAULT 'null';
)sql";

// Runs from before their dates were of their DAG's zone keep those that they have.
inline constexpr char kSchema24[] = R"sql(
ALTER TABLE runs ADD COLUMN date_in_zone INTEGER NOT NULL DEFAULT 0;
)sql";

}  // namespace chappe::sqlite
