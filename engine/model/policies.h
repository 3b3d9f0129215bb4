/// \file
/// The closed lists and policies of the DAG language and of runs: states, reasons, rules, retries.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/time.h"

namespace chappe {

/// Where a task instance stands. The numbers are stored: never renumber.
enum class TaskState : std::uint8_t {
  kNone = 0,             ///< Its dependencies are not decided yet.
  kScheduled = 1,        ///< Ready; waits for a worker or a slot.
  kQueued = 2,           ///< An attempt is assigned to a worker that has not said it started.
  kRunning = 3,          ///< The worker said that the attempt started.
  kCommitting = 4,       ///< The attempt won; its assets are being published. Rolls forward only.
  kUpForRetry = 5,       ///< Rests between attempts; holds no slot.
  kWaiting = 6,          ///< Waits for a timer, an asset or a person; holds no slot.
  kSuccess = 7,          ///< Outputs are committed and published. Final, as are those below.
  kFailed = 8,           ///< See Reason. With `allowed`, it counts as success for the run and its children.
  kSkipped = 9,          ///< `when` was false, a skip cascaded, or its rule cannot come true.
  kUpstreamFailed = 10,  ///< A task it needs failed.
  kCancelled = 11,       ///< A person, a time-out of the run, or fail_fast ended it.
};
inline constexpr std::size_t kTaskStates = 12;

bool is_final(TaskState state);
bool holds_attempt(TaskState state);        ///< kQueued, kRunning or kCommitting.
std::string_view name_of(TaskState state);  ///< "up_for_retry".
std::optional<TaskState> parse_task_state(std::string_view name);

enum class RunState : std::uint8_t {
  kQueued = 0,  ///< Accepted; waits for its turn (`concurrency`).
  kRunning = 1,
  kSuccess = 2,  ///< Final, as are those below.
  kFailed = 3,
  kCancelled = 4,
};
inline constexpr std::size_t kRunStates = 5;
bool is_final(RunState state);
std::string_view name_of(RunState state);
std::optional<RunState> parse_run_state(std::string_view name);

/// Why an attempt or a task instance ended as it did. The numbers are stored: never renumber.
enum class Reason : std::uint8_t {
  kNone = 0,
  kExitCode = 1,       ///< The process ended with a code that is not 0.
  kSignal = 2,         ///< A signal ended it that we did not send.
  kTimeout = 3,        ///< `timeout` passed while it ran.
  kQueueTimeout = 4,   ///< `queue_timeout` passed before it started.
  kOom = 5,            ///< The kernel killed it for memory.
  kLostWorker = 6,     ///< The lease ran out, or the worker came back without it.
  kArtifactIo = 7,     ///< Inputs could not be fetched, or outputs not stored.
  kInvalidOutput = 8,  ///< A declared output is missing, empty or not what was promised.
  kLaunchFailed = 9,   ///< The process could not be started.
  kCancelled = 10,     ///< A person, the run's time-out or fail_fast.
  kCheckFailed = 11,   ///< A gate said no.
  kUpstream = 12,      ///< The state follows from the tasks it depends on.
};
std::string_view name_of(Reason reason);  ///< "exit_code"
std::optional<Reason> parse_reason(std::string_view name);
/// True for reasons that the infrastructure answers for: they use `infra_retry`, never the user's `retry`.
bool is_infrastructure(Reason reason);

/// Airflow's twelve, with Airflow 3's meaning. Told to users in docs/guide/dag-file.md.
enum class TriggerRule : std::uint8_t {
  kAllSuccess,
  kAllFailed,
  kAllDone,
  kAllDoneMinOneSuccess,
  kAllSkipped,
  kOneFailed,
  kOneSuccess,
  kOneDone,
  kNoneFailed,
  kNoneFailedMinOneSuccess,
  kNoneSkipped,
  kAlways,
};
std::string_view name_of(TriggerRule rule);
std::optional<TriggerRule> parse_trigger_rule(std::string_view name);
/// All twelve names, for messages and the schema.
std::vector<std::string> trigger_rule_names();

/// Rest between two tries: initial * factor^(n-1), at most `max`, then spread by +-`jitter` of itself.
struct Backoff {
  Duration initial = std::chrono::seconds(0);  ///< Rest after the first failed try.
  double factor = 2;                           ///< At least 1.
  Duration max = std::chrono::minutes(10);     ///< Ceiling before jitter.
  double jitter = 0;                           ///< 0 to 1; the share that chance may add or take away.
  bool operator==(const Backoff&) const = default;
};

/// By how much each further try multiplies what the task asks for: factors from 1 to kRetryScaleMax.
struct RetryScale {
  double cpu = 1;
  double memory = 1;
  bool is_set() const { return cpu > 1 || memory > 1; }
  bool operator==(const RetryScale&) const = default;
};
inline constexpr double kRetryScaleMax = 16;  ///< So many times what the first try asked for, and no more.

/// The user's retries. `limit` counts extra tries.
struct RetryPolicy {
  std::uint16_t limit = 0;               ///< Extra tries after the first; at most 1,000.
  std::vector<Reason> on;                ///< Only after these; empty: after any reason of the user's.
  std::vector<std::int32_t> exit_codes;  ///< Where not empty, exit_code retries only after these.
  Backoff backoff;
  std::optional<Duration> max_elapsed;  ///< No new try later than this after the first one was queued.
  bool avoid_same_worker = false;
  RetryScale scale;
  bool operator==(const RetryPolicy&) const = default;
};

/// Lost workers, unreachable storage: a budget apart, so that `retry.limit: 0` survives a preemption.
struct InfraRetryPolicy {
  std::uint16_t limit = 3;
  Backoff backoff{.initial = std::chrono::seconds(1), .factor = 2, .max = std::chrono::minutes(1), .jitter = 0.2};
  bool operator==(const InfraRetryPolicy&) const = default;
};

/// The rest after try number `tries` (from 1) failed. `chance`: uniform in [0, 1). Pure.
Duration backoff_after(std::uint32_t tries, const Backoff& backoff, double chance);

/// Which end of a run a task of its `handlers` waits for. kExit: any; after the others.
enum class Handler : std::uint8_t { kNone, kSuccess, kFailure, kCancel, kExit };

/// When a hook has its turn: whenever this comes to the task that it belongs to. The first two may come again and
/// again; kWait and kLate belong to the run, and come to any of its tasks.
enum class HookEvent : std::uint8_t {
  kNone,     ///< The task is no hook.
  kStart,    ///< An attempt has started.
  kRetry,    ///< An attempt has failed, and there will be another one.
  kSuccess,  ///< It has ended so, as have the next two.
  kFailure,
  kSkipped,
  kWait,  ///< It waits for a time, for data or for a person.
  kLate,  ///< It waits for longer than it should.
};

enum class FailFast : std::uint8_t {
  kOff,     ///< Siblings go on: batch wants the most finished work to resume from.
  kFinish,  ///< Nothing new starts after a failure; what runs may finish.
  kCancel,  ///< What runs is cancelled too.
};

/// What a task needs of a worker, and takes from its capacity while an attempt is assigned.
struct Resources {
  std::uint32_t cpu_milli = 1000;  ///< Thousandths of a core.
  std::uint64_t memory_bytes = 0;  ///< 0: not asked for, not limited.
  std::uint32_t gpus = 0;
  auto operator<=>(const Resources&) const = default;
  Resources& operator+=(const Resources& more);
  Resources& operator-=(const Resources& less);  ///< Requires: it was added before.
};

/// What a task whose first try needs `first` needs after so many failed ones. What is 0 stays so. Pure.
Resources scaled(const Resources& first, const RetryScale& scale, std::uint32_t tries);

/// Which workers may have a task: those with all of these labels, and no taint that it does not tolerate; for one in a
/// container, those that run containers.
struct Whereabouts {
  std::vector<std::pair<std::string, std::string>> labels;  ///< Sorted by name.
  std::vector<std::string> tolerations;                     ///< Sorted.
  bool container = false;
  auto operator<=>(const Whereabouts&) const = default;
};

}  // namespace chappe
