#include "tests/simulation/mutants.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

namespace chappe::simulation {

// A row of the list: the mutant, what it does wrong, and the laws of which one must find it.
#define BUG(name, breaks, ...)                        \
  {                                                   \
    Mutant::k##name, #name, breaks, {__VA_ARGS__}, {} \
  }
// Another: the mutant, what it does wrong, the law that must find it, and the faults that bring it about.
#define RARE(name, breaks, law, ...)                       \
  {                                                        \
    Mutant::k##name, #name, breaks, {law}, { __VA_ARGS__ } \
  }
// Another: what it breaks, another guard saves, as far as any history has shown. Units hold the guard itself.
#define HIDDEN(name, breaks) \
  { Mutant::k##name, #name, breaks, {}, {}, true }

namespace {

const std::vector<PlantedBug> kBugs{
    // The scheduler's shell and the store.
    BUG(TellsBeforeSaving, "messages go out before the commit", Law::kSaveThenTell),
    BUG(GoesOnAfterFailedCommit, "a commit that failed does not end the process", Law::kSaveThenTell, Law::kFence),
    BUG(StoreForgetsEpoch, "a scheduler that was replaced may still write", Law::kEpoch),
    RARE(NeverConfirms, "a scheduler that was replaced and writes nothing keeps its workers", Law::kOverlap,
         Fault::kSecondScheduler, Fault::kBreakLink, Fault::kPauseScheduler),
    // The engine: placing.
    BUG(ForgetsPools, "a pool gives out more slots than it has", Law::kRoom),
    BUG(ForgetsGates, "locks and max_active_per_dag let everybody through", Law::kRoom),
    BUG(KeepsGates, "locks are not given back", Law::kRunsEnd),
    BUG(ForgetsMaxActive, "a run has more attempts than max_active_tasks", Law::kRoom),
    BUG(ForgetsMaxParallel, "a fan-out has more attempts than max_parallel", Law::kRoom),
    BUG(ForgetsParked, "what waits for its run's turn never gets it", Law::kRunsEnd),
    BUG(AttemptIdsWithoutEpoch, "attempt ids begin anew with each scheduler", Law::kFence),
    BUG(AttemptNumberStays, "a new attempt has the number of the last one", Law::kBudgets),
    BUG(ForgetsInputs, "what an attempt was handed is not recorded", Law::kReadsCommitted),
    BUG(ForgetsTakenRoom, "what runs on a worker does not count", Law::kRoom, Law::kRunsEnd),
    BUG(ForgetsWhatWorkersKnow, "an older worker gets a kind of task that it does not know", Law::kRoom),
    BUG(ForgetsScale, "a further try is told to make do with what the first one had", Law::kRoom),
    BUG(PlacesAsIfItWereTheFirst, "a further try goes where there is room for the first one", Law::kRoom),
    BUG(KeepsSlots, "a pool's slots are not given back", Law::kRunsEnd, Law::kQuiet),
    // Retention.
    BUG(CollectsAssets, "a version of an asset goes with the artifacts of its run", Law::kRetention,
        Law::kManifestExists),
    BUG(CollectsTooSoon, "an artifact goes with those whose retention is shorter", Law::kRetention),
    BUG(CollectsNewestRuns, "the newest runs of a DAG keep nothing", Law::kRetention),
    BUG(CollectsWhatOthersHold, "an object goes though another run has it", Law::kRetention),
    BUG(ForgetsDoomedObjects, "what was to be removed stays after a restart", Law::kRunsEnd, Law::kQuiet),
    BUG(ForgetsRefusedObjects, "what the store does not let go is taken for removed", Law::kQuiet),
    BUG(UsesCollectedResults, "a result is used again that was collected while it was looked up", Law::kCached),
    BUG(RunsAgainWhatIsCollected, "a run goes on with what is collected at the same moment", Law::kRetention),
    RARE(HandsOutCollectedArtifacts, "an attempt is handed what was collected", Law::kReadsCommitted, Fault::kRetryRun),
    // Pruning.
    BUG(ForgetsMarkedRuns, "what was left of a pruned run stays after a restart", Law::kRunsEnd, Law::kQuiet),
    HIDDEN(PrunesWhatIsUsedMeanwhile, "a run goes though its result was used while it was gone through"),
    HIDDEN(UsesPrunedResults, "a result is used again whose run was pruned while it was looked up"),
    HIDDEN(RunsAgainWhatIsPruned, "a run goes on that is pruned at the same moment"),
    // What workers report.
    BUG(TrustsForeignReports, "a worker may end the attempt of another one", Law::kOwnAttemptsOnly),
    BUG(ForgetsWhoWon, "the winner's outputs are dropped when its result comes again", Law::kKeepsWinners),
    RARE(ForgetsFormerWinners, "outputs that won before a person's retry are dropped", Law::kKeepsWinners,
         Fault::kRetryRun, Fault::kDuplicateMessage, Fault::kReplayMessage),
    HIDDEN(DropsWhatANewerSchedulerMade, "a replaced scheduler drops what the newer one may accept"),
    BUG(ForgetsReturned, "what a worker gives back is not given to another", Law::kRunsEnd),
    RARE(ReturnedGoesOnInStoppedRun, "what a worker gives back starts again in a stopped run", Law::kRequests,
         Fault::kCancelRun),
    BUG(NeverAcknowledges, "results are never acknowledged", Law::kSaveThenTell),
    BUG(TrustsObjectKeys, "a report may name objects of others", Law::kManifestExists, Law::kLineage),
    BUG(FailureIsSuccess, "a failed attempt counts as a success", Law::kOwnAttemptsOnly),
    BUG(FailureTellsNobody, "what waits for a failure is not judged", Law::kRunsEnd),
    // Ends, retries, time.
    BUG(LossIsChargedToUser, "a lost worker is charged to the user's retries", Law::kBudgets),
    BUG(InfraBudgetIsEndless, "losses are retried past their budget", Law::kBudgets),
    BUG(OneRetryTooMany, "failures are retried once too often", Law::kBudgets),
    BUG(RestsNotAtAll, "the next try comes at once", Law::kRests),
    BUG(RestsForEver, "the next try never comes", Law::kRunsEnd),
    RARE(QueueTimeoutOfAnotherGeneration, "a timer from before a retry ends what was retried", Law::kRests,
         Fault::kRetryRun, Fault::kCancelRun),
    // Outputs.
    BUG(SuccessBeforeVisible, "a task is a success before its assets are visible", Law::kVisibleOnce),
    BUG(ForgetsManifest, "a success without a manifest", Law::kReadsCommitted),
    BUG(DropsNothing, "outputs of attempts that did not win are left", Law::kQuiet),
    BUG(NeverPublishes, "assets of a winner are never made visible", Law::kRunsEnd),
    RARE(ResultsStayFresh, "a result is used again past its ttl", Law::kCached, Fault::kRetryRun),
    // Workers and leases.
    BUG(LeasesAreNotRenewed, "a worker that speaks is lost all the same", Law::kCalm, Law::kRunsEnd),
    BUG(LeasesNeverEnd, "a worker that is silent is never lost", Law::kRunsEnd),
    BUG(LosesWorkersWithoutTheirAttempts, "a lost worker's attempts stay assigned", Law::kRunsEnd, Law::kSaveThenTell,
        Law::kAssertion),
    BUG(MissesLostAssignments, "an assignment that never arrived is never missed", Law::kRunsEnd),
    BUG(CountsAssignmentsOnTheirWayAsLost, "an assignment that is on its way is taken for lost", Law::kCalm,
        Law::kKeepsResults),
    RARE(BelievesOldHellos, "a hello that is read late undoes a newer one", Law::kKeepsResults, Fault::kBreakLink,
         Fault::kClogLink, Fault::kDelayMessage),
    HIDDEN(ForgetsNothing, "a worker is not told to forget what is over"),
    BUG(FeedsDrainingWorkers, "a worker that drains is given attempts", Law::kRoom),
    BUG(CancelsOnce, "a cancel that a broken connection lost is not told again", Law::kRunsEnd),
    // Runs and rules.
    BUG(ForgetsMaxRuns, "more runs of a DAG than max_runs", Law::kRoom),
    BUG(ForgetsGroups, "runs of a group have a place for each DAG", Law::kRoom),
    BUG(RunsOvertake, "a run overtakes one that waits for its place", Law::kRoom),
    RARE(CancelStopsTheLine, "who waits behind a run that is cancelled waits on", Law::kRoom, Fault::kCancelRun),
    BUG(ForgetsRunOutputs, "a run publishes nothing", Law::kRunVerdict),
    BUG(ForgetsRequests, "the same request makes two runs", Law::kRequests),
    BUG(ChildrenAreNotJudged, "the end of a task does not start the next", Law::kRunsEnd),
    BUG(StoppedRunsGoOn, "a stopped run starts tasks", Law::kRequests, Law::kRunsEnd, Law::kRestore),
    BUG(RetriesOvertakeTheirUpstream, "a retry starts while its upstream is run again", Law::kDependenciesFirst),
    BUG(ForgetsHandlers, "handlers are skipped, whatever the end", Law::kRunVerdict, Law::kForetold),
    BUG(ForgetsFailFast, "fail_fast does not stop the run", Law::kRunVerdict),
    BUG(RunsEndEarly, "a run ends before its last task", Law::kRunVerdict),
    BUG(FailedRunsSucceed, "a run with a failed task succeeds", Law::kRunVerdict),
    BUG(QueuedRunsStayQueued, "a run that waits for its turn never gets it", Law::kRunsEnd, Law::kRoom),
    BUG(CancelsOnPaperOnly, "a cancelled run's attempts are not told", Law::kRunsEnd),
    BUG(CancelsAreNotSaved, "a cancel is told before it is durable", Law::kRequests),
    BUG(StartsBeforeAllAreDone, "all_success does not wait for all", Law::kDependenciesFirst),
    BUG(ItemsRunAhead, "an item does not wait for its own upstream", Law::kDependenciesFirst),
    BUG(SkipsInsteadOfRunning, "none_failed_min_one_success skips what it should run", Law::kForetold),
    // What people ask.
    BUG(RetryWithoutGeneration, "a person's retry does not raise the generation", Law::kEdges),
    BUG(RetryKeepsOldTries, "a person's retry does not give new tries", Law::kBudgets),
    HIDDEN(MarksForgetSetups, "what runs because of a mark finds that torn down which it needs"),
    HIDDEN(MarksForgetTolerance, "who is marked a success leaves no room for another one to fail"),
    BUG(RetryForgetsWhatIsReady, "what is ready because of undone ends starts", Law::kDependenciesFirst),
    RARE(RunsAgainWhatAnotherRuns, "a replaced scheduler takes over a run of the newer one", Law::kAssertion,
         Fault::kSecondScheduler, Fault::kRetryRun, Fault::kPauseScheduler, Fault::kLoseMessage),
    RARE(PreviousIsForgotten, "where an alias stood before gets no name, though keep_previous is on", Law::kAliases,
         Fault::kRetryRun),
    BUG(AliasesStayInMemory, "an alias that a person moved is remembered wrongly", Law::kAliases),
    // Waits.
    BUG(AnyVersionEndsWait, "a wait ends with a version that is too old", Law::kWaits),
    BUG(PublicationWakesNobody, "who waits for an asset is not told of it", Law::kWaits),
    BUG(WaitsForEver, "a wait goes on when its time is over", Law::kBounds),
    // Restarts.
    BUG(RestoreForgetsWaits, "a restart forgets what is waited for", Law::kRunsEnd, Law::kRestore),
    BUG(RestoreForgetsAliases, "after a restart aliases stand nowhere", Law::kAliases),
    BUG(RestoreForgetsQueuedRuns, "after a restart queued runs never start", Law::kRunsEnd, Law::kRoom),
    BUG(RestoreForgetsStops, "after a restart a stopped run goes on", Law::kRestore, Law::kRunsEnd),
    RARE(RestoreBelievesOldReadyTimes, "after a restart what runs again was ready when it was ready before",
         Law::kDeadlines, Fault::kSecondScheduler, Fault::kRetryRun),
    HIDDEN(RestoreForgetsTriesOfHooks, "after a restart a hook that was given back has tries that it had not"),
    BUG(RestoreForgetsTries, "after a restart tries are counted anew", Law::kBudgets, Law::kRestore),
    BUG(RestoreForgetsRests, "after a restart what rests is never tried again", Law::kRunsEnd),
    RARE(TrustsTheWallClock, "a wall clock that is set back makes rests longer", Law::kRunsEnd, Fault::kWallJump,
         Fault::kCrashScheduler),
    BUG(RestoreForgetsToPublish, "after a restart publishing is not rolled forward", Law::kRunsEnd),
    BUG(BackfillLooksNothingUp, "a backfill makes runs for dates that have one", Law::kBackfills),
    BUG(TeardownsIgnoreTheirSetup, "what was not set up is torn down", Law::kDependenciesFirst, Law::kForetold),
    BUG(TasksStartTwoRuns, "a DAG that is brought twice starts two runs of one task", Law::kRequests, Law::kAssertion),
    BUG(TasksIgnoreHowTheirRunEnds, "a task succeeds though the run that it waits for does not", Law::kRunVerdict),
    BUG(HooksHearOfAnyEnd, "on_failure is called after a success, too", Law::kHooks),
    BUG(HooksHearTwice, "a hook is called again and again", Law::kHooks, Law::kBounds),
    BUG(ScheduleForgetsTimes, "a schedule's time is not stored as done with", Law::kSchedules),
    BUG(ScheduleForgetsJitter, "a run begins at its time, though jitter makes it due later", Law::kSchedules),
    BUG(ScheduleSkipsMissedTimes, "only the latest missed time makes a run, though catchup is all", Law::kSchedules),
    BUG(ForgetsLatestOnly, "a task for the latest time runs for an earlier one", Law::kSchedules),
    RARE(LatestIsAskedAgain, "a task for the latest time that was ready in time is skipped after a restart",
         Law::kRestore, Fault::kCrashScheduler),
    BUG(ForgetsThePast, "a task begins before its past has ended well", Law::kPast),
    BUG(PastWakesNobody, "who waits on a past is not told of its end", Law::kRunsEnd),
    BUG(NewerPastIsNoNews, "a run that is made in between is not waited for", Law::kPast),
    BUG(AwaitedRunsGetNoPlace, "a run that another one waits on stands in line behind that one", Law::kRunsEnd),
    BUG(RunsAreNeverLate, "nobody is told of a run that misses its deadline", Law::kDeadlines),
    BUG(LateIsToldTwice, "a late run is told of again", Law::kDeadlines),
    BUG(TasksAreNeverLate, "a task goes on behind its deadline", Law::kDeadlines, Law::kRunsEnd),
    BUG(RetriesPassTheirDeadline, "a task is tried again behind its deadline", Law::kDeadlines),
    RARE(OthersTakeDeadlinesAlong, "an item under way has no deadline while others of its task wait to run again",
         Law::kRunsEnd, Fault::kRetryRun),
    RARE(RestoreForgetsDeadlines, "after a restart what runs has no deadline", Law::kRunsEnd, Fault::kCrashScheduler,
         Fault::kCrashAfterCommit),
    BUG(RestoreForgetsOutputs, "after a restart outputs are not handed on", Law::kForetold, Law::kVisibleOnce),
    RARE(RestoreReadsNoValues, "after a restart values in objects are not read again", Law::kRunsEnd,
         Fault::kCrashScheduler, Fault::kCrashAfterCommit),
    BUG(RestoreWaitsForNoValues, "after a restart tasks begin before the values that they name are read",
        Law::kDependenciesFirst, Law::kRunsEnd),
    BUG(RestoreLeasesForEver, "after a restart a worker that does not come back is never lost", Law::kRunsEnd),
    // Runs that events start.
    BUG(EventsTellNobody, "who listens to an asset is not told of a version", Law::kEvents),
    BUG(EventsAreTakenTwice, "an event that started a run goes on waiting", Law::kEvents),
    BUG(DeliveriesAreAllNew, "a call that comes twice while it waits is kept twice", Law::kFence),
    BUG(FirstLookIsNews, "objects that were there before start runs", Law::kEvents),
    BUG(NewVersionIsNoNews, "an object that is written anew starts nothing", Law::kRunsEnd),
    BUG(SightingsAreNotKept, "what was seen of objects is not remembered", Law::kEvents),
    BUG(RestoreForgetsSightings, "after a restart one has seen no objects", Law::kRestore, Law::kFence, Law::kEvents),
    BUG(RestoreForgetsEvents, "after a restart events that waited are forgotten", Law::kEvents, Law::kFence,
        Law::kRestore),
    // Values that outlive runs.
    BUG(StatesAreNotFenced, "who knows an earlier value of a state may move it", Law::kStates, Law::kFence),
    BUG(StatesAreNotWritten, "a success leaves its state behind", Law::kStates),
    BUG(RestoreForgetsStates, "after a restart states begin anew", Law::kStates, Law::kFence, Law::kRestore),
    // The worker's agent.
    BUG(MeasuresAnyway, "data is measured though a condition of the check is false", Law::kDependenciesFirst),
    BUG(ForgetsReads, "what an attempt found when it read from S3 is not recorded", Law::kLineage),
    BUG(StartsBeforeServices, "a task starts though a service that it depends on is not ready", Law::kServices),
    BUG(StopsServicesEarly, "a service is stopped though some that depend on it have not ended", Law::kServices),
    BUG(ServicesStayUp, "a service stays up when all that depend on it have ended", Law::kRunsEnd),
    BUG(ServicesHoldTheirsUpForEver, "a service stays up that another one needed, which has ended", Law::kRunsEnd),
    RARE(ReturnedServicesStart, "a service that is given back starts, and nobody needs it any more", Law::kRunsEnd,
         Fault::kDrainWorker, Fault::kRetryRun),
    BUG(OnlyTheLastItemsAreHeld, "items that are ready apart from others are forgotten while they wait for a service",
        Law::kRunsEnd),
    HIDDEN(ReadingHoldsServicesUp, "values that are read again after a restart make a stopped service one that failed"),
    RARE(RunsBeginBeforeServices, "a task starts runs though a service that it depends on is not ready", Law::kServices,
         Fault::kKillProgram),
    RARE(PodsBeginBeforeServices, "an attempt begins in its pod though a service has ended meanwhile", Law::kServices,
         Fault::kStickPod),
    BUG(AgentTellsReadyOnce, "a worker tells once that a service is ready, however that is lost", Law::kRunsEnd),
    BUG(ForgetsDatasets, "what a task declares that it reads and writes is not recorded", Law::kLineage),
    BUG(AgentStartsTwice, "an assignment that comes twice starts twice", Law::kOneWinner),
    HIDDEN(AgentObeysOldSchedulers, "a worker obeys a scheduler that was replaced"),
    BUG(AgentKeepsAcknowledged, "a worker keeps results that were acknowledged", Law::kKeepsResults),
    BUG(AgentStartsWhileDraining, "a worker that drains starts what it is given", Law::kRoom),
    BUG(AgentIgnoresCancels, "a worker goes on with what is cancelled", Law::kRunsEnd),
    BUG(AgentForgetsNothing, "a worker goes on with what it must forget", Law::kOverlap, Law::kRunsEnd, Law::kQuiet),
    BUG(AgentHasNoFence, "a worker without word does not stop its tasks", Law::kSelfFence, Law::kOverlap, Law::kBounds),
    BUG(AgentForgetsTimeouts, "a program that passes its timeout goes on", Law::kRunsEnd, Law::kBounds),
    BUG(AgentOverbooks, "a worker runs more than it has room for", Law::kRoom),
    BUG(AgentLeaksRoom, "a worker never has the room of an ended program back", Law::kRunsEnd),
    BUG(AgentTellsResultsOnce, "a result that got lost is not told again", Law::kRunsEnd),
    BUG(AgentForgetsUnacknowledged, "a worker forgets a result before it is acknowledged", Law::kKeepsResults),
    BUG(AgentLinesUpRequests, "a request is made ready behind a program, which it is none", Law::kRoom),
    BUG(AgentHidesResults, "a heartbeat leaves out results that are not acknowledged yet", Law::kKeepsResults),
    // Pods.
    BUG(PodsAreKept, "nobody says that a pod is needed no more", Law::kRunsEnd),
    RARE(PodKeysServeTwice, "a second process that comes with a pod's key takes its place", Law::kCalm,
         Fault::kStealKey),
    RARE(DeletedPodsEndTheirAttempts, "an attempt whose worker is alive ends with its pod's object", Law::kCalm,
         Fault::kLosePod),
    BUG(RestoreOrdersNoPods, "after a restart pods are not asked for", Law::kRunsEnd),
    RARE(PodsMayTakeForEver, "a pod that never starts is waited for", Law::kRunsEnd, Fault::kStickPod),
    RARE(AdoptsPodsOfOthers, "a pod that has the name is taken for the attempt's own", Law::kCalm, Fault::kTakePodName),
    BUG(BelievesStaleLists, "a pod that a list does not show is held to be gone", Law::kCalm),
    BUG(OrphanedPodsStay, "pods that nobody wants are not removed", Law::kRunsEnd),
    // Fleets.
    BUG(FeedsRestingWorkers, "workers that are to go are given attempts", Law::kRoom, Law::kCalm),
    BUG(BusyWorkersLeave, "workers go that hold attempts", Law::kCalm),
    HIDDEN(WorkersLeaveUntold, "workers go at once that the engine was told of just then"),
    // Publishing.
    RARE(ErrandGivesUp, "an object store that is out of reach fails the task", Law::kForetold,
         Fault::kObjectUnavailable, Fault::kObjectTimeout, Fault::kObjectOutage),
    RARE(ErrandNeverStagesAgain, "an upload that was swept fails the task", Law::kForetold, Fault::kSweepUploads,
         Fault::kObjectTimeout, Fault::kCrashAmongObjects),
    BUG(ErrandClaimsWhatItDidNot, "an upload that failed is reported as published", Law::kVisibleOnce),
};

}  // namespace

#undef BUG
#undef RARE
#undef HIDDEN

std::span<const PlantedBug> planted_bugs() { return kBugs; }

std::string_view name_of(Mutant mutant) {
  for (const PlantedBug& bug : planted_bugs()) {
    if (bug.mutant == mutant) return bug.name;
  }
  return "none";
}

std::optional<Mutant> parse_mutant(std::string_view name) {
  for (const PlantedBug& bug : planted_bugs()) {
    if (bug.name == name) return bug.mutant;
  }
  return std::nullopt;
}

namespace {

constexpr std::uint64_t kSeedsMax = 50'000;   ///< Past these, a bug has survived.
constexpr std::uint64_t kApart = 10'000'000;  ///< From one start to the next.

struct Score {
  std::vector<std::uint64_t> seeds;  ///< It took, by start.
  std::set<Law> laws;
  bool survived = false;
};

Score hunt(const PlantedBug& bug, BatchPlan plan, std::uint32_t starts) {
  Score score;
  if (plan.seeds == 0) plan.seeds = kSeedsMax;
  plan.mutant = bug.mutant;
  if (plan.reduction.only.empty()) plan.reduction.only = bug.focus;
  plan.quiet = true;
  plan.seconds_max = 60;
  for (std::uint32_t start = 0; start < starts; ++start, plan.from += kApart) {
    const BatchResult result = run_batch(plan);
    if (!result.finding) {
      score.survived = true;
      continue;
    }
    score.seeds.push_back(result.finding->seed - plan.from + 1);
    score.laws.insert(result.finding->violation.law);
  }
  std::sort(score.seeds.begin(), score.seeds.end());
  return score;
}

/// False: it survived, or something else was found than it was planted for.
bool print(const PlantedBug& bug, const Score& score) {
  std::string laws;
  for (const Law law : score.laws) laws += fmt::format("{}{}", laws.empty() ? "" : ", ", name_of(law));
  const auto expected = [&](Law law) {
    return std::find(bug.found_by.begin(), bug.found_by.end(), law) != bug.found_by.end();
  };
  const bool as_expected = std::all_of(score.laws.begin(), score.laws.end(), expected);
  const bool found = !score.survived && as_expected;
  const std::uint64_t median = score.seeds.empty() ? 0 : score.seeds[score.seeds.size() / 2];
  const std::uint64_t worst = score.seeds.empty() ? 0 : score.seeds.back();
  fmt::print("{:<34} {:>6} {:>6}  {}{}\n", bug.name, median, worst, laws,
             score.survived ? "  SURVIVED"
             : as_expected  ? ""
                            : "  (another law than the list says)");
  return found;
}

}  // namespace

int run_mutants(const BatchPlan& plan, std::uint32_t starts) {
  std::size_t found = 0;
  std::size_t tried = 0;
  std::size_t hidden = 0;
  std::vector<std::uint64_t> medians;
  fmt::print("{:<34} {:>6} {:>6}  found by\n", "planted bug", "median", "worst");
  for (const PlantedBug& bug : planted_bugs()) {
    if (plan.mutant != Mutant::kNone && plan.mutant != bug.mutant) continue;
    if (bug.hidden && plan.mutant == Mutant::kNone) {
      ++hidden;
      continue;
    }
    const Score score = hunt(bug, plan, starts);
    ++tried;
    if (print(bug, score)) ++found;
    if (!score.seeds.empty()) medians.push_back(score.seeds[score.seeds.size() / 2]);
  }
  std::sort(medians.begin(), medians.end());
  const std::uint64_t median = medians.empty() ? 0 : medians[medians.size() / 2];
  fmt::print("mutation score {}/{}, median {} seeds; {} more are hidden by another guard\n", found, tried, median,
             hidden);
  return found == tried ? 0 : 1;
}

}  // namespace chappe::simulation
