/// \file
/// Whether data are as they must be. Pure: bytes of files in, a verdict out. Memory is bounded whatever the bytes: the
/// bounds are in table_reader.h, sample.h and distinct_set.h.
///
/// A verdict names columns, lines, counts and figures, and no value of a row: those may be about a person.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/value.h"
#include "engine/model/data_check.h"
#include "worker/data/column.h"
#include "worker/data/table_reader.h"

namespace chappe::data {

inline constexpr std::size_t kFailuresTold = 10;       ///< In a message, the first ones; the log has all.
inline constexpr std::size_t kNamesTold = 5;           ///< Of columns that nobody expected.
inline constexpr std::size_t kNameBytesTold = 60;      ///< Of a column in a verdict.
inline constexpr std::size_t kCategoriesMax = 10'000;  ///< Different texts of a column that drift is measured of.

/// One expectation, and how it was met.
struct Finding {
  bool holds = true;
  std::string text;         ///< "nulls of age 0.02 is over 0.01"
  std::string metric = {};  ///< Where it is a figure that was measured.
  double value = 0;
  Limits limits = {};
  bool operator==(const Finding&) const = default;
};

/// Feeds all bytes of one file; its error, if any, is the reader's.
using ReadFile = std::function<Result<void>(TableReader& reader)>;

/// What `data` expects of one file. `figures` as FigureNames gives them for `expected`.
/// Errors: the file could not be read (not kInvalidInput). What is wrong with its form is a finding.
Result<std::vector<Finding>> measure(const DataExpectations& expected, const std::vector<FigureSpec>& figures,
                                     const ReadFile& read);

/// The same of drift.
Result<std::vector<Finding>> measure(const DriftExpectations& expected, const std::vector<FigureSpec>& figures,
                                     const ReadFile& read_current, const ReadFile& read_baseline);

/// All failed ones, or of what holds how much; `bytes_max` at most.
std::string message_of(const std::vector<std::pair<std::string, Finding>>& by_source, std::size_t bytes_max);

/// Of a column's name in a verdict.
std::string shown(std::string_view name);
/// Of what is wrong with a file's form: a parser's word may repeat its bytes.
std::string shown_error(std::string_view message);
/// "12", "0.0123457".
std::string shown(double number);
/// The finding that a figure comes to. `more`: what else there is to say of it where it does not hold.
Finding finding_of(const FigureSpec& figure, double value, const std::string& more = "");

}  // namespace chappe::data
