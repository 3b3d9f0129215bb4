/// \file
/// Rows out of the bytes of a file, in whatever pieces these come. Pure; memory is that of one row.
///
///   csv         RFC 4180: fields between commas, quoted where they hold commas, quotes (doubled) or line breaks;
///               CRLF, LF or CR; the first row names the columns. A byte order mark before it is no part of it.
///   csv2        the same with semicolons; numbers have a comma before their decimals (R's read.csv2)
///   tsv         the same with tabs
///   json_lines  an object a line; its members are the columns. An empty line is none.
///
/// Null is an empty field, quoted or not, and JSON's null. A row of a table has as many fields as its first row.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/data_check.h"

namespace chappe::data {

inline constexpr std::size_t kRowBytesMax = std::size_t{16} << 20;  ///< Of one row, line breaks in quotes included.
inline constexpr std::size_t kFileColumnsMax = 10'000;              ///< That a file has, in all its rows.

struct Cell {
  /// CSV knows texts only.
  enum class Kind : std::uint8_t { kNull, kText, kNumber, kBoolean, kOther };
  Kind kind = Kind::kNull;
  std::string_view text;  ///< As it stands in the file, without quotes; of kOther and JSON's numbers as JSON.
  bool decimal_comma = false;
  bool is_null() const { return kind == Kind::kNull; }
};

struct Row {
  std::uint64_t line = 0;       ///< Where it begins, from 1.
  std::span<const Cell> cells;  ///< By position in columns(); those that are missing at the end are null.
};

class TableReader {
 public:
  using TakeRow = std::function<Result<void>(const Row&)>;

  /// `take` sees every row but the one that names columns; its error ends the reading.
  /// Requires: not kByName.
  static std::unique_ptr<TableReader> make(DataFormat format, TakeRow take);
  virtual ~TableReader() = default;

  /// Errors: kInvalidInput "line L: what", or what `take` said. Nothing may follow.
  virtual Result<void> read(std::string_view bytes) = 0;
  /// After the last byte.
  virtual Result<void> finish() = 0;

  /// Those that were seen so far; new ones come at the end. Unique.
  const std::vector<std::string>& columns() const { return columns_; }

 protected:
  explicit TableReader(TakeRow take) : take_(std::move(take)) {}
  TakeRow take_;
  std::vector<std::string> columns_;
};

}  // namespace chappe::data
