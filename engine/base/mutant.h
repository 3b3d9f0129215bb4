/// \file
/// Bugs on purpose. The simulator plants them one at a time, to see whether it finds them: a bug that it does not find
/// is a law that is missing. Only the simulator's own build knows them; in every other build CHAPPE_MUTANT is the
/// constant false, and nothing of a mutant is left.
///
/// tests/simulation/mutants.cc says of each what it breaks, and which law must find it.
#pragma once

#include <cstdint>

namespace chappe {

/// By the place in the code where it is planted.
enum class Mutant : std::uint8_t {
  kNone,
  // The scheduler's shell and the store.
  kTellsBeforeSaving,
  kGoesOnAfterFailedCommit,
  kStoreForgetsEpoch,
  kNeverConfirms,
  // The engine: placing.
  kForgetsPools,
  kForgetsMaxActive,
  kForgetsMaxParallel,
  kForgetsParked,
  kAttemptIdsWithoutEpoch,
  kAttemptNumberStays,
  kForgetsInputs,
  kForgetsTakenRoom,
  kForgetsWhatWorkersKnow,
  kForgetsScale,
  kPlacesAsIfItWereTheFirst,
  kKeepsSlots,
  // What workers report.
  kTrustsForeignReports,
  kForgetsWhoWon,
  kForgetsFormerWinners,
  kDropsWhatANewerSchedulerMade,
  kForgetsReturned,
  kReturnedGoesOnInStoppedRun,
  kNeverAcknowledges,
  kTrustsObjectKeys,
  kFailureIsSuccess,
  kFailureTellsNobody,
  // Ends, retries, time.
  kLossIsChargedToUser,
  kInfraBudgetIsEndless,
  kOneRetryTooMany,
  kRestsNotAtAll,
  kRestsForEver,
  kQueueTimeoutOfAnotherGeneration,
  // Outputs.
  kSuccessBeforeVisible,
  kForgetsManifest,
  kDropsNothing,
  kNeverPublishes,
  // Workers and leases.
  kLeasesAreNotRenewed,
  kLeasesNeverEnd,
  kLosesWorkersWithoutTheirAttempts,
  kMissesLostAssignments,
  kCountsAssignmentsOnTheirWayAsLost,
  kBelievesOldHellos,
  kForgetsNothing,
  kFeedsDrainingWorkers,
  kCancelsOnce,
  // Runs and rules.
  kForgetsMaxRuns,
  kForgetsGroups,
  kRunsOvertake,
  kCancelStopsTheLine,
  kForgetsRunOutputs,
  kForgetsRequests,
  kChildrenAreNotJudged,
  kForgetsGates,
  kKeepsGates,
  kForgetsHandlers,
  kStoppedRunsGoOn,
  kRetriesOvertakeTheirUpstream,
  kForgetsFailFast,
  kRunsEndEarly,
  kFailedRunsSucceed,
  kQueuedRunsStayQueued,
  kCancelsOnPaperOnly,
  kCancelsAreNotSaved,
  kStartsBeforeAllAreDone,
  kItemsRunAhead,
  kSkipsInsteadOfRunning,
  // Schedules.
  // What people ask.
  kRetryWithoutGeneration,
  kRetryKeepsOldTries,
  kRetryForgetsWhatIsReady,
  kMarksForgetTolerance,
  kMarksForgetSetups,
  kRunsAgainWhatAnotherRuns,
  kAliasesStayInMemory,
  kPreviousIsForgotten,
  // Waits.
  kAnyVersionEndsWait,
  kPublicationWakesNobody,
  kWaitsForEver,
  kResultsStayFresh,
  // Restarts.
  kRestoreForgetsWaits,
  kRestoreForgetsAliases,
  kRestoreForgetsQueuedRuns,
  kRestoreForgetsStops,
  kRestoreForgetsTries,
  kRestoreForgetsTriesOfHooks,
  kRestoreBelievesOldReadyTimes,
  kRestoreForgetsRests,
  kTrustsTheWallClock,
  kRestoreForgetsToPublish,
  kRestoreForgetsOutputs,
  kRestoreReadsNoValues,
  kRestoreWaitsForNoValues,
  kBackfillLooksNothingUp,
  kTeardownsIgnoreTheirSetup,
  kTasksStartTwoRuns,
  kTasksIgnoreHowTheirRunEnds,
  kScheduleForgetsTimes,
  kScheduleForgetsJitter,
  kScheduleSkipsMissedTimes,
  kHooksHearOfAnyEnd,
  kHooksHearTwice,
  kForgetsLatestOnly,
  kLatestIsAskedAgain,
  // What tasks depend on in their past, and deadlines.
  kForgetsThePast,
  kPastWakesNobody,
  kNewerPastIsNoNews,
  kAwaitedRunsGetNoPlace,
  kRunsAreNeverLate,
  kLateIsToldTwice,
  kTasksAreNeverLate,
  kRetriesPassTheirDeadline,
  kOthersTakeDeadlinesAlong,
  kRestoreForgetsDeadlines,
  kRestoreLeasesForEver,
  // Runs that events start.
  kEventsTellNobody,
  kEventsAreTakenTwice,
  kRestoreForgetsEvents,
  kDeliveriesAreAllNew,
  kFirstLookIsNews,
  kNewVersionIsNoNews,
  kSightingsAreNotKept,
  kRestoreForgetsSightings,
  // Values that outlive runs.
  kStatesAreNotFenced,
  kStatesAreNotWritten,
  kRestoreForgetsStates,
  kForgetsDatasets,
  kMeasuresAnyway,
  kForgetsReads,
  // Services.
  kStartsBeforeServices,
  kStopsServicesEarly,
  kServicesStayUp,
  kServicesHoldTheirsUpForEver,
  kReturnedServicesStart,
  kOnlyTheLastItemsAreHeld,
  kReadingHoldsServicesUp,
  kRunsBeginBeforeServices,
  kPodsBeginBeforeServices,
  kAgentTellsReadyOnce,
  // The worker's agent.
  kAgentStartsTwice,
  kAgentObeysOldSchedulers,
  kAgentKeepsAcknowledged,
  kAgentStartsWhileDraining,
  kAgentIgnoresCancels,
  kAgentForgetsNothing,
  kAgentHasNoFence,
  kAgentForgetsTimeouts,
  kAgentOverbooks,
  kAgentLeaksRoom,
  kAgentTellsResultsOnce,
  kAgentForgetsUnacknowledged,
  kAgentHidesResults,
  kAgentLinesUpRequests,
  // Pods.
  kPodsAreKept,
  kPodKeysServeTwice,
  kDeletedPodsEndTheirAttempts,
  kRestoreOrdersNoPods,
  kPodsMayTakeForEver,
  kAdoptsPodsOfOthers,
  kBelievesStaleLists,
  kOrphanedPodsStay,
  // Fleets.
  kFeedsRestingWorkers,
  kBusyWorkersLeave,
  kWorkersLeaveUntold,
  // Retention.
  kCollectsAssets,
  kCollectsTooSoon,
  kCollectsNewestRuns,
  kCollectsWhatOthersHold,
  kForgetsDoomedObjects,
  kUsesCollectedResults,
  kRunsAgainWhatIsCollected,
  kForgetsRefusedObjects,
  kHandsOutCollectedArtifacts,
  // Pruning.
  kForgetsMarkedRuns,
  kPrunesWhatIsUsedMeanwhile,
  kUsesPrunedResults,
  kRunsAgainWhatIsPruned,
  // Publishing.
  kErrandGivesUp,
  kErrandNeverStagesAgain,
  kErrandClaimsWhatItDidNot,
  kCount,
};

#ifdef CHAPPE_MUTANTS
extern Mutant planted_mutant;
#endif

}  // namespace chappe

#ifdef CHAPPE_MUTANTS
#define CHAPPE_MUTANT(name) (::chappe::planted_mutant == ::chappe::Mutant::name)
#else
#define CHAPPE_MUTANT(name) (static_cast<void>(::chappe::Mutant::name), false)
#endif
