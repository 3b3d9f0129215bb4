#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "engine/base/text.h"
#include "engine/model/dag.h"

namespace chappe {
namespace {

constexpr std::string_view kTypeNames[] = {"string", "integer", "number", "boolean", "array", "object"};

// Together they bound the automaton that a pattern becomes, and the time to run it over a text.
constexpr std::size_t kPatternBytesMax = 256;
constexpr std::size_t kPatternStatesMax = 4096;
constexpr std::size_t kMatchedBytesMax = 4096;

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

/// Roughly how many states the pattern becomes: its length times all its `{n,m}`. Saturates.
std::size_t states_of(std::string_view pattern) {
  std::size_t states = pattern.size();
  for (std::size_t at = pattern.find('{'); at != std::string_view::npos; at = pattern.find('{', at + 1)) {
    std::size_t largest = 1, number = 0;
    for (std::size_t i = at + 1; i < pattern.size() && pattern[i] != '}'; ++i) {
      number = pattern[i] >= '0' && pattern[i] <= '9' ? number * 10 + static_cast<std::size_t>(pattern[i] - '0') : 0;
      largest = std::max(largest, std::min(number, kPatternStatesMax + 1));
      number = std::min(number, kPatternStatesMax + 1);
    }
    states = std::min(states * largest, kPatternStatesMax + 1);
  }
  return states;
}

/// libstdc++'s breadth-first matcher, which is linear in the text; the default one backtracks, without a bound.
std::optional<std::regex> compile(const std::string& pattern, std::string& problem) {
  if (pattern.size() > kPatternBytesMax || states_of(pattern) > kPatternStatesMax) {
    problem = fmt::format("is too large: at most {} bytes, and {} with its repetitions multiplied out",
                          kPatternBytesMax, kPatternStatesMax);
    return std::nullopt;
  }
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
  } catch (const std::regex_error& error) {
    problem = fmt::format("is not a regular expression without back references: {}", error.what());
    return std::nullopt;
  }
}

bool fits_type(ParamType type, const Value& value) {
  switch (type) {
    case ParamType::kString:
      return value.as_string() != nullptr;
    case ParamType::kInteger:
      return value.as_int() != nullptr;
    case ParamType::kNumber:
      return value.is_number();
    case ParamType::kBoolean:
      return value.as_bool() != nullptr;
    case ParamType::kArray:
      return value.as_list() != nullptr;
    case ParamType::kObject:
      return value.as_map() != nullptr;
  }
  return false;
}

/// The value for a message; a secret one stays out of it.
std::string shown(const ParamSpec& spec, const Value& value) {
  constexpr std::size_t kShownMax = 60;
  if (spec.secret) return "what was given";
  std::string text = to_json(value);
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  return text;
}

std::optional<std::string> unfit_number(const ParamSpec& spec, const Value& value) {
  if (spec.minimum && value.number() < *spec.minimum) {
    return fmt::format("must be at least {}, not {}", *spec.minimum, shown(spec, value));
  }
  if (spec.maximum && value.number() > *spec.maximum) {
    return fmt::format("must be at most {}, not {}", *spec.maximum, shown(spec, value));
  }
  return std::nullopt;
}

std::optional<std::string> unfit_text(const ParamSpec& spec, const std::string& text) {
  const std::size_t length = count_characters(text);
  if (spec.min_length && length < *spec.min_length) {
    return fmt::format("must have at least {} characters, not {}", *spec.min_length, length);
  }
  if (spec.max_length && length > *spec.max_length) {
    return fmt::format("must have at most {} characters, not {}", *spec.max_length, length);
  }
  if (spec.pattern.empty()) return std::nullopt;
  if (text.size() > kMatchedBytesMax) {
    return fmt::format("must have at most {} bytes to be matched with its pattern", kMatchedBytesMax);
  }
  std::string problem;
  const auto pattern = compile(spec.pattern, problem);
  if (!pattern) return "has a pattern that " + problem;
  if (std::regex_search(text, *pattern)) return std::nullopt;
  return fmt::format("must match '{}', not {}", spec.pattern, shown(spec, text));
}

/// A whole float is an integer to JSON Schema: 3.0 came over a wire that knows one kind of number.
Value as_declared(const ParamSpec& spec, const Value& value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const auto* real = value.as_float();
  if (spec.type != ParamType::kInteger || real == nullptr) return value;
  if (std::trunc(*real) != *real || std::abs(*real) > kExact) return value;
  return static_cast<std::int64_t>(*real);
}

std::string unknown(const std::vector<ParamSpec>& specs, const std::string& name) {
  std::vector<std::string> names;
  for (const ParamSpec& spec : specs) names.push_back(spec.name);
  if (const auto near = nearest(name, names)) {
    return fmt::format("there is no parameter '{}'; did you mean '{}'?", name, *near);
  }
  if (names.empty()) return fmt::format("there is no parameter '{}': this DAG has none", name);
  return fmt::format("there is no parameter '{}'; there are {}", name, fmt::join(names, ", "));
}

}  // namespace

std::string_view name_of(ParamType type) { return kTypeNames[static_cast<std::size_t>(type)]; }

std::optional<std::string> unfit_pattern(std::string_view pattern) {
  std::string problem;
  if (compile(std::string(pattern), problem)) return std::nullopt;
  return problem;
}

std::optional<std::string> unfit(const ParamSpec& spec, const Value& value) {
  if (!fits_type(spec.type, value)) {
    return fmt::format(
        "needs {} {}, not {} ({})",
        spec.type == ParamType::kArray || spec.type == ParamType::kObject || spec.type == ParamType::kInteger ? "an"
                                                                                                              : "a",
        name_of(spec.type), shown(spec, value), value.type_name());
  }
  if (!spec.enumeration.empty() &&
      std::find(spec.enumeration.begin(), spec.enumeration.end(), value) == spec.enumeration.end()) {
    return fmt::format("must be one of {}, not {}", to_json(spec.enumeration), shown(spec, value));
  }
  if (value.is_number()) return unfit_number(spec, value);
  if (const auto* text = value.as_string()) return unfit_text(spec, *text);
  return std::nullopt;
}

Result<ValueMap> resolve_params(const std::vector<ParamSpec>& specs, const Value& given) {
  if (!given.is_null() && given.as_map() == nullptr) {
    return fail(ErrorCode::kInvalidInput, fmt::format("parameters must be an object, not {}", given.type_name()));
  }
  std::vector<std::string> problems;
  ValueMap out;
  for (const ParamSpec& spec : specs) {
    const Value* found = given.find(spec.name);
    if (found != nullptr) {
      Value value = as_declared(spec, *found);
      if (auto problem = unfit(spec, value)) problems.push_back(fmt::format("parameter '{}' {}", spec.name, *problem));
      out.emplace_back(spec.name, std::move(value));
    } else if (spec.default_value || !spec.required) {
      out.emplace_back(spec.name, spec.default_value.value_or(Value()));
    } else {
      problems.push_back(fmt::format("parameter '{}' is required", spec.name));
    }
  }
  if (const ValueMap* map = given.as_map()) {
    for (const auto& [name, value] : *map) {
      const auto known = [&name = name](const ParamSpec& spec) { return spec.name == name; };
      if (std::none_of(specs.begin(), specs.end(), known)) problems.push_back(unknown(specs, name));
    }
  }
  if (!problems.empty()) return fail(ErrorCode::kInvalidInput, fmt::format("{}", fmt::join(problems, "; ")));
  return out;
}

}  // namespace chappe
