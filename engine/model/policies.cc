#include "engine/model/policies.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/base/assert.h"

namespace chappe {
namespace {

constexpr std::string_view kTaskStateNames[] = {"none",       "scheduled",    "queued",          "running",
                                                "committing", "up_for_retry", "waiting",         "success",
                                                "failed",     "skipped",      "upstream_failed", "cancelled"};
static_assert(std::size(kTaskStateNames) == kTaskStates);
constexpr std::string_view kRunStateNames[] = {"queued", "running", "success", "failed", "cancelled"};
static_assert(std::size(kRunStateNames) == kRunStates);
constexpr std::string_view kReasonNames[] = {
    "none",        "exit_code",      "signal",        "timeout",   "queue_timeout", "oom",     "lost_worker",
    "artifact_io", "invalid_output", "launch_failed", "cancelled", "check_failed",  "upstream"};
constexpr std::string_view kRuleNames[] = {
    "all_success", "all_failed", "all_done",    "all_done_min_one_success",    "all_skipped",  "one_failed",
    "one_success", "one_done",   "none_failed", "none_failed_min_one_success", "none_skipped", "always"};

template <typename Enum, std::size_t N>
std::optional<Enum> find_name(const std::string_view (&names)[N], std::string_view name) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return std::nullopt;
  return static_cast<Enum>(found - std::begin(names));
}

}  // namespace

bool is_final(TaskState state) { return state >= TaskState::kSuccess; }
bool holds_attempt(TaskState state) {
  return state == TaskState::kQueued || state == TaskState::kRunning || state == TaskState::kCommitting;
}
std::string_view name_of(TaskState state) { return kTaskStateNames[static_cast<std::size_t>(state)]; }
std::optional<TaskState> parse_task_state(std::string_view name) { return find_name<TaskState>(kTaskStateNames, name); }

bool is_final(RunState state) { return state >= RunState::kSuccess; }
std::string_view name_of(RunState state) { return kRunStateNames[static_cast<std::size_t>(state)]; }
std::optional<RunState> parse_run_state(std::string_view name) { return find_name<RunState>(kRunStateNames, name); }

std::string_view name_of(Reason reason) { return kReasonNames[static_cast<std::size_t>(reason)]; }
std::optional<Reason> parse_reason(std::string_view name) { return find_name<Reason>(kReasonNames, name); }
bool is_infrastructure(Reason reason) { return reason == Reason::kLostWorker || reason == Reason::kArtifactIo; }

std::string_view name_of(TriggerRule rule) { return kRuleNames[static_cast<std::size_t>(rule)]; }
std::optional<TriggerRule> parse_trigger_rule(std::string_view name) {
  return find_name<TriggerRule>(kRuleNames, name);
}
std::vector<std::string> trigger_rule_names() { return {std::begin(kRuleNames), std::end(kRuleNames)}; }

Duration backoff_after(std::uint32_t tries, const Backoff& backoff, double chance) {
  CHAPPE_ASSERT(tries > 0 && chance >= 0 && chance < 1);
  const auto ceiling = static_cast<double>(backoff.max.count());
  const double growth = std::pow(backoff.factor, static_cast<double>(tries - 1));
  const double rest = std::min(static_cast<double>(backoff.initial.count()) * growth, ceiling);
  return Duration(static_cast<std::int64_t>(rest * (1 + backoff.jitter * (2 * chance - 1))));
}

Resources& Resources::operator+=(const Resources& more) {
  cpu_milli += more.cpu_milli;
  memory_bytes += more.memory_bytes;
  gpus += more.gpus;
  return *this;
}

Resources& Resources::operator-=(const Resources& less) {
  cpu_milli -= less.cpu_milli;
  memory_bytes -= less.memory_bytes;
  gpus -= less.gpus;
  return *this;
}

Resources scaled(const Resources& first, const RetryScale& scale, std::uint32_t tries) {
  const auto growth = [tries](double factor) {
    return std::min(std::pow(factor, static_cast<double>(tries)), kRetryScaleMax);
  };
  Resources out = first;
  if (scale.cpu > 1) out.cpu_milli = static_cast<std::uint32_t>(std::llround(first.cpu_milli * growth(scale.cpu)));
  if (scale.memory > 1) {
    const double bytes = static_cast<double>(first.memory_bytes) * growth(scale.memory);
    out.memory_bytes = static_cast<std::uint64_t>(std::llround(bytes));
  }
  return out;
}

}  // namespace chappe
