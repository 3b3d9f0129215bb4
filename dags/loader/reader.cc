#include "dags/loader/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/scalar.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;

/// What is wrong with a path beneath a folder; "" for nothing.
std::string path_problem(std::string_view path, std::string_view folder) {
  constexpr std::size_t kPathMax = 1024;
  if (path.empty()) return "must not be empty";
  if (path.size() > kPathMax) return "is longer than 1024 bytes";
  if (path.find("${{") != std::string_view::npos) return "is taken as it is: expressions are not evaluated in paths";
  if (path.front() == '/') return fmt::format("must be relative to {}", folder);
  if (path.find_first_of("\n\r") != std::string_view::npos) return "must be one line";
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view component = path.substr(at, end - at);
    if (component == "..") return fmt::format("must stay beneath {}: '..' is not allowed", folder);
    if (component == "." || component.empty()) return "must be written without '.', '//' and a final '/'";
    at = end + 1;
  }
  return "";
}

}  // namespace

std::string Reader::suggestion(std::string_view word, std::span<const std::string> candidates) {
  const auto near = nearest(word, candidates);
  return near ? fmt::format("; did you mean '{}'?", *near) : "";
}

std::string Reader::shown(const Node& node) {
  constexpr std::size_t kShownMax = 60;
  if (node.is_list()) return "a list";
  if (node.is_map()) return "a map";
  if (node.is_null()) return "nothing";
  if (node.text.size() <= kShownMax) return fmt::format("'{}'", node.text);
  return fmt::format("'{}...'", node.text.substr(0, kShownMax));
}

std::string Reader::unknown_key(const std::string& key, const KeySet& keys) const {
  if (std::find(keys.later.begin(), keys.later.end(), key) != keys.later.end()) {
    return fmt::format("'{}' is not supported by this version of Chappe", key);
  }
  for (const auto& [foreign, ours] : keys.foreign) {
    if (key == foreign) return fmt::format("unknown key '{}' in {}; did you mean '{}'?", key, keys.what, ours);
  }
  for (const auto& [elsewhere, where] : keys.elsewhere) {
    if (key == elsewhere) return fmt::format("there is no '{}' in {}: {}", key, keys.what, where);
  }
  std::vector<std::string> known(keys.known.begin(), keys.known.end());
  if (const std::string near = suggestion(key, known); !near.empty()) {
    return fmt::format("unknown key '{}' in {}{}", key.substr(0, 100), keys.what, near);
  }
  constexpr std::size_t kListedMax = 20;  // Nobody reads more of them, least of all once for each mistake.
  return fmt::format("unknown key '{}' in {}; {}", key.substr(0, 100), keys.what,
                     known.size() > kListedMax ? "'chappe schema' describes those that there are"
                                               : fmt::format("known are {}", fmt::join(known, ", ")));
}

bool Reader::check_keys(const Node& node, const KeySet& keys) {
  if (!node.is_map()) {
    const std::string instead = keys.instead.empty() ? "" : fmt::format("; write '{}'", keys.instead);
    complaints_.error(node, fmt::format("{} is a map with keys such as '{}', not {}{}", keys.what, keys.known.front(),
                                        shown(node), instead));
    return false;
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    const std::string& key = node.key(i).text;
    if (std::find(keys.known.begin(), keys.known.end(), key) != keys.known.end() || key == "<<") continue;
    complaints_.error(node.key(i), unknown_key(key, keys));
  }
  return true;
}

std::optional<std::string> Reader::text(const Node& node, std::string_view what) {
  if (node.is_scalar() && !node.is_null()) return node.text;
  complaints_.error(node, fmt::format("'{}' needs a text, not {}", what, shown(node)));
  return std::nullopt;
}

std::optional<std::string> Reader::identifier(const Node& node, std::string_view what) {
  if (node.is_scalar() && is_identifier(node.text)) return node.text;
  std::string message = fmt::format(
      "'{}' needs a name of letters, digits and '_' that does not begin with a digit, not {}", what, shown(node));
  std::string fixed = node.text;
  std::replace_if(
      fixed.begin(), fixed.end(), [](char c) { return c == '-' || c == ' ' || c == '.'; }, '_');
  if (node.is_scalar() && is_identifier(fixed)) message += fmt::format("; write '{}'", fixed);
  complaints_.error(node, std::move(message));
  return std::nullopt;
}

std::optional<std::int64_t> Reader::integer(const Node& node, std::string_view what, std::int64_t min,
                                            std::int64_t max) {
  if (node.is_scalar()) {
    const Value value = yaml::scalar_value(node).value;
    if (const auto* found = value.as_int(); found != nullptr && *found >= min && *found <= max) return *found;
  }
  complaints_.error(node, fmt::format("'{}' needs an integer from {} to {}, not {}", what, min, max, shown(node)));
  return std::nullopt;
}

std::optional<double> Reader::number(const Node& node, std::string_view what, double min, double max) {
  if (node.is_scalar()) {
    const Value value = yaml::scalar_value(node).value;
    if (value.is_number() && value.number() >= min && value.number() <= max) return value.number();
  }
  complaints_.error(node, fmt::format("'{}' needs a number from {} to {}, not {}", what, min, max, shown(node)));
  return std::nullopt;
}

std::optional<bool> Reader::boolean(const Node& node, std::string_view what) {
  if (node.is_scalar()) {
    const Value value = yaml::scalar_value(node).value;
    if (const bool* found = value.as_bool()) return *found;
  }
  complaints_.error(node, fmt::format("'{}' needs true or false, not {}", what, shown(node)));
  return std::nullopt;
}

std::optional<Duration> Reader::duration_or_zero(const Node& node, std::string_view what) {
  if (node.is_scalar() && !node.is_null()) {
    auto parsed = parse_duration(node.text);
    if (parsed && *parsed >= Duration::zero()) return *parsed;
  }
  complaints_.error(node, fmt::format("'{}' needs a duration with its unit, such as 90s, 15m, 2h30m or 1d, not {}",
                                      what, shown(node)));
  return std::nullopt;
}

std::optional<Duration> Reader::duration(const Node& node, std::string_view what) {
  const auto parsed = duration_or_zero(node, what);
  if (!parsed || *parsed > Duration::zero()) return parsed;
  complaints_.error(node, fmt::format("'{}' must be above zero; leave it out for no limit", what));
  return std::nullopt;
}

void Reader::take_boolean(const Node& map, std::string_view key, bool& into) {
  const Node* node = map.find(key);
  if (node == nullptr) return;
  if (const auto found = boolean(*node, key)) into = *found;
}

void Reader::take_text(const Node& map, std::string_view key, std::string& into) {
  const Node* node = map.find(key);
  if (node == nullptr) return;
  if (auto found = text(*node, key)) into = std::move(*found);
}

void Reader::take_identifier(const Node& map, std::string_view key, std::string& into) {
  const Node* node = map.find(key);
  if (node == nullptr) return;
  if (auto found = identifier(*node, key)) into = std::move(*found);
}

std::optional<Duration> Reader::retention(const Node& node, std::string_view what) {
  if (node.is_scalar() && node.text == "forever") return kForever;
  if (node.is_scalar() && !node.is_null() && parse_duration(node.text)) return duration(node, what);
  complaints_.error(
      node, fmt::format("'{}' is how long artifacts are kept, such as 7d, or 'forever', not {}", what, shown(node)));
  return std::nullopt;
}

std::optional<std::string> Reader::path(const Node& node, std::string_view what, std::string_view folder) {
  auto found = text(node, what);
  if (!found) return found;
  const std::string problem = path_problem(*found, folder);
  if (problem.empty()) return found;
  complaints_.error(node, fmt::format("'{}' {}: {}", what, problem, shown(node)));
  return std::nullopt;
}

std::optional<std::size_t> Reader::choice(const Node& node, std::string_view what, std::span<const std::string> names) {
  if (node.is_scalar()) {
    const auto found = std::find(names.begin(), names.end(), node.text);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  const std::string near = node.is_scalar() ? suggestion(node.text, names) : "";
  complaints_.error(node, fmt::format("'{}' is {} {}, not {}{}", what, names.size() == 2 ? "either" : "one of",
                                      fmt::join(names, names.size() == 2 ? " or " : ", "), shown(node), near));
  return std::nullopt;
}

std::optional<Value> Reader::value(const Node& node) {
  if (node.is_scalar()) {
    auto [value, problem] = yaml::scalar_value(node);
    if (!problem.empty()) {
      complaints_.error(node, std::move(problem));
      return std::nullopt;
    }
    if (yaml::is_zero_padded(node)) {
      complaints_.warn(node,
                       fmt::format("{} is the number {} to YAML; quote it to keep a text", node.text, to_text(value)));
    }
    return std::move(value);
  }
  if (node.is_list()) {
    ValueList list;
    for (const Node* element : node.children) {
      auto inner = value(*element);
      if (!inner) return std::nullopt;
      list.push_back(std::move(*inner));
    }
    return Value(std::move(list));
  }
  ValueMap map;
  for (std::size_t i = 0; i < node.members(); ++i) {
    auto inner = value(node.value(i));
    if (!inner) return std::nullopt;
    map.emplace_back(node.key(i).text, std::move(*inner));
  }
  return Value(std::move(map));
}

bool Reader::is_list(const Node& node, std::string_view what, std::string_view example) {
  if (node.is_list()) return true;
  complaints_.error(node, fmt::format("'{}' needs a list, such as {}, not {}", what, example, shown(node)));
  return false;
}

}  // namespace chappe
