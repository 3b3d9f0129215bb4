#include "tests/support/engine_world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "storage/digest/digest.h"
#include "tests/support/known_results.h"

namespace chappe::support {

std::vector<HeldAttempt> WorkerSide::holds() const {
  std::vector<HeldAttempt> all;
  for (const auto& [attempt, assignment] : held) all.push_back({assignment.key, attempt});
  return all;
}

EngineWorld::EngineWorld(EngineConfig config) : config_(std::move(config)) {
  config_.sha256 = [](std::string_view text) { return to_hex(sha256(text)); };
  begin();
}

void EngineWorld::begin() {
  store_.open();
  StoredState stored = store_.load().value();
  std::erase_if(stored.runs, [&](StoredRun& run) {
    if (!left_alone.contains(run.row.id)) return false;
    stored.left_alone.push_back(std::move(run.row));
    return true;
  });
  auto restored = Engine::restore(std::move(stored), config_, now);
  if (!restored) ADD_FAILURE() << "restore: " << restored.error().message;
  CHAPPE_ASSERT(restored.has_value());
  engine_.emplace(std::move(*restored));
  heartbeat_at_ = now.mono + config_.heartbeat;
}

RunId EngineWorld::submit(const DagPtr& dag) {
  now = {now.wall + std::chrono::seconds(1), now.mono + std::chrono::seconds(1)};
  RunRequested event = request(dag);
  const RunId run = event.id;
  step({std::move(event)});
  return run;
}

void EngineWorld::restart() {
  dates_.clear();
  past_.clear();
  expired_.reset();
  prune_.reset();
  for (auto& [name, worker] : workers_) worker.connection = {};
  begin();
}

std::optional<Effects> EngineWorld::decide(std::vector<Event>& events) {
  Effects effects = engine_->step(events, now);
  wake_at_ = effects.wake_at;
  if (effects.persist.empty()) return effects;
  const auto committed = store_.commit(effects.persist);
  if (committed) return effects;
  ADD_FAILURE() << committed.error().message;
  return std::nullopt;
}

/// As the loop does: looked up before anything else is decided.
Effects EngineWorld::step(std::vector<Event> events) {
  for (const WantedDates& wanted : std::exchange(dates_, {})) {
    DatesLooked looked{.backfill = wanted.backfill, .dates = {}};
    const auto newest = store_.newest_of_dates(wanted.dag, wanted.times);
    for (std::size_t i = 0; i < newest.size(); ++i) looked.dates.push_back({wanted.times[i], newest[i]});
    events.insert(events.begin(), std::move(looked));
  }
  for (const WantedPast& wanted : std::exchange(past_, {})) events.insert(events.begin(), store_.look_up_past(wanted));
  if (expired_) events.insert(events.begin(), store_.expired(*std::exchange(expired_, std::nullopt)));
  if (prune_) events.insert(events.begin(), store_.prunable(*std::exchange(prune_, std::nullopt)));
  auto effects = decide(events);
  if (!effects) return {};
  deliver(*effects);
  return std::move(*effects);
}

void EngineWorld::die_before_sending(std::vector<Event> events) {
  (void)decide(events);
  restart();
}

void EngineWorld::die_before_committing(std::vector<Event> events) {
  (void)engine_->step(events, now);
  restart();
}

void EngineWorld::deliver(const Effects& effects) {
  wanted_.insert(wanted_.end(), effects.wanted.begin(), effects.wanted.end());
  dates_.insert(dates_.end(), effects.dates.begin(), effects.dates.end());
  past_.insert(past_.end(), effects.past.begin(), effects.past.end());
  if (effects.expired) expired_ = effects.expired;
  if (effects.prune) prune_ = effects.prune;
  if (effects.remove) to_remove = *effects.remove;
  lookups_.insert(lookups_.end(), effects.lookups.begin(), effects.lookups.end());
  for (const WorkerSend& send : effects.send) deliver(send);
}

void EngineWorld::deliver(const WorkerSend& send) {
  for (const Assignment& assignment : send.assign) assigned_.push_back(assignment);
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [&](const auto& each) { return each.second.connection == send.to; });
  if (found == workers_.end() || found->second.cut) return;
  WorkerSide& worker = found->second;
  worker.batch_seen = send.batch;
  for (const AttemptId attempt : send.acknowledged) worker.held.erase(attempt);
  for (const CancelAttempt& cancel : send.cancel) {
    if (cancel.forget) {
      worker.held.erase(cancel.what.attempt);
    } else {
      worker.asked_to_cancel.insert(cancel.what.attempt);
    }
  }
  for (const Assignment& assignment : send.assign) worker.held[assignment.attempt] = assignment;
}

std::vector<Event> EngineWorld::due_heartbeats() {
  if (now.mono < heartbeat_at_) return {};
  heartbeat_at_ = now.mono + config_.heartbeat;
  std::vector<Event> events;
  for (const auto& [name, worker] : workers_) {
    if (worker.connection && !worker.silent && !worker.cut) events.push_back(heartbeat(worker));
  }
  return events;
}

void EngineWorld::pass(Duration duration, const std::function<void(const Effects&)>& seen) {
  constexpr int kStepsMax = 100'000;
  const Now end{now.wall + duration, now.mono + duration};
  for (int i = 0; i < kStepsMax; ++i) {
    const MonoTime next = wake_at_ ? std::min(*wake_at_, heartbeat_at_) : heartbeat_at_;
    if (next > end.mono) {
      now = end;
      return;
    }
    const Duration moved = std::max(next - now.mono, Duration(0));
    now = {now.wall + moved, now.mono + moved};
    const Effects effects = step(due_heartbeats());
    if (seen) seen(effects);
  }
  ADD_FAILURE() << "the engine asks to be woken again and again";
}

RunRequested EngineWorld::request(const DagPtr& dag, ValueMap params, const std::string& request_id) {
  know(dag);
  return {.id = new_run_id(), .dag = dag, .params = std::move(params), .requested_by = "ann", .request_id = request_id};
}

RunId EngineWorld::new_run_id() {
  std::array<std::uint8_t, 10> random{};
  ++ids_;
  random[8] = static_cast<std::uint8_t>(ids_ >> 8);
  random[9] = static_cast<std::uint8_t>(ids_);
  return RunId::make(now.wall, random);
}

CacheLooked EngineWorld::looked(const RunId& run, const std::string& instance, bool gone) {
  const InstanceKey key = row(run, instance).key;
  const auto lookup =
      std::find_if(lookups_.rbegin(), lookups_.rend(), [&](const CacheLookup& each) { return each.key == key; });
  if (lookup == lookups_.rend()) {
    ADD_FAILURE() << instance << " was not looked up";
    return {};
  }
  const auto head = [&](const std::string& object) -> Result<ObjectInfo> {
    if (gone) return fail(ErrorCode::kNotFound, "no object " + object);
    return ObjectInfo{.key = object, .size = kObjectSize};
  };
  const auto read = [&](const OutputObject& object) -> Result<Value> { return value_objects.at(object.key); };
  return check_result(head, read, *lookup, find_result(store_.tables(), *lookup));
}

DagBrought EngineWorld::brought(const RunId& run, const std::string& instance) {
  const InstanceKey key = row(run, instance).key;
  const auto wanted =
      std::find_if(wanted_.rbegin(), wanted_.rend(), [&](const WantedDag& each) { return each.key == key; });
  if (wanted == wanted_.rend()) {
    ADD_FAILURE() << instance << " wants no DAG";
    return {};
  }
  Result<DagPtr> found = fail(ErrorCode::kNotFound, "the scheduler has no DAG '" + wanted->dag + "'");
  for (const auto& [version, dag] : dags_) {
    if (dag->name == wanted->dag) found = dag;
  }
  return {wanted->key, wanted->attempt, std::move(found), new_run_id()};
}

void EngineWorld::know(const DagPtr& dag) {
  store_.register_dag(dag);
  dags_[dag->version] = dag;
}

DagDeployed EngineWorld::deployed(const DagPtr& dag, const std::string& origin) {
  store_.register_dag(dag);
  dags_[dag->version] = dag;
  return {.ticket = {1}, .dag = dag, .origin = origin, .requested_by = "ann"};
}

Event EngineWorld::join(WorkerSide& worker) {
  worker.connection = {++connections_};
  worker.batch_seen = 0;
  WorkerHello hello = worker.hello;
  hello.number = connections_;
  hello.held = worker.holds();
  return WorkerJoined{worker.connection, std::move(hello)};
}

Event EngineWorld::join_in_pod(WorkerSide& worker, AttemptId attempt) {
  Event event = join(worker);
  std::get<WorkerJoined>(event).join_key_of = attempt;
  return event;
}

Event EngineWorld::heartbeat(const WorkerSide& worker) const {
  return WorkerHeartbeat{worker.connection, worker.batch_seen, worker.holds()};
}

Event EngineWorld::started(const WorkerSide& worker, const Assignment& what) const {
  return AttemptStarted{worker.connection, {what.key, what.attempt}, now.wall};
}

Event EngineWorld::finished(const WorkerSide& worker, const Assignment& what, AttemptEnd end,
                            AttemptOutputs outputs) const {
  if (!end.started_at.is_set()) end.started_at = now.wall;
  if (!end.ended_at.is_set()) end.ended_at = now.wall;
  AttemptFinished event{worker.connection, {what.key, what.attempt}, std::move(end), nullptr};
  if (!outputs.objects.empty() || !outputs.values.empty() || !outputs.read.empty()) {
    event.outputs = std::make_shared<const AttemptOutputs>(std::move(outputs));
  }
  return event;
}

RetryRequested EngineWorld::retry(const RunId& run, std::vector<std::string> tasks) {
  RetryRequested event{.run = run, .tasks = std::move(tasks), .requested_by = "ann"};
  if (!engine_->knows(run)) event.stored = std::make_shared<StoredRun>(store_.load_run(run).value());
  return event;
}

MarkRequested EngineWorld::mark(const RunId& run, const std::string& task, TaskState state) {
  MarkRequested event{.ticket = {1}, .run = run, .task = task, .state = state, .requested_by = "ann"};
  if (!engine_->knows(run)) event.stored = std::make_shared<StoredRun>(store_.load_run(run).value());
  return event;
}

BackfillRequested EngineWorld::backfill(const DagPtr& dag, BackfillSpec spec, ValueMap params) {
  know(dag);
  const auto total = check_backfill(*dag, spec);
  if (!total) ADD_FAILURE() << total.error().message;
  return {.ticket = {1},
          .dag = dag,
          .spec = std::move(spec),
          .total = total.value_or(0),
          .params = std::move(params),
          .requested_by = "ann"};
}

WorkerSide& EngineWorld::worker(const std::string& name) {
  const auto [place, fresh] = workers_.try_emplace(name);
  if (fresh) {
    WorkerHello& hello = place->second.hello;
    hello.incarnation = fmt::format("{:032x}", ++incarnations_);
    hello.name = name;
    hello.host = "host-of-" + name;
    hello.capacity = {.cpu_milli = 2000, .memory_bytes = std::uint64_t{8} << 30};
  }
  return place->second;
}

WorkerSide* EngineWorld::holder_of(AttemptId attempt) {
  for (auto& [name, worker] : workers_) {
    if (worker.held.contains(attempt)) return &worker;
  }
  return nullptr;
}

const Assignment* EngineWorld::newest(const RunId& run, const std::string& instance) const {
  for (auto it = assigned_.rbegin(); it != assigned_.rend(); ++it) {
    if (it->run->id == run && instances(it->key.run).name_of(it->key.index) == instance) return &*it;
  }
  return nullptr;
}

RunRow EngineWorld::row(const RunId& run) const {
  for (const auto& [seq, row] : store_.tables().runs) {
    if (row.id == run) return row;
  }
  ADD_FAILURE() << "no run " << run.text();
  return {};
}

const DagPtr& EngineWorld::dag_of_run(RunSeq run) const { return dags_.at(store_.tables().runs.at(run).dag_version); }

const Instances& EngineWorld::instances(RunSeq run) const {
  CHAPPE_ASSERT(store_.tables().runs.contains(run));
  const Value params = MemoryMetaStore::params_of(store_.tables().runs.at(run));
  auto known = instances_.find(run);
  if (known == instances_.end()) {
    auto expanded = Instances::expand(dag_of_run(run), *params.as_map());
    CHAPPE_ASSERT(expanded.has_value());
    known = instances_.emplace(run, Expanded{std::move(*expanded)}).first;
  }
  const std::vector<FanOutRow>& rows = store_.tables().fan_outs;
  for (std::size_t& seen = known->second.fan_outs; seen < rows.size(); ++seen) {
    if (rows[seen].run != run) continue;
    const auto given = known->second.instances.fan_out(rows[seen].task, rows[seen].items, params);
    CHAPPE_ASSERT(given.has_value());
  }
  return known->second.instances;
}

std::string EngineWorld::explained(const RunId& run) const {
  const auto answer = engine().explain(run, "", 10, now);
  return answer ? to_json(*answer) : answer.error().message;
}

TaskRow EngineWorld::row(const RunId& run, const std::string& instance) const {
  const RunSeq seq = row(run).seq;
  const auto index = instances(seq).find(instance);
  if (!index) {
    ADD_FAILURE() << "no task instance " << instance;
    return {};
  }
  const auto found = store_.tables().tasks.find({seq, *index});
  return found == store_.tables().tasks.end() ? TaskRow{.key = {seq, *index}} : found->second;
}

}  // namespace chappe::support
