/// \file
/// What data must be like: `check.data`, `check.drift`, and the `schema` of an output. A worker measures it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"

namespace chappe {

inline constexpr std::size_t kDataSetsMax = 16;                    ///< Items of `data`, and of `drift`, of one check.
inline constexpr std::size_t kDataColumnsMax = 100;                ///< Columns that one of them names.
inline constexpr std::size_t kDataFiguresMax = 1000;               ///< That one check measures.
inline constexpr std::size_t kColumnNameMax = 200;                 ///< Bytes.
inline constexpr std::size_t kAllowedValuesMax = 1000;             ///< Of one column's `in`.
inline constexpr std::size_t kAllowedBytesMax = 200;               ///< Of one of them.
inline constexpr std::size_t kQuantilesMax = 20;                   ///< Of one column.
inline constexpr std::size_t kDataJsonMax = std::size_t{1} << 20;  ///< Of a whole check as JSON.
/// What a check leaves in its work directory: every figure, and those that are metrics by name.
inline constexpr std::string_view kFiguresFile = "figures.json";
inline constexpr std::string_view kFiguresValue = "figures";  ///< The value that holds all figures.

enum class DataFormat : std::uint8_t { kByName, kCsv, kTsv, kJsonLines, kCsv2 };
std::string_view name_of(DataFormat format);  ///< "json_lines"
/// By the end of a file's name or a URI, that of a compression left out; kByName: it does not say.
DataFormat data_format_of(std::string_view file_name);

enum class ColumnType : std::uint8_t { kAny, kString, kInteger, kNumber, kBoolean, kDate };
std::string_view name_of(ColumnType type);  ///< "integer"

/// From `min` to `max`, both included.
struct Limits {
  std::optional<double> min;
  std::optional<double> max;
  bool any() const { return min || max; }
  bool hold(double value) const { return (!min || value >= *min) && (!max || value <= *max); }
  bool operator==(const Limits&) const = default;
};

struct ColumnExpectations {
  std::string name;
  ColumnType type = ColumnType::kAny;  ///< Of each value that is not null.
  Limits values;                       ///< Likewise; they are numbers then.
  std::vector<std::string> allowed;    ///< Likewise; empty: anything.
  std::string pattern;                 ///< Likewise, found anywhere in it; "": anything.
  bool unique = false;                 ///< No two values are equal; nulls do not count.
  Limits nulls;                        ///< Share of the rows, from 0 to 1.
  Limits distinct;                     ///< How many different values there are.
  Limits mean;
  Limits median;
  std::vector<std::pair<double, Limits>> quantiles;  ///< By share of the values that are not greater.
  bool is_number() const;                            ///< What is expected makes sense of numbers only.
  bool operator==(const ColumnExpectations&) const = default;
};

struct DataExpectations {
  DataFormat format = DataFormat::kByName;  ///< Not kByName where a worker is told.
  Limits rows;
  std::vector<ColumnExpectations> columns;  ///< Each must be there. Unique by name.
  bool other_columns = true;                ///< There may be others.
  bool operator==(const DataExpectations&) const = default;
};

enum class DriftMethod : std::uint8_t { kPsi, kHellinger, kWasserstein, kKs };
std::string_view name_of(DriftMethod method);  ///< "psi"

/// How far the values of columns may be from those of a baseline.
struct DriftExpectations {
  DataFormat current_format = DataFormat::kByName;  ///< Not kByName where a worker is told.
  DataFormat baseline_format = DataFormat::kByName;
  std::vector<std::string> columns;  ///< At least one; unique.
  DriftMethod method = DriftMethod::kPsi;
  std::optional<double> max;    ///< Of the figure that the method gives.
  std::optional<double> alpha;  ///< Of kKs, in place of `max`: the chance of a false alarm, over all columns.
  bool optional = false;        ///< Without a baseline there is nothing to compare, and that is no failure.
  bool operator==(const DriftExpectations&) const = default;
};

/// What a task measures. Files are told by the positions of the task's inputs.
struct DataCheck {
  struct Data {
    std::uint32_t input = 0;
    DataExpectations expected;
    bool operator==(const Data&) const = default;
  };
  struct Drift {
    std::uint32_t current = 0;
    std::uint32_t baseline = 0;
    DriftExpectations expected;
    bool operator==(const Drift&) const = default;
  };
  std::vector<std::string> sources;  ///< By input: as the file names it, "ingest.rows" or "asset:s3://a/b@c".
  std::vector<Data> data;
  std::vector<Drift> drift;
  bool operator==(const DataCheck&) const = default;
};

/// A figure that is measured, and what it must be.
struct FigureSpec {
  enum class Kind : std::uint8_t { kRows, kNulls, kDistinct, kMin, kMax, kMean, kMedian, kQuantile, kDrift, kChance };
  Kind kind = Kind::kRows;
  std::string metric;        ///< Unique within the check: "age_nulls".
  std::string what;          ///< For people: "nulls of age".
  std::uint32_t column = 0;  ///< Position in the expectations; 0 of kRows.
  double quantile = 0;       ///< Of kQuantile.
  Limits limits;
  bool operator==(const FigureSpec&) const = default;
};

/// Gives each figure of a check a name, in the order of the check.
class FigureNames {
 public:
  std::vector<FigureSpec> of(const DataExpectations& expected);
  std::vector<FigureSpec> of(const DriftExpectations& expected);

 private:
  std::string unique(std::string name);
  std::vector<std::string> taken_;
};

/// All metrics that a check leaves when it succeeds.
std::vector<std::string> metrics_of(const DataCheck& check);

/// As workers are told. What comes back is equal to what went.
Value to_value(const DataExpectations& expected);
Value to_value(const DataCheck& check);
/// Errors: kInvalidInput: it is not what to_value() makes, or past a bound above. Trusts nothing.
Result<DataExpectations> data_expectations_from(const Value& value);
Result<DataCheck> data_check_from(const Value& value, std::size_t inputs);

}  // namespace chappe
