/// \file
/// What the values of one column come to, value by value.
#pragma once

#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>

#include "engine/model/data_check.h"
#include "worker/data/distinct_set.h"
#include "worker/data/sample.h"
#include "worker/data/table_reader.h"

namespace chappe::data {

inline constexpr std::size_t kMatchedBytesMax = 4096;  ///< A longer text matches no pattern.

inline constexpr double kNumberMost = 1e140;  ///< Of a number, but for its sign: sums of squares stay finite.

/// The number that the cell is: plain decimals with a point, also with an exponent; at most kNumberMost.
std::optional<double> number_of(const Cell& cell);
/// A whole number without point and exponent, "true" or "false" in any case, an ISO date of the calendar.
bool fits_type(ColumnType type, const Cell& cell);

/// Values that are not as they must be.
struct Misfits {
  std::uint64_t count = 0;
  std::uint64_t first_line = 0;
  void add(std::uint64_t line) {
    if (count++ == 0) first_line = line;
  }
};

/// What is known of a column's numbers besides their sample.
struct Numbers {
  std::uint64_t count = 0;
  double min = 0;
  double max = 0;
  double mean = 0;
  void add(double number);
  double deviation() const;  ///< Of the population; 0 of none.

 private:
  double squares_ = 0;  ///< Of the distances from the mean (Welford).
};

/// One column of expectations.
class Column {
 public:
  /// Both outlive it.
  Column(const ColumnExpectations& expected, DistinctRoom& room);

  void add(const Cell& cell, std::uint64_t line);

  std::uint64_t nulls = 0;
  std::uint64_t values = 0;  ///< That are not null.
  Numbers numbers;
  Sample sample;  ///< Where the median or a quantile is asked for.
  Misfits of_type, below, above, not_allowed, no_match, again;
  bool no_room = false;  ///< `distinct` and `again` cannot be told.
  std::uint64_t distinct() const { return seen_.count(); }
  ColumnType type() const { return type_; }  ///< That of_type counts by.

 private:
  void add_number(double number, std::uint64_t line);
  bool is_allowed(std::string_view text) const;
  bool matches(std::string_view text) const;

  const ColumnExpectations& expected_;
  ColumnType type_;
  bool samples_;
  bool counts_;
  std::optional<std::regex> pattern_;  ///< nullopt: there is none, or it is none.
  DistinctSet seen_;
};

}  // namespace chappe::data
