/// \file
/// What must have happened sometimes. A simulator in which something never happens proves nothing about it: a batch of
/// many seeds fails where one of these was never seen.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/records.h"
#include "tests/simulation/plan.h"

namespace chappe::simulation {

enum class Sight : std::uint8_t {
  kRunSucceeded,
  kRunFailed,
  kRunCancelled,
  kRunQueuedBehindAnother,
  kRunQueuedBehindAnotherDag,
  kRunPublished,
  kRunStoppedByFailFast,
  kRunStoppedByTimeout,
  kRunTriedAgain,
  kRunPruned,
  kHandlerRan,
  kHookCalled,
  kHookCalledAgain,
  kLockShared,
  kHandlersCutShort,
  kRequestRepeated,
  kRequestAnsweredFromStore,
  kRequestRefused,
  kHelloAskedFor,  ///< The scheduler does not know the connection.
  kForgetSent,     ///< A worker is told to forget an attempt.
  kCancelSent,
  kWinnerAcknowledgedAgain,
  kAttemptLost,
  kAttemptReturned,
  kAskedForMore,
  kLateResult,  ///< A result of an attempt that was over already.
  kOutputsDropped,
  kValueInObject,
  kValueReadAgain,   ///< After a restart, of a task that had succeeded before.
  kPublishRepeated,  ///< Rolled forward after a restart.
  kPublishRestaged,
  kShownAgain,  ///< After another version had taken its place.
  kPublishFailed,
  kPublishRested,
  kUploadSwept,
  kOldEpochRefused,
  kCommitFailed,
  kStaleScheduler,  ///< A worker meets a scheduler that was replaced.
  kFenced,          ///< A worker stops its tasks for lack of word from the scheduler.
  kKilledByFence,   ///< A task ends because its worker stood still.
  kLinedUp,
  kLinedUpStarted,
  kWithdrawn,
  kWithdrawnTooLate,
  kProgramTimedOut,
  kTwoAttemptsAtOnce,  ///< Of one instance, for less than the bound.
  kWorkerLeft,
  kWorkerGoneForGood,
  kOldWorkerStarts,  ///< One of an older version gets something that it knows.
  kInfraBudgetUsedUp,
  kOrphanLeft,
  kWireUsed,
  kCalmSeed,
  kOracleCompared,
  kRestoredCompared,
  kDatasetDeclared,
  kAliasMovedByTask,
  kPreviousKept,
  kAliasMovedByPerson,
  kCheckPassed,
  kCheckFailed,
  kFannedOutLate,
  kItemWentAhead,  ///< Of a depth-first fan-out, while others upstream were not over.
  kResultsFollowed,
  kFannedOutAnew,  ///< Over other items than before.
  kItemTolerated,
  kLookedInVain,
  kLookFound,
  kWaitEndedByTime,
  kWaitEndedByAsset,
  kWaitEndedByLook,
  kWaitGivenUp,
  kWaitSkipped,
  kWaitUsedLast,
  kQuestionAnswered,
  kLoopWentOn,
  kLoopGaveUp,
  kAssetTold,
  kEndTold,
  kCallTold,
  kRunStartedByTask,
  kTornDown,
  kTornDownThoughStopped,
  kTimeMade,
  kTimeMissed,   ///< It makes no run.
  kPastAllowed,  ///< A task that depends on its past has begun.
  kPastMended,   ///< Somebody saw to a past that others waited on.
  kRunLate,      ///< It missed its deadline, and its owner was told.
  kTaskLate,     ///< Likewise a task, which failed.
  kTaskTooOld,   ///< It is for the latest time only, and skipped.
  kDeliveryRepeated,
  kObjectTold,
  kObjectWasThere,
  kObjectGone,
  kEventWaited,
  kEventsCollapsed,
  kResultUsedAgain,
  kResultNotFound,
  kArtifactCollected,
  kRemovedAgain,
  kRemovalRefused,
  kTaskMarked,
  kBackfillMadeRun,
  kBackfillSkipped,
  kBackfillPaused,
  kBackfillCancelled,
  kPodMade,
  kPodSwept,  ///< Of an attempt that had ended while nobody was there to remove it.
  kPodEvicted,
  kPodLost,
  kPodKeyStolen,
  kFleetGrew,
  kFleetShrank,
  kWorkerRested,  ///< That held something.
  kStateMoved,
  kStateRefused,
  kPeopleTold,
  kToldAfterRestart,
  kServiceReady,
  kServiceStopped,
  kServiceFailed,  ///< Though some that depend on it had not ended.
  kObjectRead,
  kCount,
};
constexpr std::size_t kSights = static_cast<std::size_t>(Sight::kCount);

/// Counts over one seed or many.
struct Seen {
  std::array<std::uint64_t, kFaults> faults{};
  std::array<std::uint64_t, kSights> sights{};
  std::array<std::array<std::uint64_t, kTaskStates>, kTaskStates> edges{};  ///< From, to, as stored.
  std::array<std::uint64_t, 16> reasons{};                                  ///< Ends of attempts.
  std::uint64_t events = 0;
  std::uint64_t commits = 0;
  std::int64_t simulated_us = 0;

  void count(Fault fault) { ++faults[static_cast<std::size_t>(fault)]; }
  void count(Sight sight) { ++sights[static_cast<std::size_t>(sight)]; }
  void add(const Seen& other);
  /// What was seen fewer than `least` times.
  std::vector<std::string> missing(std::uint64_t least) const;
  /// All counts, a line each.
  std::string table() const;
};

std::string_view name_of(Sight sight);
/// The edges that a stored row may take; everything else breaks a law. See docs/design/correctness.md.
bool is_edge(TaskState from, TaskState to);

}  // namespace chappe::simulation
