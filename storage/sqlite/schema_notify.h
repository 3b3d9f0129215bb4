/// \file
/// Part of the schema: notifications. Private to storage/sqlite.
#pragma once

namespace chappe::sqlite {

// What people are told, and what came of it. A row is made with what it is about, and sent afterwards.
inline constexpr char kSchema12[] = R"sql(
CREATE TABLE notifications (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  dag TEXT NOT NULL,
  dag_version TEXT NOT NULL,
  notice INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  task TEXT NOT NULL,
  text TEXT NOT NULL,
  made_at_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  told TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX notifications_once ON notifications (run, generation, notice, task, channel);
CREATE INDEX notifications_by_state ON notifications (state);
)sql";

}  // namespace chappe::sqlite
