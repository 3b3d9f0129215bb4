/// \file
/// The laws, in one place: what must hold whatever goes wrong. Checked from outside, by what is durable, what was sent
/// and what programs really did; never by asking the engine. docs/design/correctness.md says them in words, under the
/// same numbers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/run/events.h"
#include "tests/simulation/objects.h"
#include "tests/simulation/people.h"
#include "worker/agent/agent.h"

namespace chappe::simulation {

enum class Law : std::uint8_t {
  kAssertion = 0,          ///< No assertion of the product breaks.
  kOneWinner = 1,          ///< At most one attempt of a task instance commits, in each generation.
  kManifestExists = 2,     ///< What a commit names is there, has the hash it says, and is that attempt's own.
  kDependenciesFirst = 3,  ///< No attempt is assigned before its trigger rule allows it, by what is durable.
  kSaveThenTell = 4,       ///< Nothing leaves before what it follows from is durable.
  kEdges = 5,              ///< States change along the known edges only; a final one only when a person runs it again.
  kBudgets = 6,            ///< Attempts are numbered without gaps; each failure is charged to the right budget, once.
  kFence = 7,              ///< Attempt ids only grow; only the current attempt changes its instance.
  kEpoch = 8,              ///< A scheduler that was replaced commits nothing.
  kOverlap = 9,            ///< Two programs of one instance run side by side for at most a lease.
  kReadsCommitted = 10,    ///< A program reads committed objects only, exactly those that were recorded as its inputs.
  kLineage = 11,           ///< Manifests, inputs and asset versions belong to committed attempts, once; no cycles.
  kRequests = 12,          ///< What a person was told stays true; a request takes effect once.
  kRoom = 13,          ///< Pools, workers and the bounds of DAGs are never exceeded; nobody gets what it does not know.
  kOneVersion = 14,    ///< A run keeps its DAG version.
  kKeepsWinners = 15,  ///< No object of an attempt that won, or may yet win, is cleaned up, but by law 37.
  kRestore = 16,       ///< An engine made from the rows thinks what the one that wrote them thought.
  kSchedules = 17,     ///< A time makes one run, once it has come; none is left out that `catchup` keeps.
  kSelfFence = 18,     ///< A worker without word from the scheduler starts nothing.
  kOwnAttemptsOnly = 19,  ///< Nobody ends an attempt but the worker it is leased to; its end is what its program did.
  kBounds = 20,           ///< Loops, queues and messages keep their bounds.
  kRunsEnd = 21,          ///< When faults stop, every run ends in bounded time.
  kQuiet = 22,            ///< Then nothing is left: leases, slots, held attempts, unpublished or orphaned outputs.
  kNoCrashLoop = 23,      ///< When faults stop, no scheduler dies any more.
  kForetold = 24,         ///< Runs of deterministic tasks end as they do without faults, with the same contents.
  kCalm = 25,             ///< Where nothing goes wrong, nothing is lost, returned to the queue or asked for twice.
  kRests = 26,            ///< No attempt comes before the rest between two tries has passed.
  kAliases = 27,          ///< An alias moves in one transaction with its reason, from what it was.
  kVisibleOnce = 28,      ///< Outputs become visible after their commit, at most once, and are visible in the end.
  kRunVerdict = 29,       ///< A run ends when all its instances have, and as they did; `fail_fast` stops it.
  kKeepsResults = 30,     ///< A worker keeps a result until it is acknowledged, and no longer.
  kWaits = 31,   ///< A wait ends when what it is for has come, not before; it is given up when its time is over.
  kCached = 32,  ///< A result that is used again is that of an attempt that won and was made of the same, and is there.
  kEvents = 33,  ///< An event is kept with what it tells of, for each DAG that listens, and taken by one run.
  kBackfills = 34,  ///< Each date of a backfill gets the runs that it should, and none beside one that is under way.
  kTold = 35,       ///< Who is to be told of a run's end is, in the same commit, once; and in the end it was sent.
  kStates = 36,     ///< A state moves with a success, by an attempt that knew it; and no success leaves it behind.
  kPast = 37,       ///< A task that depends on its past begins when that has ended well.
  kDeadlines = 38,  ///< A run that is late is told of once, when it is; nothing of a task begins behind its deadline.
  kHooks = 39,      ///< A hook is called when what it is for has come, once of each; and has heard when its run ends.
  kRetention = 40,  ///< An artifact goes when its retention has passed, not before; its object with the last of them.
  kServices = 41,   ///< A task starts when its services are ready; one ends well when all that depend on it have ended.
  kPruning = 42,    ///< A run goes when its retention has passed, and nothing that is there descends from it.
};

std::string_view name_of(Law law);  ///< "one_winner"

struct Violation {
  Law law = Law::kAssertion;
  std::string message;
};

class World;

class Laws {
 public:
  explicit Laws(World& world) : world_(world) {}

  /// The first one counts.
  void broken(Law law, std::string message);
  const std::optional<Violation>& violation() const { return violation_; }

  // ---- What happens ----
  void requested(const RunId& id, std::uint32_t story) { asked_[id] = story; }
  void granted(const Request& request, const RunId& run);
  void stepped(const std::vector<Event>& events, const Effects& effects, bool newest);
  /// Before the store applies it.
  void committed(std::uint32_t epoch, bool newest, const Persist& persist);
  /// `newest`: by the scheduler of the newest epoch.
  void told(const WorkerSend& send, bool newest);
  void publishes(const PublishAssets& publish);
  void drops(const DropOutputs& drop);
  void removes(const RemoveObjects& remove);
  void removes(const RemoveRunObjects& remove);
  void notified(std::uint64_t id) { notified_.insert(id); }
  /// The worker is scaled away.
  void lets_go(const std::string& incarnation);
  void restored(const std::string& before, const std::string& after);

  void worker_hears(std::uint32_t worker, const WorkerSend& send);
  void agent_acted(std::size_t held, const agent::AgentOrders& orders);
  void starts(std::uint32_t worker, const Assignment& what, bool fenced, bool draining);
  void program_begins(std::uint32_t worker, const Assignment& what);
  void program_ends(AttemptId attempt);
  void program_freezes(AttemptId attempt);
  void program_thaws(AttemptId attempt);
  void reads(const Assignment& what, const InputObject& object, const std::string& content);
  void input_missing(const Assignment& what, const InputObject& object, const Error& error);
  void came_to(const Assignment& what, const AttemptEnd& end, const AttemptOutputs* outputs);

  void object_stored(const std::string& key);
  void object_removed(const std::string& key);
  void shown(const std::string& uri, const std::string& key);

  // ---- In the end ----
  void check_quiet();
  void check_answer(const Request& request);
  std::size_t runs() const { return runs_.size(); }
  bool all_runs_ended() const;
  bool all_collected() const;
  bool all_drops_seen() const;
  /// What has not come to its end, for people.
  std::string unfinished() const;
  bool ended(const RunId& run) const;
  bool waits(const RunId& run, const std::string& instance) const;
  /// Of an instance that waits on its past: that run, once it is over, and the task there.
  struct Stuck {
    bool waits = false;  ///< Else it does not any more.
    RunId on;            ///< Not set: it goes on.
    std::string task;
    bool cancelled = false;
    std::uint32_t story = 0;
  };
  Stuck stuck(InstanceKey key) const;
  bool all_backfills_ended() const;
  bool all_times_done() const;
  std::optional<BackfillId> paused_backfill() const;

  // ---- For those who lie and meddle ----
  std::optional<HeldAttempt> some_leased_attempt(const std::string& but_of_incarnation) const;
  std::optional<std::string> some_committed_object(AttemptId but_of) const;
  std::optional<AssetVersion> some_published_version() const;
  std::uint32_t user_tries(InstanceKey key) const;
  std::uint32_t generation(RunSeq run) const;
  const Story* story_of(RunSeq run) const;

 private:
  struct RunView {
    const Story* story = nullptr;
    RunRow row;
    std::uint32_t active = 0;
    std::vector<std::uint32_t> active_by_task;
    bool generation_rose = false;  ///< In the commit under way.
  };
  struct LiveProgram {
    InstanceKey key;
    std::uint32_t worker = 0;
    std::uint32_t cpu_milli = 0;
    bool frozen = false;
  };
  struct Together {
    std::uint32_t running = 0;
    MonoTime since;  ///< With two or more.
  };
  struct Truth {
    Reason reason = Reason::kNone;
    std::vector<OutputObject> objects;
    std::vector<InputObject> read;
  };

  // laws_commit.cc
  void commit_run(const RunRow& row, const Persist& persist);
  void commit_run_change(const RunChange& change);
  void commit_fan_out(const FanOutRow& row);
  void commit_task(const TaskChange& change);
  void check_tolerance(InstanceKey key);
  void check_edge(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_attempt(RunView& run, const TaskRow& old, const TaskRow& row);
  void check_assigned(RunView& run, const TaskRow& old, const TaskRow& row);
  void check_iteration(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_budgets(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_result_kept(const TaskRow& old, const TaskRow& row);
  void check_charge(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_won(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_fail_fast(const RunView& run, const TaskRow& row);
  void check_run_verdict(const RunView& run);
  void commit_lease(RunView& run, const TaskRow& row, bool takes);
  void commit_input(const InputRow& row);
  void commit_artifact(const ArtifactRow& row);
  void check_told(const Persist& persist, const RunChange& change);
  void note_cached(const Persist& persist);
  void check_cached(const Persist& persist, const CacheUseRow& use);
  void commit_cached_artifact(const ArtifactRow& row);
  void commit_asset_version(const AssetVersion& version);
  void commit_published(const AssetPublished& published);
  void commit_alias(const AliasRow& row);
  void check_queue_timeout(const TaskRow& row);
  void check_wait(const Persist& persist, const TaskChange& change);
  void check_wait_came(const RunView& run, const Persist& persist, const TaskRow& row);
  void check_wait_given_up(const RunView& run, const TaskRow& row);
  bool has_come(const RunView& run, const Task& task, const AssetVersion& version) const;
  void forget_winner(const TaskRow& row);
  void note_end(const TaskRow& old, const TaskRow& row);
  std::string upstream_ends(const RunView& run, std::uint32_t index) const;
  void note_ahead(const RunView& run, std::uint32_t index);
  std::string name(InstanceKey key) const;
  const Task& task_of(const RunView& run, InstanceKey key) const;
  bool handles(const RunView& run, InstanceKey key) const;
  bool tears_down(const RunView& run, InstanceKey key) const;
  bool is_aside(const RunView& run, InstanceKey key) const;
  bool some_setup_succeeded(const RunView& run, InstanceKey key) const;
  bool stopped(const RunView& run, InstanceKey key) const;
  void check_set_up(const RunView& run, InstanceKey key);
  void check_turn(const RunView& run, InstanceKey key);
  void check_handlers(const RunView& run);
  // laws_hooks.cc
  InstanceKey heard_by(const RunView& run, InstanceKey key) const;
  bool is_called(const RunView& run, const TaskRow& old, const TaskRow& row) const;
  void check_hook(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_hooks_heard(const RunView& run);

  // laws_events.cc
  struct Heard {
    EventSource source;
    std::string key;
    std::optional<RunState> end;
  };
  void check_events(const Persist& persist);
  void check_all_hear(const Persist& persist, const std::vector<Heard>& heard);
  void check_event(const TriggerEventRow& row, const std::vector<Heard>& heard);
  void check_taken(const Persist& persist, const TriggerEventTaken& taken);
  void check_triggered(const RunRow& row, const Persist& persist);
  void check_no_event_waits();
  // laws_objects.cc
  void check_object_event(const Persist& persist, const TriggerEventRow& row);
  void check_sighting(const Persist& persist, const SightingChange& change);
  void check_call_event(const TriggerEventRow& row);
  void check_called(const Request& request, const RunId& run);
  const Story* listener(const std::string& dag) const;  ///< Null: it is none.
  // laws_states.cc
  std::uint64_t state_version() const;
  void note_state_told(const Assignment& what, bool newest);
  void check_scale(const Assignment& what);
  void check_conditions(const Assignment& what);
  void check_states(const Persist& persist);
  void check_datasets(const Persist& persist);
  void check_state(const Persist& persist, const StateRow& row, std::uint64_t version);
  bool is_promised(const Persist& persist) const;
  void check_state_refused(const Persist& persist, const TaskChange& change, const Task& task);
  bool is_in_pod(InstanceKey key) const;
  // laws_places.cc
  static std::string place_of(const RunRow& row);
  void note_place(const RunRow& row, bool ran, bool again);
  void check_places();
  void check_published(const RunView& run);
  // laws_runs.cc
  void check_started(const RunRow& row, const Persist& persist);
  bool fails_with_run(const RunView& run, const TaskRow& old, const TaskRow& row) const;
  void check_ends_with_run(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_reads(const Persist& persist);
  // laws_services.cc
  void note_ready(const Persist& persist);
  void check_services(const RunView& run, const TaskRow& old, const TaskRow& row);
  bool is_needed(const RunView& run, std::uint32_t service) const;
  bool has_services(const RunView& run, std::uint32_t task) const;
  void check_services_told(const Assignment& what);
  // laws_retention.cc
  bool is_past_newest(const RunRow& run, std::uint32_t keep_last) const;
  void check_collected(const Persist& persist);
  void check_collected(const ArtifactCollected& what);
  void check_doomed(const Persist& persist, const std::string& key);
  void check_all_removed();
  // laws_prune.cc
  RunSeq run_of_object(const std::string& key) const;
  void check_pruned(const Persist& persist);
  void check_pruned(const RunPruned& pruned);
  void check_descent();
  void check_refers(InstanceKey key, const std::string& object);
  void check_all_pruned();
  // laws_schedules.cc
  void check_scheduled(const RunRow& row, const Persist& persist);
  void check_latest(const RunView& run, const TaskRow& old, const TaskRow& row);
  void check_schedules(const Persist& persist);
  void check_done_with(const Dag& dag, const DeploymentRow& row);
  WallTime done_before(const Dag& dag, const DeploymentRow& row) const;
  // laws_past.cc
  const RunView* newest_before(const RunRow& row) const;
  bool has_ended_well(const RunView& run, const std::string& task) const;
  void check_past(const RunView& run, const TaskRow& old, const TaskRow& row);
  static bool has_tasks_on_past(const Dag& dag);
  // laws_deadlines.cc
  void check_deadline(const RunView& run, const RunRow& row);
  void check_deadline(const RunView& run, const TaskRow& old, const TaskRow& row);
  // laws_backfills.cc
  void check_backfill_run(const RunRow& row);
  void commit_backfill(const BackfillRow& row);
  void check_backfills_counted();
  void check_dates();

  // laws.cc
  static AttemptId attempt_of(const std::string& key);
  bool leased(AttemptId attempt) const;
  /// The incarnation that it is leased to.
  std::string holder(AttemptId attempt) const;
  void check_answered(const AttemptFinished& finished, const Effects& effects, bool newest);
  void apart(LiveProgram& program);
  void together(LiveProgram& program);

  // laws_quiet.cc
  void check_rows();
  void check_objects();
  void check_foretold(const RunView& run);
  void check_processes();
  void check_notified();

  World& world_;
  std::optional<Violation> violation_;

  std::map<RunId, std::uint32_t> asked_;
  std::set<std::uint32_t> stories_submitted_;
  std::map<RunSeq, RunView> runs_;
  struct Places {
    std::set<RunSeq> taken;
    std::set<RunSeq> line;
  };
  std::map<std::string, Places> places_;                  ///< By DAG or group; but for runs of backfills.
  std::map<RunSeq, bool> runs_begun_;                     ///< In the commit under way; and: again.
  std::map<AttemptId, RunSeq> started_;                   ///< By tasks.
  std::map<std::string, WallTime> fired_to_;              ///< By DAG that time starts.
  std::map<std::string, std::set<WallTime>> times_made_;  ///< The logical times of its runs.
  std::map<BackfillId, BackfillRow> backfills_;
  std::map<BackfillId, std::uint32_t> made_;  ///< Runs of each.
  std::map<InstanceKey, TaskRow> rows_;
  std::unordered_map<AttemptId, InstanceKey> attempts_;
  std::map<InstanceKey, AttemptId> winner_;  ///< In this generation.
  std::set<AttemptId> won_;                  ///< Ever.
  std::set<std::uint64_t> notified_;         ///< Notifications that were sent.
  std::set<AttemptId> cached_now_;           ///< Successes of the commit under way with an earlier result.
  std::set<AttemptId> unpublishable_;        ///< Won, until the object store refused their assets for good.
  std::map<InstanceKey, MonoTime> rests_until_;
  AttemptId newest_attempt_;
  std::map<std::string, std::int64_t> pool_taken_;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>, std::less<>> locks_held_;  ///< Attempts; alone.
  std::map<std::string, std::int64_t> active_per_dag_;  ///< Of tasks with such a bound.
  std::map<WorkerSeq, std::int64_t> cpu_taken_;
  std::set<ConnectionId> draining_;

  std::set<AttemptId> begun_;
  std::map<AttemptId, LiveProgram> live_;
  std::map<InstanceKey, Together> together_;
  std::map<std::uint32_t, std::int64_t> cpu_running_;  ///< By worker.
  std::map<AttemptId, Truth> truth_;
  std::set<AttemptId> ready_services_;
  std::map<std::string, AttemptId> committed_objects_;  ///< By key.
  std::set<std::string> doomed_;                        ///< Keys that nobody refers to any more.
  std::set<RunSeq> pruned_;
  std::set<std::string> removed_;  ///< The first key of each removal that was asked for.
  std::set<std::pair<AttemptId, std::string>> inputs_;
  std::set<std::string> shown_;                ///< Keys.
  std::map<std::string, std::string> stands_;  ///< Key of what each URI shows.
  std::map<AssetVersionId, AssetVersion> versions_;
  std::map<std::string, AssetVersionId> aliases_;
  std::set<AttemptId> published_;                               ///< Asked for at least once.
  std::map<AttemptId, std::uint64_t> states_told_;              ///< Versions.
  std::set<std::pair<std::string, std::string>> objects_told_;  ///< Listener; key and etag.
  std::size_t listings_ = 0;                                    ///< In the step whose commit comes.
};

}  // namespace chappe::simulation
