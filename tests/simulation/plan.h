/// \file
/// What a seed decides before anything happens: how large the world is, how time runs in it, and which faults it knows.
/// Each seed knows some of the faults only (a swarm), so that rare ones are not drowned by frequent ones.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/time.h"
#include "engine/model/retention.h"

namespace chappe::simulation {

enum class Fault : std::uint8_t {
  // A message...
  kLoseMessage,       ///< ... never arrives, though its connection goes on.
  kDuplicateMessage,  ///< ... arrives twice.
  kReplayMessage,     ///< ... arrives again much later.
  kReorderMessage,    ///< ... overtakes those before it.
  kDelayMessage,      ///< ... and all behind it take long.
  // A link...
  kBreakLink,      ///< ... breaks; what was on its way is lost, or comes late from a connection that is one no more.
  kClogLink,       ///< ... passes nothing on for a while, one way or both.
  kSwizzleClog,    ///< All links are clogged one by one, and freed one by one in another order.
  kPartitionLink,  ///< ... loses everything one way for a while.
  // A process...
  kCrashWorker,      ///< ... is gone with all its tasks, and comes back as another incarnation.
  kPauseWorker,      ///< ... stands still while its tasks go on.
  kSuspendWorker,    ///< ... and its whole machine stand still.
  kDrainWorker,      ///< ... is asked to leave.
  kKillProgram,      ///< The process that watches a task is killed.
  kCrashScheduler,   ///< ... dies between two passes.
  kPauseScheduler,   ///< ... stands still.
  kSecondScheduler,  ///< Another scheduler is started while one lives.
  // A commit...
  kCrashBeforeCommit,  ///< ... is not reached.
  kCommitLost,         ///< ... fails, and nothing was written.
  kCommitUnknown,      ///< ... fails, though everything was written.
  kCrashAfterCommit,   ///< ... is the last thing that happened.
  kCrashAmongEffects,  ///< The process dies after some of what follows from a commit.
  // The object store...
  kObjectUnavailable,  ///< ... does not do what it is asked.
  kObjectTimeout,      ///< ... does it, and says that it did not.
  kObjectOutage,       ///< ... is out of reach for a while.
  kSweepUploads,       ///< ... aborts uploads that are open, as a bucket's rule does.
  kCrashAmongObjects,  ///< A process dies between two requests of one errand.
  // A wall clock...
  kWallJump,  ///< ... jumps.
  kDrift,     ///< Clocks of machines run at different rates.
  // People...
  kCancelRun,      ///< ... cancel a run.
  kRetryRun,       ///< ... run a run's tasks again.
  kMoveAlias,      ///< ... move an alias.
  kRepeatRequest,  ///< ... ask again though they were answered.
  // A worker...
  kForeignReport,  ///< ... speaks of an attempt that is not its own.
  kForeignObject,  ///< ... names an object that is not its attempt's.
  // A pod...
  kEvictPod,  ///< ... is evicted.
  kLosePod,   ///< ... is gone with its node, and its worker goes on.
  kStickPod,  ///< ... never starts.
  kStealKey,  ///< ... has another process come with its key.
  // The API server of pods...
  kFailApi,      ///< ... does not answer, whether it did what it was asked or not, or drops news.
  kTakePodName,  ///< ... has a pod of that name already.
  kCount,
};
constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kCount);

std::string_view name_of(Fault fault);  ///< "lose_message"
std::optional<Fault> parse_fault(std::string_view name);

/// What a person who replays a seed may leave out, to see what still fails.
struct Reduction {
  std::vector<Fault> without;
  std::vector<Fault> only;  ///< Not empty: these come, and often, and no others do.
  bool few = false;         ///< Each seed has such faults of its own: see few_faults().
  std::optional<std::uint32_t> tasks_max;
  std::optional<std::uint32_t> runs_max;
  std::optional<std::uint32_t> workers_max;
};

struct Plan {
  std::uint64_t seed = 0;
  std::uint32_t workers = 1;
  std::uint32_t runs = 1;
  std::uint32_t tasks_max = 1;  ///< Of one DAG.
  std::uint32_t prefetch = 0;
  std::uint32_t noop_depth = 1;
  std::uint32_t batch_max = 1;  ///< Messages that a scheduler takes into one pass.
  Duration lease{};
  Duration heartbeat{};
  Duration safety{};  ///< How long faults go on; afterwards all must come to an end.
  Duration latency_min{};
  Duration latency_spread{};
  Duration program_max{};
  Duration trouble_every{};  ///< Mean time between two faults that come by time.
  bool wire = false;         ///< Messages go through the real encoders and decoders.
  bool patient = false;      ///< No DAG has a budget for infrastructure that faults could use up.
  bool pods = false;         ///< Some tasks have pods made for them.
  bool scaled = false;       ///< Workers come and go by what waits.
  bool refuses = false;      ///< The object store lets go of nothing now and then.
  bool slow = false;         ///< Commits take their time, and what a lookup read of the store is old when it is told.
  bool timeless = false;     ///< No DAG has a bound on time: how each run ends does not depend on when things happen.
  bool few = false;          ///< Knows a few faults only, which come often.
  Duration run_retention = kForever;            ///< Of runs that are over.
  std::array<std::uint32_t, kFaults> one_in{};  ///< How often a fault comes where it may; 0: never.

  bool knows(Fault fault) const { return one_in[static_cast<std::size_t>(fault)] > 0; }
  bool calm() const;  ///< Knows no fault at all.
  /// Knows no fault of whoever has an attempt, nor of anything between that and the scheduler.
  bool spares_workers() const;
  /// Knows only faults that a network over TCP and processes that fail can bring.
  bool honest() const;
};

/// One to three of them, drawn by the seed: what people ask for more often than others, as most depends on that.
std::vector<Fault> few_faults(std::uint64_t seed);

Plan make_plan(std::uint64_t seed, const Reduction& reduction);

}  // namespace chappe::simulation
