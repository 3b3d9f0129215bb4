#include <fmt/format.h>

#include <array>

#include "dags/loader/keys.h"
#include "dags/loader/read_dag.h"
#include "dags/loader/scalar.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::array kTypes = {ParamType::kString,  ParamType::kInteger, ParamType::kNumber,
                               ParamType::kBoolean, ParamType::kArray,   ParamType::kObject};
constexpr double kLargest = 1e300;

std::optional<ParamType> type_of(const Value& value) {
  for (const ParamType type : kTypes) {
    if (name_of(type) == value.type_name()) return type;
  }
  return std::nullopt;
}

void read_type(Reader& reader, const Node& node, ParamSpec& spec) {
  std::vector<std::string> names;
  for (const ParamType type : kTypes) names.emplace_back(name_of(type));
  if (const auto found = reader.choice(node, "type", names)) spec.type = kTypes[*found];
}

void read_enum(Reader& reader, const Node& node, ParamSpec& spec) {
  if (!reader.is_list(node, "enum", "[a, b]")) return;
  for (const Node* choice : node.children) {
    if (auto value = reader.value(*choice)) spec.enumeration.push_back(std::move(*value));
  }
  if (node.children.empty()) reader.complaints().error(node, "'enum' is empty, so no value would fit");
}

/// A bound on the wrong kind of value would never be looked at.
void check_bounds(Reader& reader, const Node& node, const ParamSpec& spec) {
  const bool number = spec.type == ParamType::kInteger || spec.type == ParamType::kNumber;
  const bool text = spec.type == ParamType::kString;
  const auto refuse = [&](std::string_view key, bool fits, std::string_view of) {
    const Node* bound = node.find(key);
    if (bound == nullptr || fits) return;
    reader.complaints().error(*bound, fmt::format("'{}' goes with {}, not with type {}", key, of, name_of(spec.type)));
  };
  refuse("minimum", number, "numbers");
  refuse("maximum", number, "numbers");
  refuse("min_length", text, "strings");
  refuse("max_length", text, "strings");
  refuse("pattern", text, "strings");
  if (spec.minimum && spec.maximum && *spec.minimum > *spec.maximum) {
    reader.complaints().error(*node.find("minimum"), "'minimum' is above 'maximum'");
  }
  if (spec.min_length && spec.max_length && *spec.min_length > *spec.max_length) {
    reader.complaints().error(*node.find("min_length"), "'min_length' is above 'max_length'");
  }
}

void read_default(Reader& reader, const Node& node, ParamSpec& spec) {
  if (spec.required) {
    reader.complaints().error(node, "a required parameter takes no default: it must always be given");
  }
  if (spec.secret) reader.complaints().error(node, "a secret parameter takes no default: the file is no secret");
  auto value = reader.value(node);
  if (!value || value->is_null()) return;
  if (auto problem = unfit(spec, *value)) {
    reader.complaints().error(node, fmt::format("the default of '{}' {}", spec.name, *problem));
  }
  spec.default_value = std::move(*value);
}

/// The type that nobody wrote follows from the default or the choices.
void infer_type(const Node& node, ParamSpec& spec) {
  const Node* example = node.find("default");
  if (example == nullptr && !spec.enumeration.empty()) spec.type = type_of(spec.enumeration[0]).value_or(spec.type);
  if (example == nullptr) return;
  if (example->is_list()) spec.type = ParamType::kArray;
  if (example->is_map()) spec.type = ParamType::kObject;
  if (example->is_scalar()) spec.type = type_of(yaml::scalar_value(*example).value).value_or(spec.type);
}

void read_spec(Reader& reader, const Node& node, ParamSpec& spec) {
  if (!reader.check_keys(node, keys::kParam)) return;
  constexpr std::int64_t kLengthMax = 1 << 20;
  reader.take_text(node, "description", spec.description);
  reader.take_boolean(node, "required", spec.required);
  reader.take_boolean(node, "secret", spec.secret);
  if (const Node* choices = node.find("enum")) read_enum(reader, *choices, spec);
  if (const Node* type = node.find("type")) {
    read_type(reader, *type, spec);
  } else {
    infer_type(node, spec);
  }
  reader.take_number(node, "minimum", -kLargest, kLargest, spec.minimum);
  reader.take_number(node, "maximum", -kLargest, kLargest, spec.maximum);
  reader.take_integer(node, "min_length", 0, kLengthMax, spec.min_length);
  reader.take_integer(node, "max_length", 0, kLengthMax, spec.max_length);
  reader.take_text(node, "pattern", spec.pattern);
  check_bounds(reader, node, spec);
  if (auto problem = spec.pattern.empty() ? std::nullopt : unfit_pattern(spec.pattern)) {
    reader.complaints().error(*node.find("pattern"), fmt::format("'pattern' {}", *problem));
    spec.pattern.clear();
  }
  if (const Node* otherwise = node.find("default")) read_default(reader, *otherwise, spec);
}

}  // namespace

std::vector<ParamSpec> read_params(Reader& reader, const Node& node, std::string_view what) {
  std::vector<ParamSpec> out;
  if (!node.is_map()) {
    reader.complaints().error(
        node, fmt::format("'{}' is a map, such as {{year: {{type: integer}}}}, not {}", what, Reader::shown(node)));
    return out;
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    auto name = reader.identifier(node.key(i), what);
    if (!name) continue;
    ParamSpec& spec = out.emplace_back();
    spec.name = std::move(*name);
    const Node& value = node.value(i);
    if (value.is_map()) {
      read_spec(reader, value, spec);
    } else if (value.is_null()) {
      reader.complaints().error(value, fmt::format("parameter '{0}' needs a default ('{0}: 2026') or a type ('{0}: "
                                                   "{{type: integer}}')",
                                                   spec.name));
    } else if (auto found = reader.value(value)) {
      // `year: 2026` is short for a default and the type that it has.
      spec.type = type_of(*found).value_or(ParamType::kString);
      spec.default_value = std::move(*found);
    }
  }
  return out;
}

}  // namespace chappe
