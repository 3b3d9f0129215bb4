#include "dags/loader/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "dags/loader/keys.h"
#include "dags/loader/scalar.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::int64_t kExitCodeMax = 255;

/// What a user's retry can do something about. Cancelling, a gate that says no and a failure upstream are final.
constexpr std::array kRetryReasons = {Reason::kExitCode,     Reason::kSignal,        Reason::kTimeout,
                                      Reason::kQueueTimeout, Reason::kOom,           Reason::kLostWorker,
                                      Reason::kArtifactIo,   Reason::kInvalidOutput, Reason::kLaunchFailed};

std::vector<std::int32_t> read_exit_codes(Reader& reader, const Node& node) {
  std::vector<std::int32_t> out;
  if (!reader.is_list(node, "exit_codes", "[75]")) return out;
  for (const Node* code : node.children) {
    if (const auto found = reader.integer(*code, "exit_codes", 1, kExitCodeMax)) {
      out.push_back(static_cast<std::int32_t>(*found));
    }
  }
  if (node.children.empty()) reader.complaints().error(node, "'exit_codes' is empty; leave it out for all codes");
  return out;
}

std::vector<Reason> read_reasons(Reader& reader, const Node& node) {
  std::vector<Reason> out;
  if (!reader.is_list(node, "on", "[exit_code, oom]")) return out;
  std::vector<std::string> names;
  for (const Reason reason : kRetryReasons) names.emplace_back(name_of(reason));
  for (const Node* reason : node.children) {
    if (const auto found = reader.choice(*reason, "on", names)) out.push_back(kRetryReasons[*found]);
  }
  if (node.children.empty()) reader.complaints().error(node, "'on' is empty; leave it out for all reasons");
  return out;
}

Backoff read_backoff(Reader& reader, const Node& node, Backoff out) {
  constexpr double kFactorMax = 100;
  if (!reader.check_keys(node, keys::kBackoff)) return out;
  if (const Node* initial = node.find("initial")) {
    if (const auto found = reader.duration_or_zero(*initial, "initial")) out.initial = *found;
  }
  reader.take_number(node, "factor", 1, kFactorMax, out.factor);
  reader.take_duration(node, "max", out.max);
  reader.take_number(node, "jitter", 0, 1, out.jitter);
  const Node* max = node.find("max");
  if (max != nullptr && out.max < out.initial) {
    reader.complaints().error(
        *max, fmt::format("'max' ({}) is below 'initial' ({})", to_text(out.max), to_text(out.initial)));
  }
  out.max = std::max(out.max, out.initial);
  return out;
}

std::optional<std::uint32_t> parse_cpu(const Node& node) {
  constexpr double kCoresMax = 4096;
  constexpr double kMilli = 1000;
  if (!node.is_scalar()) return std::nullopt;
  yaml::Node bare = node;
  bare.plain = true;
  const bool milli = bare.text.ends_with('m');
  if (milli) bare.text.pop_back();
  const Value value = yaml::scalar_value(bare).value;
  if (!value.is_number()) return std::nullopt;
  const double cores = value.number() / (milli ? kMilli : 1);
  if (!(cores >= 0) || cores > kCoresMax) return std::nullopt;
  return static_cast<std::uint32_t>(std::lround(cores * kMilli));
}

std::optional<std::uint64_t> parse_memory(const Node& node) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr double kKi = 1024, kKilo = 1000;
  constexpr std::array kUnits = {Unit{"Ki", kKi},
                                 Unit{"Mi", kKi * kKi},
                                 Unit{"Gi", kKi * kKi * kKi},
                                 Unit{"Ti", kKi * kKi * kKi * kKi},
                                 Unit{"KB", kKilo},
                                 Unit{"MB", kKilo * kKilo},
                                 Unit{"GB", kKilo * kKilo * kKilo},
                                 Unit{"TB", kKilo * kKilo * kKilo * kKilo}};
  constexpr double kBytesMax = 1e15;
  if (!node.is_scalar()) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (!node.text.ends_with(unit.name)) continue;
    yaml::Node bare = node;
    bare.plain = true;
    bare.text.resize(bare.text.size() - unit.name.size());
    const Value value = yaml::scalar_value(bare).value;
    if (!value.is_number()) return std::nullopt;
    const double bytes = value.number() * unit.bytes;
    if (!(bytes >= 1) || bytes > kBytesMax) return std::nullopt;
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return std::nullopt;
}

/// All combinations, the last name turning fastest.
ValueList multiply(const std::vector<std::pair<std::string, ValueList>>& axes) {
  ValueList out = {Value(ValueMap{})};
  for (const auto& [name, values] : axes) {
    ValueList longer;
    longer.reserve(out.size() * values.size());
    for (const Value& row : out) {
      for (const Value& value : values) {
        ValueMap next = *row.as_map();
        next.emplace_back(name, value);
        longer.emplace_back(std::move(next));
      }
    }
    out = std::move(longer);
  }
  return out;
}

ValueList read_matrix(Reader& reader, const Node& node) {
  if (!node.is_map() || node.members() == 0) {
    reader.complaints().error(
        node, fmt::format("'matrix' needs a map of lists, such as {{depth: [4, 8]}}, not {}", Reader::shown(node)));
    return {};
  }
  std::vector<std::pair<std::string, ValueList>> axes;
  std::size_t product = 1;
  for (std::size_t i = 0; i < node.members(); ++i) {
    (void)reader.identifier(node.key(i), "matrix");
    if (!reader.is_list(node.value(i), node.key(i).text, "[4, 8]")) return {};
    auto values = reader.value(node.value(i));
    if (!values) return {};
    product *= std::max<std::size_t>(1, values->as_list()->size());
    if (product > kItemsMax) {
      reader.complaints().error(node, fmt::format("the matrix has more than {} combinations", kItemsMax));
      return {};
    }
    axes.emplace_back(node.key(i).text, std::move(*values->as_list()));
  }
  return multiply(axes);
}

ForEach::Sequence read_sequence(Reader& reader, const Node& node) {
  constexpr std::int64_t kEdge = std::int64_t{1} << 53;
  ForEach::Sequence out;
  if (!reader.check_keys(node, keys::kSequence)) return out;
  reader.take_integer(node, "start", -kEdge, kEdge, out.start);
  reader.take_integer(node, "count", 0, static_cast<std::int64_t>(kItemsMax), out.count);
  reader.take_integer(node, "step", -kEdge / static_cast<std::int64_t>(kItemsMax),
                      kEdge / static_cast<std::int64_t>(kItemsMax), out.step);
  if (node.find("count") == nullptr) reader.complaints().error(node, "'sequence' needs a 'count'");
  if (out.step == 0) reader.complaints().error(node, "'step' must not be 0");
  return out;
}

void read_items(Reader& reader, Names& names, const Node& node, ForEach& out) {
  if (node.is_scalar() && !node.is_null()) {
    auto expression = names.parse_template(node, site::kForEach, "items");
    if (!expression) return;
    if (!expression->is_literal()) {
      out.expression = std::move(*expression);
      return;
    }
  }
  if (!reader.is_list(node, "items", "[a, b] or \"${{ params.regions }}\"")) return;
  if (auto values = reader.value(node)) out.items = std::move(*values->as_list());
}

void read_as(Reader& reader, const Node& node, ForEach& out) {
  constexpr std::array<std::string_view, 10> kTaken = {"params",  "env",      "run",  "tasks", "key",
                                                       "secrets", "position", "true", "false", "null"};
  auto name = reader.identifier(node, "as");
  if (!name) return;
  if (std::find(kTaken.begin(), kTaken.end(), *name) != kTaken.end()) {
    reader.complaints().error(node, fmt::format("'as' cannot be '{}': the name has a meaning already", *name));
    return;
  }
  out.as = std::move(*name);
}

/// What a key may name that is the same in all runs.
class ItemScope : public expr::Scope {
 public:
  ItemScope(const ForEach& foreach, std::size_t position) : foreach_(foreach), position_(position) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == foreach_.as) return foreach_.items[position_];
    if (path[0] == "position") return Value(static_cast<std::int64_t>(position_));
    return std::nullopt;
  }

 private:
  const ForEach& foreach_;
  std::size_t position_;
};

/// Of items that stand in the file. What cannot be told before a run has its parameters, the run tells.
void check_keys_differ(Reader& reader, const Node& key, const Node* items, const ForEach& foreach) {
  const auto references = foreach.key.references();
  const auto of_params = [](const expr::Reference& reference) { return reference.path[0] == "params"; };
  if (std::any_of(references.begin(), references.end(), of_params)) return;
  constexpr std::size_t kKeyMax = 200;  // No run takes a longer one.
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < foreach.items.size(); ++i) {
    const auto text = foreach.key.expand(ItemScope(foreach, i));
    if (!text || text->size() > kKeyMax) return;
    const auto [same, added] = first.emplace(*text, i);
    if (added) continue;
    const Node& place = items != nullptr && i < items->children.size() ? *items->children[i] : key;
    reader.complaints().error(
        place, fmt::format("items {} and {} of 'foreach' have the same key '{}'", same->second + 1, i + 1, *text));
  }
}

}  // namespace

RetryPolicy read_retry(Reader& reader, const Node& node) {
  constexpr std::int64_t kLimitMax = 1000;
  RetryPolicy out;
  if (!reader.check_keys(node, keys::kRetry)) return out;
  reader.take_integer(node, "limit", 0, kLimitMax, out.limit);
  if (const Node* on = node.find("on")) out.on = read_reasons(reader, *on);
  if (const Node* codes = node.find("exit_codes")) out.exit_codes = read_exit_codes(reader, *codes);
  if (const Node* backoff = node.find("backoff")) out.backoff = read_backoff(reader, *backoff, out.backoff);
  reader.take_duration(node, "max_elapsed", out.max_elapsed);
  reader.take_boolean(node, "avoid_same_worker", out.avoid_same_worker);
  if (node.find("limit") == nullptr) reader.complaints().error(node, "'retry' needs a 'limit': how many extra tries");
  return out;
}

InfraRetryPolicy read_infra_retry(Reader& reader, const Node& node) {
  constexpr std::int64_t kLimitMax = 1000;
  InfraRetryPolicy out;
  if (node.is_scalar()) {
    if (const auto limit = reader.integer(node, "infra_retry", 0, kLimitMax)) {
      out.limit = static_cast<std::uint16_t>(*limit);
    }
    return out;
  }
  if (!reader.check_keys(node, keys::kInfraRetry)) return out;
  reader.take_integer(node, "limit", 0, kLimitMax, out.limit);
  if (const Node* backoff = node.find("backoff")) out.backoff = read_backoff(reader, *backoff, out.backoff);
  return out;
}

Resources read_resources(Reader& reader, const Node& node) {
  constexpr std::int64_t kGpusMax = 1024;
  Resources out;
  if (!reader.check_keys(node, keys::kResources)) return out;
  if (const Node* cpu = node.find("cpu")) {
    const auto found = parse_cpu(*cpu);
    out.cpu_milli = found.value_or(out.cpu_milli);
    if (!found) {
      reader.complaints().error(
          *cpu, fmt::format("'cpu' needs cores (1.5) or thousandths (\"500m\"), not {}", Reader::shown(*cpu)));
    }
  }
  if (const Node* memory = node.find("memory")) {
    const auto found = parse_memory(*memory);
    out.memory_bytes = found.value_or(0);
    if (!found) {
      reader.complaints().error(*memory, fmt::format("'memory' needs a size with its unit, such as 512Mi, 2Gi or "
                                                     "500MB, not {}",
                                                     Reader::shown(*memory)));
    }
  }
  reader.take_integer(node, "gpu", 0, kGpusMax, out.gpus);
  return out;
}

AllowFailure read_allow_failure(Reader& reader, const Node& node) {
  AllowFailure out;
  if (node.is_scalar()) {
    out.always = reader.boolean(node, "allow_failure").value_or(false);
    return out;
  }
  if (!reader.check_keys(node, keys::kAllowFailure)) return out;
  if (const Node* codes = node.find("exit_codes")) {
    out.exit_codes = read_exit_codes(reader, *codes);
  } else {
    reader.complaints().error(node, "'allow_failure' is true, false or {exit_codes: [...]}");
  }
  return out;
}

TriggerRule read_trigger_rule(Reader& reader, const Node& node) {
  const std::vector<std::string> names = trigger_rule_names();
  const auto found = reader.choice(node, "trigger_rule", names);
  return found ? *parse_trigger_rule(names[*found]) : TriggerRule::kAllSuccess;
}

ForEach read_foreach(Reader& reader, Names& names, std::uint32_t task, const Node& node) {
  ForEach out;
  names.enter_task(task, nullptr);
  if (!reader.check_keys(node, keys::kForEach)) return out;
  const Node* items = node.find("items");
  const Node* matrix = node.find("matrix");
  const Node* sequence = node.find("sequence");
  if ((items != nullptr) + (matrix != nullptr) + (sequence != nullptr) != 1) {
    reader.complaints().error(node, "'foreach' needs exactly one of 'items', 'matrix' and 'sequence'");
    return out;
  }
  if (items != nullptr) read_items(reader, names, *items, out);
  if (matrix != nullptr) out.items = read_matrix(reader, *matrix);
  if (sequence != nullptr) out.sequence = read_sequence(reader, *sequence);
  if (const Node* as = node.find("as")) read_as(reader, *as, out);
  reader.take_integer(node, "max_parallel", 1, static_cast<std::int64_t>(kItemsMax), out.max_parallel);
  if (const Node* on_empty = node.find("on_empty")) {
    const std::vector<std::string> choices = {"skip", "succeed", "fail"};
    if (const auto found = reader.choice(*on_empty, "on_empty", choices)) {
      out.on_empty = static_cast<ForEach::OnEmpty>(*found);
    }
  }
  if (const Node* key = node.find("key")) {
    names.enter_task(task, &out);
    if (auto text = names.parse_template(*key, site::kKey, "key")) {
      out.key = std::move(*text);
      check_keys_differ(reader, *key, items, out);
    }
    names.enter_task(task, nullptr);
    if (sequence != nullptr) reader.complaints().error(*key, "a sequence takes no 'key': its numbers are the keys");
  }
  return out;
}

}  // namespace chappe
