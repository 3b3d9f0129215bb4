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

/// What a user's retry can do something about, an answer that is refused among it. Cancelling and upstream are final.
constexpr std::array kRetryReasons = {
    Reason::kExitCode,   Reason::kSignal,     Reason::kTimeout,       Reason::kQueueTimeout, Reason::kOom,
    Reason::kLostWorker, Reason::kArtifactIo, Reason::kInvalidOutput, Reason::kLaunchFailed, Reason::kCheckFailed};

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

}  // namespace

RetryPolicy read_retry(Reader& reader, const Node& node) {
  RetryPolicy out;
  if (!reader.check_keys(node, keys::kRetry)) return out;
  reader.take_integer(node, "limit", 0, kRetryLimitMax, out.limit);
  if (const Node* on = node.find("on")) out.on = read_reasons(reader, *on);
  if (const Node* codes = node.find("exit_codes")) out.exit_codes = read_exit_codes(reader, *codes);
  if (const Node* backoff = node.find("backoff")) out.backoff = read_backoff(reader, *backoff, out.backoff);
  reader.take_duration(node, "max_elapsed", out.max_elapsed);
  reader.take_boolean(node, "avoid_same_worker", out.avoid_same_worker);
  if (const Node* scale = node.find("scale"); scale != nullptr && reader.check_keys(*scale, keys::kScale)) {
    reader.take_number(*scale, "cpu", 1, kRetryScaleMax, out.scale.cpu);
    reader.take_number(*scale, "memory", 1, kRetryScaleMax, out.scale.memory);
  }
  if (node.find("limit") == nullptr) reader.complaints().error(node, "'retry' needs a 'limit': how many extra tries");
  return out;
}

InfraRetryPolicy read_infra_retry(Reader& reader, const Node& node) {
  InfraRetryPolicy out;
  if (node.is_scalar()) {
    if (const auto limit = reader.integer(node, "infra_retry", 0, kRetryLimitMax)) {
      out.limit = static_cast<std::uint16_t>(*limit);
    }
    return out;
  }
  if (!reader.check_keys(node, keys::kInfraRetry)) return out;
  reader.take_integer(node, "limit", 0, kRetryLimitMax, out.limit);
  if (const Node* backoff = node.find("backoff")) out.backoff = read_backoff(reader, *backoff, out.backoff);
  return out;
}

Whereabouts read_whereabouts(Reader& reader, const Node& task) {
  constexpr std::size_t kNamesMax = 32;
  Whereabouts out;
  const Node* selector = task.find("worker_selector");
  if (selector != nullptr && !selector->is_map()) {
    reader.complaints().error(
        *selector,
        fmt::format("'worker_selector' is a map of labels, such as {{zone: north}}, not {}", Reader::shown(*selector)));
    selector = nullptr;
  }
  for (std::size_t i = 0; selector != nullptr && i < selector->members(); ++i) {
    auto value = reader.text(selector->value(i), selector->key(i).text);
    if (value) out.labels.emplace_back(selector->key(i).text, std::move(*value));
  }
  const Node* tolerations = task.find("tolerations");
  if (tolerations != nullptr && reader.is_list(*tolerations, "tolerations", "[gpu]")) {
    for (const Node* name : tolerations->children) {
      if (auto text = reader.text(*name, "tolerations")) out.tolerations.push_back(std::move(*text));
    }
  }
  for (const Node* node : {selector, tolerations}) {
    if (node != nullptr && node->children.size() > 2 * kNamesMax) {
      reader.complaints().error(*node, fmt::format("more than {} names", kNamesMax));
    }
  }
  std::sort(out.labels.begin(), out.labels.end());
  std::sort(out.tolerations.begin(), out.tolerations.end());
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

}  // namespace chappe
