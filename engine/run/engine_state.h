/// \file
/// The engine's insides: tables, and one function for each thing that it decides. Private to engine/run.
///
///   engine.cc    step(): events in, timers, effects out        engine_workers.cc  joining, leases, reconciling
///   engine_runs.cc  runs begin and end                         engine_attempts.cc assigning, ends, retries
///   engine_judge.cc  tasks are judged                          engine_outputs.cc  recording and publishing
///   engine_requests.cc  what people ask of runs                engine_explain.cc  for people
///   engine_handlers.cc  the end of a run                      engine_gates.cc    locks, rates, bounds
///   engine_schedules.cc  what is deployed, when it is due    engine_limits.cc  runs that have no place
///   engine_restore.cc  from rows                               engine_fan_out.cc  fan-outs over results
///   engine_waits.cc  for times and for data                    engine_people.cc   what people are asked
///   engine_loop.cc  tasks that run until a condition holds  engine_teardown.cc  what runs however a run ends
///   engine_subdag.cc  tasks that start runs of other DAGs   engine_again.cc    tasks that people run again, or mark
///   engine_backfills.cc  runs for a stretch of the past     engine_cache.cc    results that are used again
///   engine_pods.cc  attempts that have a pod made for them  engine_triggers.cc  runs that events start
///   engine_notify.cc  what people are told of               engine_listings.cc objects that are news
///   engine_webhooks.cc  calls from outside                 engine_states.cc   values that outlive runs
///   engine_circles.cc  DAGs and runs that wait for one another  engine_hooks.cc  what comes of what comes to a task
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/placement/placement.h"
#include "engine/run/collector.h"
#include "engine/run/engine.h"
#include "engine/run/engine_deadlines.h"
#include "engine/run/engine_past.h"
#include "engine/run/engine_pruner.h"
#include "engine/run/engine_services.h"
#include "engine/run/engine_tables.h"
#include "engine/run/gates.h"
#include "engine/run/places.h"
#include "engine/run/ready_queue.h"

namespace chappe {

struct EngineState {
  EngineConfig config;
  std::uint32_t epoch = 0;
  std::uint64_t attempts_made = 0;  ///< In this epoch.
  std::uint64_t batch = 0;          ///< Number of what this step sends; grows over all connections and epochs.
  RunSeq last_run;
  WorkerSeq last_worker;
  AssetVersionId last_asset_version;
  BackfillId last_backfill;

  std::map<RunSeq, std::unique_ptr<LiveRun>> runs;
  std::map<RunId, RunSeq> run_ids;
  Places run_places;
  std::map<std::string, KnownRequest, std::less<>> by_request;  ///< Of live runs, and the latest of others.
  std::deque<std::string> old_requests;                         ///< Those others, oldest first.
  std::map<const Dag*, std::weak_ptr<const Graph>> graphs;

  std::map<WorkerSeq, WorkerState> workers;  ///< Connected, or holding attempts.
  std::map<std::string, WorkerSeq, std::less<>> by_incarnation;
  std::unordered_map<ConnectionId, WorkerSeq> by_connection;
  std::vector<WorkerRoom> rooms;        ///< Of connected workers that are in no pods.
  std::set<std::string> resting;        ///< Pods whose workers get no more work.
  std::map<AttemptId, WorkerSeq> pods;  ///< By attempts that have not ended.

  std::vector<Pool> pools;
  std::map<std::string, std::uint32_t, std::less<>> pool_ids, dag_ids;  ///< DAGs that had a run: DagShare::id.
  std::map<Whereabouts, std::uint32_t> whereabouts_ids;  ///< Those that some task has had; a few, whatever the tasks.
  std::vector<const Whereabouts*> whereabouts;           ///< By id.
  Gates gates;
  ReadyQueues ready;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;

  std::map<std::string, AssetVersion, std::less<>> newest_assets, aliases;  ///< By URI or name; by "MODEL@ALIAS".
  std::map<std::pair<std::string, std::string>, StateRow> states;           ///< By scope and name.
  /// Those that an attempt which has won will move as soon as its assets are visible: nobody else may until then.
  std::map<std::pair<std::string, std::string>, AttemptId> promised_states;
  std::map<std::string, TokenRow, std::less<>> tokens;         ///< Of the API, by name.
  std::map<std::string, Deployment, std::less<>> deployments;  ///< By DAG.
  std::set<std::pair<WallTime, std::string>> due_times;        ///< By when they are due.
  std::deque<std::string> due_line;  ///< Those that are due, in the order of their turns; some are so no more.
  std::map<EventSource, std::map<std::string, std::uint32_t>> consumers;  ///< By DAG: which of its triggers.
  std::deque<std::string> event_line;                                     ///< DAGs whose triggers are to be looked at.
  EventId last_event;
  std::map<BackfillId, Backfill> backfills;                                 ///< That are not over; one of a DAG.
  std::map<std::string, BackfillId, std::less<>> backfill_of;               ///< By DAG.
  std::set<BackfillId> backfills_due;                                       ///< Those that may go on.
  std::map<std::string, std::set<InstanceKey>, std::less<>> asset_waiters;  ///< By URI or name.
  std::map<LookTarget, Look> looks;
  std::set<InstanceKey> questions;  ///< That people are asked.
  std::uint64_t waits_made = 0, lookups_made = 0, last_notification = 0, notifications_pending = 0;
  std::set<std::uint64_t> lookups_under_way;
  std::map<std::string, LastEnd, std::less<>> last_ends;  ///< By DAG.
  std::deque<std::pair<RunSeq, ReadyRange>> lookup_line;  ///< Ready, and their results are to be looked up; some not.
  EnginePast past{*this};
  EngineServices services{*this};
  EngineDeadlines deadlines{*this};
  EnginePruner pruner{*this};
  Collector collector;

  Now now;  // Of the step under way, as all below.
  Effects out;
  std::optional<MonoTime> confirmed_at;                   ///< That the store was this scheduler's.
  std::unordered_map<ConnectionId, std::size_t> send_of;  ///< Position in out.send.
  std::vector<InstanceKey> hooks_due;                     ///< Of whose rows hooks may have to hear.
  std::vector<RunSeq> touched;                            ///< Runs that may be over.
  std::set<std::string> lines_moved;                      ///< Groups whose next run may be another one now.
  std::vector<WorkerSeq> joined_in_pods;                  ///< They get their attempts.
  bool more_ready = false;                                ///< Something became ready since dispatch() began.
  std::set<LookTarget> looks_changed;
  std::vector<WebhookCall> hook_calls;      ///< That were kept, and are to be answered.
  std::vector<std::string> assets_changed;  ///< Names of assets with a new version, until their waiters are told.

  // ---- engine.cc ----
  void apply(const Event& event);
  void run_timers();
  void finish_touched();
  void seal_effects();
  void confirm_ownership();
  LiveRun* find_run(RunSeq seq);
  LiveRun* find_run(const RunId& id);
  WorkerSend& send_to(ConnectionId connection);
  void reply(Ticket ticket, Result<Value> answer);
  /// A row of the audit log: what somebody did.
  void audit(const Asked& asked, const std::string& verb, const std::string& object, std::string detail);

  // ---- engine_workers.cc ----
  void on(const WorkerJoined& event);
  void on(const WorkerLeft& event);
  void on(const WorkerDraining& event);
  void on(const WorkerHeartbeat& event);
  WorkerState* worker_on(ConnectionId connection);
  WorkerState* robbed_by(const WorkerJoined& event);
  void refuse(const WorkerJoined& event, WorkerState& robbed);
  void hear(WorkerState& worker);
  void connect(WorkerState& worker, ConnectionId connection, const WorkerHello& hello);
  void open_room(WorkerState& worker, const WorkerHello& hello);
  void welcome(const WorkerState& worker);
  void disconnect(WorkerState& worker);
  void reconcile(WorkerState& worker, std::span<const HeldAttempt> held, std::uint64_t batch_seen);
  void cancel_again(WorkerState& worker);
  void lose_worker(WorkerState& worker, const std::string& why);
  void forget_worker(WorkerState& worker);
  void lose_attempts(std::vector<InstanceKey> lost, const std::string& why);
  void on_lease_timer(WorkerSeq seq);

  // ---- engine_runs.cc ----
  void on(const RunRequested& event);
  Result<RunSeq> create_run(const RunRequested& event, const ParentAttempt& parent, std::uint32_t depth);
  DagShare share_of(const Dag& dag);
  std::shared_ptr<const Graph> graph_of(const DagPtr& dag);
  Result<void> prepare(LiveRun& run);
  void enter(LiveRun& run);
  void add_run_timer(const LiveRun& run, Duration left);
  void begin(LiveRun& run);
  void start_next(const std::string& group);
  void start(LiveRun& run);
  LiveRun& add_run(const RunRequested& event, RunRow row);
  void settle(LiveRun& run, std::uint32_t index, TaskRow row);
  void settle_without_attempt(LiveRun& run, std::uint32_t index, TaskState state, Reason reason, std::string message);
  void stop(LiveRun& run, Stop why, const std::string& message);
  bool cancels_attempts(const LiveRun& run) const;
  void cancel_attempts(LiveRun& run);
  void finish_if_over(LiveRun& run);
  void change_run(LiveRun& run, const std::function<void(RunRow&)>& change);
  void remember_request(const RunRow& row);
  void forget_run(RunSeq seq);
  void on(const ExpiredLooked& event);
  void on(const ObjectsRemoved& event) { collector.take(event, now.mono, out); }
  void on(const auto& event) { pruner.take(event); }

  // ---- engine_limits.cc ----
  Result<RunRow> plan_run(const RunRequested& event) const;
  bool has_place(const Dag& dag, const RunRow& row) const;
  std::string told_turn(const LiveRun& run) const;
  void make_place(const LiveRun& run);
  void cancel_run(LiveRun& run, const std::string& message);

  // ---- engine_schedules.cc ----
  void on(const DagDeployed& event);
  void on(const DagPauseRequested& event);
  void on(const DagRemoved& event);
  Result<void> check_deployable(const DagDeployed& event) const;
  Deployment* deployed(std::string_view dag);
  void plan_next(Deployment& deployment);
  void save(const Deployment& deployment);
  void run_schedules();
  bool hold(const Deployment& deployment) const;
  void fire(Deployment& deployment);
  void make_scheduled_run(Deployment& deployment, WallTime time);
  void wake_for_schedules();
  void unhold(const std::string& dag);
  RunId make_run_id() const;

  // ---- engine_triggers.cc ----
  void listen(const Deployment& deployment);
  void stop_listening(const Deployment& deployment);
  void tell_triggers(const TriggerEventRow& event, std::optional<RunState> end);
  void tell_triggers_of_asset(const LiveRun& run, const AssetVersion& version);
  void tell_triggers_of_end(const LiveRun& run);
  EventId keep_event(Deployment& deployment, const TriggerSpec& trigger, TriggerEventRow event);
  void give_up_event(Deployment& deployment, const EventSource& source);
  void forget_unheard_events(Deployment& deployment);
  void adopt_events(std::vector<TriggerEventRow> stored);
  void line_up(Deployment& deployment);
  void run_triggers();
  bool fire_trigger(Deployment& deployment);
  void start_triggered_run(Deployment& deployment, const TriggerSpec& trigger, std::vector<TriggerEventRow> taken);
  void note_waits(Deployment& deployment);

  // ---- engine_circles.cc ----
  std::int64_t chain_of(const LiveRun& run);
  bool may_start_more(const LiveRun& run, const EventSource& source, std::int64_t chain);
  std::string circle_of(const Dag& dag) const;
  std::string explain_queued(const LiveRun& queued, const LiveRun& asking) const;
  std::string circle_of_runs(const LiveRun& queued, const LiveRun& asking) const;

  // ---- engine_listings.cc ----
  std::optional<Duration> listing_interval(const EventSource& source) const;
  void order_listing(const EventSource& source);
  std::size_t new_listings(const Dag& dag) const;
  void on_listing(const LookReported& event);
  void take_in_listing(Deployment& deployment, const TriggerSpec& trigger, const EventSource& source,
                       const std::vector<SeenObject>& objects);
  void read_on(Deployment& deployment, const EventSource& source);
  void forget_sightings(Deployment& deployment, const std::vector<EventSource>& heard);
  void adopt_sightings(std::vector<SightingRow> stored);

  // ---- engine_states.cc ----
  void on(const StateSetRequested& event);
  const StateRow* find_state(const Dag& dag, const StateUse& use) const;
  Result<void> check_states(const LiveRun& run, std::uint32_t index, AttemptId attempt,
                            const AttemptOutputs& outputs) const;
  void write_states(const LiveRun& run, std::uint32_t index, AttemptId attempt, std::span<const NamedValue> values);
  void promise_states(const LiveRun& run, std::uint32_t index, AttemptId attempt, std::span<const NamedValue> values);
  void release_states(AttemptId attempt);

  // ---- engine_webhooks.cc ----
  void on(const WebhookCalled& event);
  const TriggerEventRow* known_delivery(const Deployment& deployment, const EventSource& source,
                                        const std::string& delivery) const;
  void answer_webhooks();
  Result<Value> told_of_event(const Deployment& deployment, EventId event) const;

  // ---- engine_backfills.cc ----
  void on(const BackfillRequested& event);
  void on(const BackfillChangeRequested& event);
  void on(const DatesLooked& event);
  void on(const PastLooked& event) { past.take_in(event); }
  void save(const Backfill& backfill);
  void adopt_backfills(std::vector<StoredBackfill> stored);
  void run_backfills();
  void go_on(Backfill& backfill);
  bool make_backfill_run(Backfill& backfill, WallTime time);
  void leave_out(LiveRun& run);
  void cancel_backfill(BackfillId id, const std::string& message);
  void end_backfill(BackfillId id, BackfillState state);
  void enter_backfill(const RunRow& row);
  void leave_backfill(const RunRow& row);
  void wake_for_backfills();

  // ---- engine_judge.cc ----
  void recount(LiveRun& run);
  void judge_due(LiveRun& run);
  void judge_task(LiveRun& run, std::uint32_t task);
  void judge_items(LiveRun& run, std::uint32_t task);
  void judge_item(LiveRun& run, std::uint32_t index);
  std::string why_not(const LiveRun& run, std::uint32_t index, Verdict verdict) const;
  bool is_allowed_still(const LiveRun& run, std::uint32_t index) const;
  void wait_again(LiveRun& run, std::uint32_t index, TaskRow row);
  void make_ready(LiveRun& run, std::uint32_t task, ReadyRange which);
  bool decide_when(LiveRun& run, std::uint32_t index);
  bool decide_latest(LiveRun& run, std::uint32_t index);
  void decide_check(LiveRun& run, std::uint32_t index);
  void decide_promote(LiveRun& run, std::uint32_t index);
  Result<AliasRow> promote(LiveRun& run, const PromoteSpec& spec, AttemptId attempt, std::uint32_t index);
  void decide_empty(LiveRun& run, std::uint32_t index);
  void tell_children(LiveRun& run, std::uint32_t index);

  // ---- engine_fan_out.cc ----
  static bool asks_each(const Task& task);
  bool find_items(LiveRun& run, std::uint32_t position);
  void give_items(LiveRun& run, std::uint32_t task, FanOutPtr items);
  void retire(LiveRun& run, ReadyRange items);
  Result<void> adopt_fan_outs(LiveRun& run, const std::vector<FanOutRow>& rows);
  bool is_tolerated(const LiveRun& run, std::uint32_t index, const AttemptEnd& end) const;
  static std::vector<bool> past_tolerance(const LiveRun& run);

  // ---- engine_loop.cc ----
  bool loops_on(LiveRun& run, std::uint32_t index, TaskRow& row, const AttemptOutputs* outputs);
  void end_loop(LiveRun& run, std::uint32_t index, TaskRow& row, std::string message);
  void rest_before_iteration(LiveRun& run, std::uint32_t index, TaskRow& row);
  void adopt_rest(LiveRun& run, const TaskRow& row);

  // ---- engine_notify.cc ----
  void on(const NotificationsTold& event);
  const std::vector<NotifyChannel>& channels_of(const Dag& dag) const;
  void notify(const LiveRun& run, Notice notice, std::optional<std::uint32_t> index, const std::string& what);
  void notify_of_end(const LiveRun& run);

  // ---- engine_cache.cc ----
  void on(const CacheLooked& event);
  void line_up(LiveRun& run, ReadyRange range);
  void begin_lookups();
  void look_up(LiveRun& run, std::uint32_t index);
  Result<CacheKey> key_of(const LiveRun& run, std::uint32_t index, const ResolvedWork& work) const;
  std::string why_not_again(const LiveRun& run, std::uint32_t index, const CacheHit& hit) const;
  void go_without_result(LiveRun& run, std::uint32_t index, CacheKey key, std::string told);
  void use_again(LiveRun& run, std::uint32_t index, const CacheHit& hit, const ResolvedWork& work);
  void note_making(LiveRun& run, std::uint32_t index, AttemptId attempt, const ResolvedWork& work);
  void keep_result(LiveRun& run, const TaskRow& row);
  void forget_results(const LiveRun& run, std::span<const std::string> names, std::span<const std::uint32_t> again);

  // ---- engine_teardown.cc ----
  static bool counts_for_run(const LiveRun& run, std::uint32_t task);
  void judge_teardown(LiveRun& run, std::uint32_t position);
  Result<void> add_setups(const LiveRun& run, std::vector<std::uint32_t>& chosen) const;

  // ---- engine_subdag.cc ----
  void on(const DagBrought& event);
  void begin_dag(LiveRun& run, std::uint32_t index);
  void begin_next_dag(LiveRun& run, std::uint32_t task);
  void decide_dag(LiveRun& run, std::uint32_t index);
  void want_dag(const LiveRun& run, std::uint32_t index, AttemptId attempt);
  Result<void> begin_subrun(LiveRun& run, const DagBrought& event);
  void tell_parent(const LiveRun& child);
  void take_outputs(LiveRun& run, std::uint32_t index, const LiveRun& child, AttemptEnd& end);
  void cancel_started_runs(LiveRun& run);
  void give_up_left_alone(LiveRun& run, Reason why, const std::string& message, std::optional<std::uint32_t> only = {});
  bool has_place_of_ancestor(const LiveRun& run);
  void link_runs(const std::vector<RunRow>& left_alone);

  // ---- engine_attempts.cc ----
  void on(const AttemptStarted& event);
  void on(const AttemptFinished& event);
  void on(const AttemptReturned& event);
  void take_back(LiveRun& run, std::uint32_t index);
  void enqueue(LiveRun& run, std::uint32_t task, ReadyRange range);
  void dispatch();
  void dispatch_class(const ReadyClass& which, ReadyQueue& queue, std::uint32_t& budget);
  bool park(LiveRun& run, std::uint32_t index);
  void unpark(LiveRun& run, std::uint32_t task);
  void unpark_run(LiveRun& run);
  void unpark_next(LiveRun& run, std::deque<ReadyRange>& parked);
  bool try_assign(LiveRun& run, std::uint32_t index, std::size_t room);
  void assign(LiveRun& run, std::uint32_t index, WorkerState& worker, std::shared_ptr<const ResolvedWork> work);
  void lease(LiveRun& run, std::uint32_t index, WorkerState& worker, AttemptId attempt);
  void hand_over(LiveRun& run, std::uint32_t index, WorkerState& worker, std::shared_ptr<const ResolvedWork> work);
  void take_room(LiveRun& run, std::uint32_t index, WorkerState& worker);
  LeasedAttempt release(LiveRun& run, std::uint32_t index);
  LeasedAttempt* leased_by(ConnectionId connection, const HeldAttempt& what);
  bool has_won(const HeldAttempt& what);
  bool is_held(const HeldAttempt& what);
  AttemptId new_attempt();
  AttemptId newest_attempt() const;
  bool has_lost(const LiveRun& run, const HeldAttempt& what);
  Need need_of(const LiveRun& run, const ReadyClass& which) const;
  ReadyClass class_of(const LiveRun& run, std::uint32_t index);
  std::uint32_t pool_id(const std::string& name);
  std::uint32_t whereabouts_id(const Whereabouts& where);
  TaskRow row_of(const LiveRun& run, std::uint32_t index) const;
  void store_row(LiveRun& run, std::uint32_t index, TaskRow row);
  void end_attempt(LiveRun& run, std::uint32_t index, AttemptEnd end, WallTime queued_at);
  bool retry_later(LiveRun& run, std::uint32_t index, TaskRow& row);
  void on_queue_timeout(LiveRun& run, std::uint32_t index, std::uint64_t token);
  void add_queue_timer(const LiveRun& run, std::uint32_t index, Duration passed);
  Duration since(WallTime time) const;
  void add_timer(Duration after, Timer::Kind kind, std::uint64_t what, std::uint64_t token);
  double chance(std::uint64_t salt) const;

  // ---- engine_pods.cc ----
  void on(const PodSeen& event);
  bool runs_in_pod(const Task& task) const;
  bool try_pod(LiveRun& run, std::uint32_t index);
  void order_pods();
  void order_pod(LiveRun& run, std::uint32_t index, const WorkerState& worker);
  void join_pod(const WorkerJoined& event);
  void dismiss(const WorkerJoined& event);
  void know_pod_worker(WorkerState& worker, const WorkerHello& hello);
  void begin_in_pods();
  void on_pod_timer(WorkerSeq seq);
  void end_pod(WorkerState& worker, AttemptEnd end);
  void release_pod(WorkerState& worker);
  void adopt_pod(WorkerState& worker);
  std::string explain_pod(const WorkerState& worker) const;

  // ---- engine_handlers.cc ----
  void begin_handling(LiveRun& run);
  void cut_short(LiveRun& run, const std::string& message);
  void add_handlers(const LiveRun& run, std::vector<std::uint32_t>& chosen) const;

  // ---- engine_hooks.cc ----
  void note_for_hooks(LiveRun& run, std::uint32_t index, const TaskRow& row);
  static void remember_end(LiveRun& run, std::uint32_t index, const TaskRow& row);
  void tell_hooks();
  void tell_hooks(LiveRun& run, std::uint32_t index);
  void judge_hooks(LiveRun& run, std::uint32_t hook);
  void judge_hook(LiveRun& run, std::uint32_t hook, std::uint32_t of);
  void call_hook(LiveRun& run, std::uint32_t index, std::uint16_t about);
  void tell_watchers(LiveRun& run, HookEvent event);
  void adopt_watchers(LiveRun& run);
  void settle_watchers(LiveRun& run);
  void add_hooks(const LiveRun& run, std::vector<std::uint32_t>& chosen) const;
  std::string explain_hook(const LiveRun& run, std::uint32_t index) const;

  // ---- engine_gates.cc ----
  Result<std::vector<GateUse>> gates_of(const LiveRun& run, std::uint32_t index) const;
  bool stopped_at_gate(LiveRun& run, std::uint32_t index);
  void on(const BoundsSet& event);
  void on(const FleetResting& event);
  bool is_resting(const WorkerState& worker) const;
  void call_at_gates();
  void take_gates(const LiveRun& run, std::uint32_t index);
  void give_gates_back(const LiveRun& run, std::uint32_t index);
  std::string explain_gates(const LiveRun& run, std::uint32_t index) const;

  // ---- engine_outputs.cc ----
  void on(const AssetsPublished& event);
  void on(const PublishFailed& event);
  void end_success(LiveRun& run, std::uint32_t index, TaskRow row, const AttemptOutputs* outputs);
  bool owns_all(const LiveRun& run, const HeldAttempt& what, std::span<const OutputObject> objects) const;
  std::string why_refused(const LiveRun& run, std::uint32_t index, const AttemptFinished& event) const;
  static std::string why_too_large(const LiveRun& run, std::span<const OutputObject> objects);
  bool declares_all(const LiveRun& run, std::uint32_t index, std::span<const OutputObject> objects) const;
  void drop_outputs(const LiveRun& run, const HeldAttempt& what, const AttemptOutputs& outputs);
  void record_outputs(LiveRun& run, std::uint32_t index, const AttemptOutputs& outputs, PublishAssets& publish);
  void read_values_again(LiveRun& run);
  void adopt_values(LiveRun& run, std::uint32_t index, std::span<const NamedValue> values);
  void fail_reading(LiveRun& run, std::uint32_t index, const std::string& message);
  void go_on_with_values(LiveRun& run, std::uint32_t index);
  void remember_published(const LiveRun& run, std::uint32_t index, const AssetPublished& published);
  void remember_asset(const AssetVersion& version);

  // ---- engine_requests.cc ----
  void on(const CancelRequested& event);
  void on(const AliasMoveRequested& event);
  void on(const TokenRequested& event);
  void on(const TokenRevokeRequested& event);
  void on(const AccessDenied& event);
  void queue_up(const LiveRun& run);

  // ---- engine_again.cc ----
  void on(const RetryRequested& event);
  void on(const MarkRequested& event);
  Result<LiveRun*> open_run(const RunId& id, const StoredRun* stored);
  void reopen(LiveRun& run, bool was_over, const std::string& message);
  void begin_again(LiveRun& run, bool was_over);
  Result<std::vector<std::uint32_t>> chosen_for_retry(LiveRun& run, const RetryRequested& event) const;
  void add_waiting_descendants(const LiveRun& run, std::vector<std::uint32_t>& chosen) const;
  Result<std::vector<std::uint32_t>> chosen_for_mark(const LiveRun& run, const MarkRequested& event) const;
  void supersede(LiveRun& run, std::uint32_t index, const std::string& message);
  void reset(LiveRun& run, const std::vector<std::uint32_t>& indexes);
  void resume(LiveRun& run);

  // ---- engine_waits.cc ----
  void on(const LookReported& event);
  void begin_wait(LiveRun& run, std::uint32_t index);
  void resume_waits(LiveRun& run);
  Result<void> understand_wait(const LiveRun& run, std::uint32_t index, Waiting& waiting) const;
  Result<void> understand_wait(const LiveRun& run, std::uint32_t index, const WaitSpec& spec, Waiting& waiting) const;
  const AssetVersion* awaited_version(const Waiting& waiting) const;
  bool register_wait(LiveRun& run, std::uint32_t index);
  void arm_wait(LiveRun& run, std::uint32_t index);
  void on_wait_timer(LiveRun& run, std::uint32_t index, std::uint64_t serial);
  void tell_late(LiveRun& run, std::uint32_t index);
  TaskRow waiting_row(const LiveRun& run, std::uint32_t index) const;
  void give_up_wait(LiveRun& run, std::uint32_t index);
  void end_with_time(LiveRun& run, std::uint32_t index);
  void end_with_asset(LiveRun& run, std::uint32_t index, const AssetVersion& version, bool last);
  void end_wait(LiveRun& run, std::uint32_t index, ValueMap values, std::string message);
  void forget_wait(LiveRun& run, std::uint32_t index);
  void tell_asset_waiters();
  void order_looks();
  std::string explain_wait(const LiveRun& run, std::uint32_t index) const;

  // ---- engine_people.cc ----
  void on(const AnswerRequested& event);
  Result<ValueMap> take_answer(const LiveRun& run, std::uint32_t index, const AnswerRequested& event) const;
  Value question(const LiveRun& run, std::uint32_t index) const;

  // ---- engine_restore.cc ----
  Result<LiveRun*> adopt(StoredRun stored);
  void adopt_deployments(std::vector<StoredDeployment> stored);
  Result<void> adopt_row(LiveRun& run, const TaskRow& row);
  Result<void> adopt_lease(LiveRun& run, const TaskRow& row);
  Duration rest_left(const LiveRun& run, const TaskRow& row) const;
  void adopt_committing(LiveRun& run, const TaskRow& row);

  // ---- engine_explain.cc ----
  ValueMap explain_instance(const LiveRun& run, std::uint32_t index) const;
  std::string explain_ready(const LiveRun& run, std::uint32_t index) const;
  std::string explain_waiting(const LiveRun& run, std::uint32_t index) const;
  std::string explain_upstream(const LiveRun& run, std::uint32_t index) const;
};

}  // namespace chappe
