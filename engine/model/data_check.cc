#include "engine/model/data_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/text.h"

namespace chappe {
namespace {

constexpr std::array<std::string_view, 5> kFormats = {"", "csv", "tsv", "json_lines", "csv2"};
constexpr std::array<std::string_view, 6> kTypes = {"", "string", "integer", "number", "boolean", "date"};
constexpr std::array<std::string_view, 4> kMethods = {"psi", "hellinger", "wasserstein", "ks"};

bool ends_without_case(std::string_view text, std::string_view end) {
  if (text.size() < end.size()) return false;
  return std::equal(end.begin(), end.end(), text.end() - static_cast<std::ptrdiff_t>(end.size()),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b); });
}

/// An identifier that tells a column by its name.
std::string word_of(std::string_view column) {
  std::string out;
  for (const char c : column) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    const bool goes_on = (static_cast<unsigned char>(c) & 0xC0U) == 0x80;  // Within a character of UTF-8.
    if (!goes_on) out += fits ? c : '_';
  }
  if (out.empty() || (out[0] >= '0' && out[0] <= '9')) out.insert(0, "_");
  return out.substr(0, 150);
}

/// "q90", "q99_5".
std::string word_of(double quantile) {
  std::string out = fmt::format("q{:.10g}", quantile * 100);
  std::replace(out.begin(), out.end(), '.', '_');
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

// ---- To values ----

void add(ValueMap& out, std::string_view name, const Limits& limits) {
  if (!limits.any()) return;
  ValueMap map;
  if (limits.min) map.emplace_back("min", *limits.min);
  if (limits.max) map.emplace_back("max", *limits.max);
  out.emplace_back(name, std::move(map));
}

void add(ValueMap& out, std::string_view name, const std::optional<double>& number) {
  if (number) out.emplace_back(name, *number);
}

Value list_of(const std::vector<std::string>& texts) {
  ValueList out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

Value to_value(const ColumnExpectations& column) {
  ValueMap out{{"name", column.name}};
  if (column.type != ColumnType::kAny) out.emplace_back("type", name_of(column.type));
  add(out, "values", column.values);
  if (!column.allowed.empty()) out.emplace_back("in", list_of(column.allowed));
  if (!column.pattern.empty()) out.emplace_back("pattern", column.pattern);
  if (column.unique) out.emplace_back("unique", true);
  add(out, "nulls", column.nulls);
  add(out, "distinct", column.distinct);
  add(out, "mean", column.mean);
  add(out, "median", column.median);
  if (column.quantiles.empty()) return out;
  ValueList quantiles;
  for (const auto& [share, limits] : column.quantiles) {
    ValueMap one{{"share", share}};
    add(one, "limits", limits);
    quantiles.emplace_back(std::move(one));
  }
  out.emplace_back("quantiles", std::move(quantiles));
  return out;
}

Value to_value(const DriftExpectations& expected) {
  ValueMap out{{"current_format", name_of(expected.current_format)},
               {"baseline_format", name_of(expected.baseline_format)},
               {"columns", list_of(expected.columns)},
               {"method", name_of(expected.method)}};
  add(out, "max", expected.max);
  add(out, "alpha", expected.alpha);
  if (expected.optional) out.emplace_back("optional", true);
  return out;
}

// ---- From values ----

/// Reads members of one map, and remembers what was wrong first.
class Members {
 public:
  explicit Members(const Value& value) : map_(value.as_map()) {
    if (map_ == nullptr) problem_ = "is no object";
  }

  std::string text(std::string_view name, std::size_t bytes_max) {
    const Value* value = find(name);
    const std::string* text = value == nullptr ? nullptr : value->as_string();
    if (value != nullptr && (text == nullptr || text->size() > bytes_max)) wrong(name);
    return text == nullptr ? "" : *text;
  }

  template <typename Enum, std::size_t kCount>
  Enum choice(std::string_view name, const std::array<std::string_view, kCount>& names) {
    const std::string word = text(name, 20);
    const auto found = std::find(names.begin(), names.end(), word);
    if (found == names.end()) wrong(name);
    return found == names.end() ? Enum{} : static_cast<Enum>(found - names.begin());
  }

  std::optional<double> number(std::string_view name) {
    const Value* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_number() && std::isfinite(value->number())) return value->number();
    wrong(name);
    return std::nullopt;
  }

  Limits limits(std::string_view name) {
    const Value* value = find(name);
    if (value == nullptr) return {};
    Members members(*value);
    const Limits out{members.number("min"), members.number("max")};
    if (!members.problem().empty() || !out.any()) wrong(name);
    return out;
  }

  bool flag(std::string_view name) {
    const Value* value = find(name);
    const bool* flag = value == nullptr ? nullptr : value->as_bool();
    if (value != nullptr && flag == nullptr) wrong(name);
    return flag != nullptr && *flag;
  }

  std::uint32_t position(std::string_view name, std::size_t count) {
    const Value* value = find(name);
    const std::int64_t* number = value == nullptr ? nullptr : value->as_int();
    const bool fits = number != nullptr && *number >= 0 && static_cast<std::uint64_t>(*number) < count;
    if (!fits) wrong(name);
    return fits ? static_cast<std::uint32_t>(*number) : 0;
  }

  const ValueList& list(std::string_view name, std::size_t size_max) {
    static const ValueList kNone;
    const Value* value = find(name);
    const ValueList* list = value == nullptr ? nullptr : value->as_list();
    if (value != nullptr && (list == nullptr || list->size() > size_max)) wrong(name);
    return list == nullptr || list->size() > size_max ? kNone : *list;
  }

  std::vector<std::string> texts(std::string_view name, std::size_t size_max, std::size_t bytes_max) {
    std::vector<std::string> out;
    for (const Value& one : list(name, size_max)) {
      const std::string* text = one.as_string();
      if (text == nullptr || text->size() > bytes_max) wrong(name);
      if (text != nullptr) out.push_back(*text);
    }
    return out;
  }

  void wrong(std::string_view name) {
    if (problem_.empty()) problem_ = fmt::format("'{}' is none", name);
  }
  void take(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  const std::string& problem() const { return problem_; }

 private:
  const Value* find(std::string_view name) const {
    if (map_ == nullptr) return nullptr;
    const auto found = std::find_if(map_->begin(), map_->end(), [&](const auto& each) { return each.first == name; });
    return found == map_->end() ? nullptr : &found->second;
  }

  const ValueMap* map_;
  std::string problem_;
};

ColumnExpectations column_from(const Value& value, std::string& problem) {
  Members from(value);
  ColumnExpectations out{.name = from.text("name", kColumnNameMax)};
  out.type = from.choice<ColumnType>("type", kTypes);
  out.values = from.limits("values");
  out.allowed = from.texts("in", kAllowedValuesMax, kAllowedBytesMax);
  out.pattern = from.text("pattern", kColumnNameMax + 256);
  out.unique = from.flag("unique");
  out.nulls = from.limits("nulls");
  out.distinct = from.limits("distinct");
  out.mean = from.limits("mean");
  out.median = from.limits("median");
  for (const Value& one : from.list("quantiles", kQuantilesMax)) {
    Members quantile(one);
    const double share = quantile.number("share").value_or(-1);
    if (share < 0 || share > 1) quantile.wrong("share");
    out.quantiles.emplace_back(share, quantile.limits("limits"));
    from.take(quantile.problem());
  }
  if (problem.empty()) problem = from.problem();
  return out;
}

DataExpectations expectations_from(Members& from, const Value& value) {
  Members members(value);
  DataExpectations out{.format = members.choice<DataFormat>("format", kFormats), .rows = members.limits("rows")};
  std::string problem;
  for (const Value& one : members.list("columns", kDataColumnsMax)) out.columns.push_back(column_from(one, problem));
  out.other_columns = !members.flag("no_other_columns");
  if (out.format == DataFormat::kByName) members.wrong("format");
  from.take(members.problem());
  from.take(problem);
  return out;
}

DriftExpectations drift_from(Members& from, const Value& value) {
  Members members(value);
  DriftExpectations out{.current_format = members.choice<DataFormat>("current_format", kFormats),
                        .baseline_format = members.choice<DataFormat>("baseline_format", kFormats)};
  out.columns = members.texts("columns", kDataColumnsMax, kColumnNameMax);
  out.method = members.choice<DriftMethod>("method", kMethods);
  out.max = members.number("max");
  out.alpha = members.number("alpha");
  out.optional = members.flag("optional");
  if (out.current_format == DataFormat::kByName) members.wrong("current_format");
  if (out.baseline_format == DataFormat::kByName) members.wrong("baseline_format");
  if (out.columns.empty()) members.wrong("columns");
  if (out.max.has_value() == out.alpha.has_value()) members.wrong("max");
  if (out.alpha && out.method != DriftMethod::kKs) members.wrong("alpha");
  from.take(members.problem());
  return out;
}

}  // namespace

std::string_view name_of(DataFormat format) { return kFormats.at(static_cast<std::size_t>(format)); }
std::string_view name_of(ColumnType type) { return kTypes.at(static_cast<std::size_t>(type)); }
std::string_view name_of(DriftMethod method) { return kMethods.at(static_cast<std::size_t>(method)); }

DataFormat data_format_of(std::string_view name) {
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (!ends_without_case(name, packed)) continue;
    name.remove_suffix(packed.size());
    break;
  }
  if (ends_without_case(name, ".csv")) return DataFormat::kCsv;
  if (ends_without_case(name, ".tsv") || ends_without_case(name, ".tab")) return DataFormat::kTsv;
  if (ends_without_case(name, ".jsonl") || ends_without_case(name, ".ndjson")) return DataFormat::kJsonLines;
  return DataFormat::kByName;
}

bool ColumnExpectations::is_number() const {
  return type == ColumnType::kInteger || type == ColumnType::kNumber || values.any() || mean.any() || median.any() ||
         !quantiles.empty();
}

std::string FigureNames::unique(std::string name) {
  std::string out = name;
  for (std::size_t i = 2; std::find(taken_.begin(), taken_.end(), out) != taken_.end(); ++i) {
    out = fmt::format("{}_{}", name, i);
  }
  taken_.push_back(out);
  return out;
}

std::vector<FigureSpec> FigureNames::of(const DataExpectations& expected) {
  using Kind = FigureSpec::Kind;
  std::vector<FigureSpec> out;
  if (taken_.empty()) taken_.emplace_back(kFiguresValue);
  out.push_back({.metric = unique("rows"), .what = "rows", .limits = expected.rows});
  for (std::uint32_t i = 0; i < expected.columns.size(); ++i) {
    const ColumnExpectations& column = expected.columns[i];
    const auto add = [&](Kind kind, const std::string& word, const Limits& limits, double quantile = 0) {
      if (!limits.any()) return;
      out.push_back({kind, unique(fmt::format("{}_{}", word_of(column.name), word)),
                     fmt::format("{} of {}", word, column.name), i, quantile, limits});
    };
    add(Kind::kNulls, "nulls", column.nulls);
    add(Kind::kDistinct, "distinct", column.distinct);
    add(Kind::kMin, "min", {column.values.min, {}});
    add(Kind::kMax, "max", {{}, column.values.max});
    add(Kind::kMean, "mean", column.mean);
    add(Kind::kMedian, "median", column.median);
    for (const auto& [share, limits] : column.quantiles) add(Kind::kQuantile, word_of(share), limits, share);
  }
  return out;
}

std::vector<FigureSpec> FigureNames::of(const DriftExpectations& expected) {
  std::vector<FigureSpec> out;
  if (taken_.empty()) taken_.emplace_back(kFiguresValue);
  for (std::uint32_t i = 0; i < expected.columns.size(); ++i) {
    const std::string& column = expected.columns[i];
    const std::string_view method = name_of(expected.method);
    if (expected.alpha) {
      const double least = *expected.alpha / static_cast<double>(expected.columns.size());  // Bonferroni
      out.push_back({FigureSpec::Kind::kChance,
                     unique(fmt::format("{}_{}_p", word_of(column), method)),
                     fmt::format("p-value of {} of {}", method, column),
                     i,
                     0,
                     {least, {}}});
    } else {
      out.push_back({FigureSpec::Kind::kDrift,
                     unique(fmt::format("{}_{}", word_of(column), method)),
                     fmt::format("{} of {}", method, column),
                     i,
                     0,
                     {{}, expected.max}});
    }
  }
  return out;
}

std::vector<std::string> metrics_of(const DataCheck& check) {
  std::vector<std::string> out;
  FigureNames names;
  for (const DataCheck::Data& data : check.data) {
    for (const FigureSpec& figure : names.of(data.expected)) out.push_back(figure.metric);
  }
  for (const DataCheck::Drift& drift : check.drift) {
    for (const FigureSpec& figure : names.of(drift.expected)) out.push_back(figure.metric);
  }
  return out;
}

Value to_value(const DataExpectations& expected) {
  ValueMap out{{"format", name_of(expected.format)}};
  add(out, "rows", expected.rows);
  ValueList columns;
  for (const ColumnExpectations& column : expected.columns) columns.push_back(to_value(column));
  if (!columns.empty()) out.emplace_back("columns", std::move(columns));
  if (!expected.other_columns) out.emplace_back("no_other_columns", true);
  return out;
}

Value to_value(const DataCheck& check) {
  ValueList data, drift;
  for (const DataCheck::Data& one : check.data) {
    data.emplace_back(ValueMap{{"input", std::int64_t{one.input}}, {"expected", to_value(one.expected)}});
  }
  for (const DataCheck::Drift& one : check.drift) {
    drift.emplace_back(ValueMap{{"current", std::int64_t{one.current}},
                                {"baseline", std::int64_t{one.baseline}},
                                {"expected", to_value(one.expected)}});
  }
  return ValueMap{{"sources", list_of(check.sources)}, {"data", std::move(data)}, {"drift", std::move(drift)}};
}

Result<DataExpectations> data_expectations_from(const Value& value) {
  Members from(value);
  DataExpectations out = expectations_from(from, value);
  if (!from.problem().empty()) return fail(ErrorCode::kInvalidInput, "expectations: " + from.problem());
  return out;
}

Result<DataCheck> data_check_from(const Value& value, std::size_t inputs) {
  Members from(value);
  DataCheck out{.sources = from.texts("sources", 3 * kDataSetsMax, 8192)};
  if (out.sources.size() != inputs) from.wrong("sources");
  static const Value kNothing;
  const auto expected = [](const Value& one) -> const Value& {
    const Value* found = one.find("expected");
    return found == nullptr ? kNothing : *found;
  };
  for (const Value& one : from.list("data", kDataSetsMax)) {
    Members members(one);
    out.data.push_back({members.position("input", inputs), expectations_from(members, expected(one))});
    from.take(members.problem());
  }
  for (const Value& one : from.list("drift", kDataSetsMax)) {
    Members members(one);
    const std::uint32_t current = members.position("current", inputs);
    out.drift.push_back({current, members.position("baseline", inputs), drift_from(members, expected(one))});
    from.take(members.problem());
  }
  if (out.data.empty() && out.drift.empty()) from.wrong("data");
  if (from.problem().empty() && metrics_of(out).size() > kDataFiguresMax) from.take("too many figures");
  if (!from.problem().empty()) return fail(ErrorCode::kInvalidInput, "a check of data: " + from.problem());
  return out;
}

}  // namespace chappe
