/// \file
/// How SqliteMetaReader asks: for its own sources only.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/sqlite/sqlite_meta_reader.h"
#include "storage/sqlite/tables.h"

namespace chappe::sqlite {

inline constexpr std::size_t kRunsMax = 1'000;  ///< Of one answer.

inline WallTime end_of(const TimeRange& range) { return range.until.is_set() ? range.until : WallTime{INT64_MAX}; }

[[noreturn]] inline void not_found(std::string what) { throw Failed{{ErrorCode::kNotFound, std::move(what)}}; }

template <typename Row>
Row found(std::optional<Row> row, const std::string& what) {
  if (!row) not_found("no " + what);
  return std::move(*row);
}

template <typename Work>
auto SqliteMetaReader::call(std::string_view what, Work work) -> Result<std::invoke_result_t<Work>> {
  deadline_ = Clock::now() + read_time_max_;
  return catching(what, [&] {
    Transaction snapshot(connection_, "BEGIN");
    return work();
  });
}

template <typename Row, typename... Values>
std::vector<Row> SqliteMetaReader::all(std::string_view rest, const Values&... values) {
  std::vector<Row> rows;
  Statement& statement = prepared(select_sql<Row>(rest)).query(values...);
  while (statement.step()) {
    if (rows.size() == kAnswerRowsMax) {
      statement.reset();
      throw Failed{
          {ErrorCode::kInvalidInput, fmt::format("more than {} rows: ask for one task at a time", kAnswerRowsMax)}};
    }
    read_row(statement, rows.emplace_back());
  }
  return rows;
}

template <typename Row, typename... Values>
std::optional<Row> SqliteMetaReader::first(std::string_view rest, const Values&... values) {
  Statement& statement = prepared(select_sql<Row>(rest)).query(values...);
  if (!statement.step()) return std::nullopt;
  Row row;
  read_row(statement, row);
  statement.reset();
  return row;
}

template <typename Row>
Result<std::vector<Row>> SqliteMetaReader::of_instances(std::string_view what, RunSeq run,
                                                        std::optional<std::uint32_t> index) {
  RowRange range = rows_of(run);
  if (index) range.first = range.last = InstanceKey{run, *index}.row();
  return call(
      what, [&] { return all<Row>("WHERE t.task BETWEEN ?1 AND ?2 ORDER BY t.task, t.row", range.first, range.last); });
}

}  // namespace chappe::sqlite
