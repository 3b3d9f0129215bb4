// What data must be like: `data` and `drift` of a check, and the `schema` of an output.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "dags/loader/keys.h"
#include "dags/loader/scalar.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr double kNumberMax = 1e300;
constexpr std::string_view kAssetPrefix = "asset:";

/// Reads what is expected of one file.
class ExpectationsReader {
 public:
  explicit ExpectationsReader(Reader& reader) : reader_(reader), complaints_(reader.complaints()) {}

  /// `node`: a map with the right keys.
  DataExpectations read(const Node& node) {
    DataExpectations out;
    out.format = format(node);
    out.rows = limits(node, "rows", 0, kNumberMax);
    const std::vector<std::string> others = {"refuse", "allow"};
    if (const Node* other = node.find("other_columns")) {
      out.other_columns = reader_.choice(*other, "other_columns", others).value_or(1) == 1;
    }
    if (const Node* columns = node.find("columns")) read_columns(*columns, out);
    return out;
  }

  DataFormat format(const Node& node) {
    const Node* format = node.find("format");
    const std::vector<std::string> formats = {"csv", "tsv", "json_lines", "csv2"};
    const auto found = format == nullptr ? std::nullopt : reader_.choice(*format, "format", formats);
    return found ? static_cast<DataFormat>(*found + 1) : DataFormat::kByName;
  }

  std::string column_name(const Node& node) {
    const auto name = reader_.text(node, "columns");
    if (name && (name->empty() || name->size() > kColumnNameMax)) {
      complaints_.error(node, fmt::format("the name of a column has from 1 to {} bytes", kColumnNameMax));
    }
    return name.value_or("");
  }

 private:
  void read_columns(const Node& node, DataExpectations& out) {
    if (!node.is_map()) {
      return complaints_.error(
          node, fmt::format("'columns' is a map of names, such as {{age: {{min: 0}}}}, not {}", Reader::shown(node)));
    }
    if (node.members() > kDataColumnsMax) {
      return complaints_.error(node, fmt::format("more than {} columns", kDataColumnsMax));
    }
    for (std::size_t i = 0; i < node.members(); ++i) {
      ColumnExpectations column{.name = column_name(node.key(i))};
      if (!node.value(i).is_null()) read_column(node.value(i), column);
      out.columns.push_back(std::move(column));
    }
  }

  void read_column(const Node& node, ColumnExpectations& out) {
    if (!reader_.check_keys(node, keys::kDataColumn)) return;
    const std::vector<std::string> types = {"string", "integer", "number", "boolean", "date"};
    if (const Node* type = node.find("type")) {
      if (const auto found = reader_.choice(*type, "type", types)) out.type = static_cast<ColumnType>(*found + 1);
    }
    out.values = range(node, -kNumberMax, kNumberMax);
    if (const Node* nulls = node.find("nulls"); nulls != nullptr && nulls->is_scalar()) {
      if (const auto share = reader_.number(*nulls, "nulls", 0, 1)) out.nulls.max = *share;
    } else {
      out.nulls = limits(node, "nulls", 0, 1);
    }
    reader_.take_boolean(node, "unique", out.unique);
    out.distinct = limits(node, "distinct", 0, kNumberMax);
    out.mean = limits(node, "mean", -kNumberMax, kNumberMax);
    out.median = limits(node, "median", -kNumberMax, kNumberMax);
    if (const Node* quantiles = node.find("quantiles")) read_quantiles(*quantiles, out);
    if (const Node* allowed = node.find("in")) read_allowed(*allowed, out);
    if (const Node* pattern = node.find("pattern"); pattern != nullptr && reader_.text(*pattern, "pattern")) {
      const auto problem = unfit_pattern(pattern->text);
      if (problem) complaints_.error(*pattern, fmt::format("'pattern' {}", *problem));
      if (pattern->text.empty()) complaints_.error(*pattern, "'pattern' is empty");
      out.pattern = pattern->text;
    }
    check_numbers(node, out);
  }

  /// What is about numbers wants numbers.
  void check_numbers(const Node& node, const ColumnExpectations& column) {
    if (!column.is_number() || column.type == ColumnType::kAny) return;
    if (column.type == ColumnType::kInteger || column.type == ColumnType::kNumber) return;
    for (const std::string_view key : {"min", "max", "mean", "median", "quantiles"}) {
      if (const Node* found = node.find(key)) {
        complaints_.error(*found,
                          fmt::format("'{}' is about numbers, and the column's type is {}", key, name_of(column.type)));
      }
    }
  }

  void read_quantiles(const Node& node, ColumnExpectations& out) {
    if (!node.is_map() || node.members() == 0 || node.members() > kQuantilesMax) {
      return complaints_.error(node, fmt::format("'quantiles' is a map of 1 to {} shares, such as {{0.9: {{max: "
                                                 "100000}}}}, not {}",
                                                 kQuantilesMax, Reader::shown(node)));
    }
    for (std::size_t i = 0; i < node.members(); ++i) {
      const auto share = share_of(node.key(i));
      const Limits found = limits_of(node.value(i), "quantiles", -kNumberMax, kNumberMax);
      if (!share) continue;
      for (const auto& [other, ignored] : out.quantiles) {
        if (other == *share) complaints_.error(node.key(i), fmt::format("the quantile {} stands twice", *share));
      }
      out.quantiles.emplace_back(*share, found);
    }
  }

  /// A key is a text, also where it looks like a number.
  std::optional<double> share_of(const Node& key) {
    const char* const end = key.text.data() + key.text.size();
    double share = -1;
    const auto [stop, error] = std::from_chars(key.text.data(), end, share);
    if (error == std::errc() && stop == end && share >= 0 && share <= 1) return share;
    complaints_.error(key, fmt::format("a quantile is a number from 0 to 1, not {}", Reader::shown(key)));
    return std::nullopt;
  }

  void read_allowed(const Node& node, ColumnExpectations& out) {
    if (!reader_.is_list(node, "in", "[a, b]")) return;
    if (node.children.empty() || node.children.size() > kAllowedValuesMax) {
      return complaints_.error(node, fmt::format("'in' has from 1 to {} values", kAllowedValuesMax));
    }
    for (const Node* value : node.children) {
      const auto text = reader_.text(*value, "in");
      if (!text) continue;
      if (text->empty()) complaints_.error(*value, "an empty field is null: say with 'nulls' how many there may be");
      if (text->size() > kAllowedBytesMax) {
        complaints_.error(*value, fmt::format("a value of 'in' has at most {} bytes", kAllowedBytesMax));
      }
      out.allowed.push_back(*text);
    }
  }

  /// The member `key`: {min, max}.
  Limits limits(const Node& map, std::string_view key, double least, double most) {
    const Node* node = map.find(key);
    return node == nullptr ? Limits{} : limits_of(*node, key, least, most);
  }

  Limits limits_of(const Node& node, std::string_view key, double least, double most) {
    if (!node.is_map()) {
      complaints_.error(node, fmt::format("'{}' says from where to where, as in {{min: {:g}, max: {:g}}}, not {}", key,
                                          std::max(least, 0.0), std::min(most, 100.0), Reader::shown(node)));
      return {};
    }
    if (!reader_.check_keys(node, keys::kLimits)) return {};
    const Limits out = range(node, least, most);
    if (node.find("min") == nullptr && node.find("max") == nullptr) {
      complaints_.error(node, fmt::format("'{}' needs a 'min', a 'max' or both", key));
    }
    return out;
  }

  /// The members `min` and `max`.
  Limits range(const Node& map, double least, double most) {
    Limits out;
    reader_.take_number(map, "min", least, most, out.min);
    reader_.take_number(map, "max", least, most, out.max);
    if (out.min && out.max && *out.max < *out.min) {
      complaints_.error(*map.find("max"), fmt::format("'max' ({}) is below 'min' ({})", *out.max, *out.min));
    }
    return out;
  }

  Reader& reader_;
  Complaints& complaints_;
};

}  // namespace

bool TaskReader::is_about_data(const Node& check) {
  return check.is_map() && (check.find("data") != nullptr || check.find("drift") != nullptr);
}

void TaskReader::read_schema(OutputArtifact& output, const Node& node) {
  if (!reader_.check_keys(node, keys::kSchema)) return;
  DataExpectations expected = ExpectationsReader(reader_).read(node);
  if (expected.format == DataFormat::kByName) expected.format = data_format_of(output.path);
  if (expected.format == DataFormat::kByName) {
    complaints_.error(node,
                      fmt::format("the name '{}' does not say what format it has: add 'format: csv', csv2, tsv or "
                                  "json_lines",
                                  output.path));
  }
  if (output.pack == Pack::kTarZst) complaints_.error(node, "'schema' is of a file, and 'pack: tar.zst' makes none");
  if (to_json(to_value(expected)).size() > kDataJsonMax) complaints_.error(node, "'schema' expects too much");
  output.schema = std::make_shared<const DataExpectations>(std::move(expected));
}

void TaskReader::read_data_check(Task& task, WorkSpec& work, const Node& node) {
  DataCheck check;
  const auto each = [&](std::string_view key, auto read) {
    const Node* items = node.find(key);
    if (items == nullptr) return;
    if (!items->is_list()) return read(*items);
    if (items->children.empty() || items->children.size() > kDataSetsMax) {
      return complaints_.error(*items, fmt::format("'{}' has from 1 to {} items", key, kDataSetsMax));
    }
    for (const Node* item : items->children) read(*item);
  };
  each("data", [&](const Node& item) { read_data(task, work, check, item); });
  each("drift", [&](const Node& item) { read_drift(task, work, check, item); });
  if (metrics_of(check).size() > kDataFiguresMax) {
    complaints_.error(node, fmt::format("the check measures more than {} figures: make several", kDataFiguresMax));
  }
  if (to_json(to_value(check)).size() > kDataJsonMax) complaints_.error(node, "the check expects too much");
  for (const std::string& metric : metrics_of(check)) {
    work.values.push_back({.name = metric,
                           .file = std::string(kFiguresFile),
                           .json_path = "$.metrics." + metric,
                           .default_value = Value(),
                           .metric = true});
  }
  work.values.push_back({.name = std::string(kFiguresValue),
                         .file = std::string(kFiguresFile),
                         .json_path = fmt::format("$.{}", kFiguresValue),
                         .default_value = Value()});
  work.check = std::make_shared<const DataCheck>(std::move(check));
}

void TaskReader::read_data(Task& task, WorkSpec& work, DataCheck& check, const Node& node) {
  if (!reader_.check_keys(node, keys::kData)) return;
  DataExpectations expected = ExpectationsReader(reader_).read(node);
  const Node* from = node.find("from");
  if (from == nullptr) {
    return complaints_.error(node, "'data' needs 'from': TASK.ARTIFACT, or an asset as in 'asset:NAME@ALIAS'");
  }
  const auto input = data_source(task, work, check, *from, {.formatted = expected.format != DataFormat::kByName});
  if (node.find("rows") == nullptr && node.find("columns") == nullptr) {
    complaints_.error(node, "'data' expects nothing: give it 'rows' or 'columns'");
  }
  if (input) check.data.push_back({*input, std::move(expected)});
}

void TaskReader::read_drift(Task& task, WorkSpec& work, DataCheck& check, const Node& node) {
  if (!reader_.check_keys(node, keys::kDrift)) return;
  ExpectationsReader reading(reader_);
  DriftExpectations expected;
  expected.current_format = expected.baseline_format = reading.format(node);
  const std::vector<std::string> methods = {"psi", "hellinger", "wasserstein", "ks"};
  if (const Node* method = node.find("method")) {
    expected.method = static_cast<DriftMethod>(reader_.choice(*method, "method", methods).value_or(0));
  }
  const double most =
      expected.method == DriftMethod::kHellinger || expected.method == DriftMethod::kKs ? 1 : kNumberMax;
  reader_.take_number(node, "max", 0, most, expected.max);
  reader_.take_number(node, "alpha", 0, 1, expected.alpha);
  reader_.take_boolean(node, "optional", expected.optional);
  if (node.find("alpha") != nullptr && expected.method != DriftMethod::kKs) {
    complaints_.error(*node.find("alpha"), "'alpha' goes with 'method: ks'; others have a 'max'");
  } else if ((node.find("max") == nullptr) == (node.find("alpha") == nullptr)) {
    complaints_.error(node, expected.method == DriftMethod::kKs ? "'drift' needs either 'max' or 'alpha'"
                                                                : "'drift' needs a 'max', such as 0.2");
  }
  if (const Node* columns = node.find("columns"); columns != nullptr && reader_.is_list(*columns, "columns", "[age]")) {
    for (const Node* column : columns->children) {
      std::string name = reading.column_name(*column);
      const bool twice = std::find(expected.columns.begin(), expected.columns.end(), name) != expected.columns.end();
      if (twice) complaints_.error(*column, fmt::format("column '{}' stands twice", name));
      expected.columns.push_back(std::move(name));
    }
    if (expected.columns.empty() || expected.columns.size() > kDataColumnsMax) {
      complaints_.error(*columns, fmt::format("'columns' has from 1 to {} names", kDataColumnsMax));
    }
  }
  for (const std::string_view key : {"current", "baseline", "columns"}) {
    if (node.find(key) == nullptr) complaints_.error(node, fmt::format("'drift' needs '{}'", key));
  }
  const bool formatted = expected.current_format != DataFormat::kByName;
  const Node* current = node.find("current");
  const Node* baseline = node.find("baseline");
  if (current == nullptr || baseline == nullptr) return;
  const auto first = data_source(task, work, check, *current, {.formatted = formatted});
  const auto second =
      data_source(task, work, check, *baseline, {.formatted = formatted, .optional = expected.optional});
  if (first && second) check.drift.push_back({*first, *second, std::move(expected)});
}

/// The position of the input that brings it: each source is one, whoever measures it.
std::optional<std::uint32_t> TaskReader::data_source(Task& task, WorkSpec& work, DataCheck& check, const Node& node,
                                                     DataUse use) {
  const auto text = reader_.text(node, "from");
  if (!text) return std::nullopt;
  const std::size_t number = work.inputs.size() + 1;
  InputArtifact input{.name = fmt::format("data_{}", number), .path = fmt::format("data/{}", number)};
  input.optional = use.optional;
  if (text->starts_with(kAssetPrefix)) {
    Node name = node;
    name.text = text->substr(kAssetPrefix.size());
    const Node& named = tree_.make(std::move(name));
    if (auto asset = names_.parse_template(named, site::kAsset, "asset")) input.asset = std::move(*asset);
    check_asset_source(input.asset, named);
    const std::string uri = input.asset.text().substr(0, input.asset.text().rfind('@'));
    if (!use.formatted && !uri.empty() && input.asset.is_literal() && data_format_of(uri) == DataFormat::kByName) {
      complaints_.error(node,
                        "the name of the asset does not say what format it has: add 'format: csv', csv2, tsv or "
                        "json_lines");
    }
  } else {
    auto source = read_source(task, node);
    if (!source) return std::nullopt;
    input.from_task = source->from;
    input.from_artifact = source->artifact;
    source->optional = use.optional;
    source->data = true;
    source->formatted = use.formatted;
    sources_.push_back(std::move(*source));
  }
  for (std::uint32_t i = 0; i < check.sources.size(); ++i) {
    if (check.sources[i] == *text && work.inputs[i].optional == use.optional) return i;
  }
  check.sources.push_back(*text);
  work.inputs.push_back(std::move(input));
  return static_cast<std::uint32_t>(check.sources.size() - 1);
}

}  // namespace chappe
