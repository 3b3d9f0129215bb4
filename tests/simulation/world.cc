#include "tests/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kEventsMax = 2'000'000;

constexpr Fault kByTime[] = {Fault::kBreakLink,      Fault::kClogLink,       Fault::kSwizzleClog,
                             Fault::kPartitionLink,  Fault::kCrashWorker,    Fault::kPauseWorker,
                             Fault::kSuspendWorker,  Fault::kDrainWorker,    Fault::kKillProgram,
                             Fault::kCrashScheduler, Fault::kPauseScheduler, Fault::kSecondScheduler,
                             Fault::kObjectOutage,   Fault::kSweepUploads,   Fault::kWallJump,
                             Fault::kCancelRun,      Fault::kRetryRun,       Fault::kMoveAlias,
                             Fault::kEvictPod,       Fault::kLosePod,        Fault::kStealKey};

/// Stands in for SHA-256: two texts of one history never have the same.
std::string digest(std::string_view text) {
  std::uint64_t lanes[4] = {1, 2, 3, 4};
  for (const char letter : text) {
    for (std::uint64_t& lane : lanes) {
      lane = (lane ^ static_cast<unsigned char>(letter)) * 0x100000001B3U;
      lane ^= lane >> 29;
      lane += lanes[0] * 0x9E3779B97F4A7C15U;
    }
  }
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", lanes[0], lanes[1], lanes[2], lanes[3]);
}

/// They are dear to make, and have nothing in them that one history could leave to the next.
Wire& shared_wire() {
  static Wire wire;
  return wire;
}

}  // namespace

void Journal::note(std::string_view what, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  mix(static_cast<std::uint64_t>(time_.now().us));
  for (const char letter : what) mix(static_cast<unsigned char>(letter));
  mix(a), mix(b), mix(c);
  if (aloud_) fmt::print("{:>14.6f}  {} {} {} {}\n", static_cast<double>(time_.now().us) / 1e6, what, a, b, c);
}

const RunRow* Store::run_by_request(const std::string& request) const {
  for (const auto& [seq, row] : tables().runs) {
    if (row.request_id == request) return &row;
  }
  return nullptr;
}

void Store::know(const DagPtr& dag) {
  register_dag(dag);
  CHAPPE_ASSERT(tables_.commit({.dag_versions = {{dag->version, dag->name, dag->source, {}}}}).has_value());
}

Result<void> Store::commit(std::uint32_t epoch, const Persist& persist) {
  if (epoch != epoch_ && !CHAPPE_MUTANT(kStoreForgetsEpoch)) {
    world_.saw(Sight::kOldEpochRefused);
    return fail(ErrorCode::kConflict, "another scheduler has a newer epoch");
  }
  world_.laws.committed(epoch, epoch == epoch_, persist);
  auto committed = tables_.commit(persist);
  if (!committed) world_.laws.broken(Law::kFence, committed.error().message);
  return committed;
}

std::vector<std::string> Wire::encode(const std::vector<std::vector<Event>>& messages) {
  std::vector<std::string> out;
  for (const std::vector<Event>& message : messages) {
    const Event& first = message.front();
    if (const auto* joined = std::get_if<WorkerJoined>(&first)) {
      out.push_back(worker_encoder.hello(joined->hello));
    } else if (const auto* heartbeat = std::get_if<WorkerHeartbeat>(&first)) {
      out.push_back(worker_encoder.heartbeat(heartbeat->batch_seen, heartbeat->held));
    } else if (std::holds_alternative<WorkerDraining>(first) || std::holds_alternative<WorkerLeft>(first)) {
      out.push_back(worker_encoder.goodbye(std::holds_alternative<WorkerDraining>(first)));
    } else {
      for (const Event& event : message) {
        if (const auto* started = std::get_if<AttemptStarted>(&event)) worker_encoder.add(*started);
        if (const auto* finished = std::get_if<AttemptFinished>(&event)) worker_encoder.add(*finished);
        if (const auto* returned = std::get_if<AttemptReturned>(&event)) worker_encoder.add(*returned);
      }
      out.push_back(worker_encoder.take_report());
    }
  }
  return out;
}

World::World(std::uint64_t seed, const Reduction& reduction, bool aloud)
    : plan(make_plan(seed, reduction)),
      chance(seed),
      journal(time, aloud),
      laws(*this),
      store(*this),
      objects(*this),
      network(*this, plan.workers),
      people(*this),
      pods(*this),
      scaler(*this),
      wire(shared_wire()) {
  for (std::uint32_t number = 0; number < plan.runs; ++number) {
    stories.push_back(make_story(plan, number));
    store.register_dag(stories.back().dag);
  }
  listeners = make_listeners(plan);
  add_clocks(plan, listeners);
  child = make_child(plan);
  store.register_dag(child.dag);
  for (const Story& listener : listeners) store.register_dag(listener.dag);
  past = make_past(plan, plan.runs);
  if (past) store.know(past->story.dag);
  for (std::uint32_t number = 0; number < plan.workers; ++number) {
    workers.push_back(std::make_unique<Worker>(*this, number));
  }
}

World::~World() = default;

Ending World::live() {
  if (plan.calm()) saw(Sight::kCalmSeed);
  boot_scheduler();
  for (const auto& worker : workers) time.after(up_to(2s), [&each = *worker] { each.boot(); });
  if (plan.scaled) scaler.begin();
  people.plan();
  plan_trouble();
  const MonoTime end_of_faults{plan.safety.count()};
  if (go_on_until(end_of_faults)) {
    heal();
    const MonoTime healed_at = time.now();
    look();
    while (go_on_until(time.now()) && !settled_ && time.now() < healed_at + patience()) time.next();
    if (!laws.violation() && !settled_) {
      laws.broken(Law::kRunsEnd, "it does not come to rest though nothing goes wrong:" + laws.unfinished());
    }
    if (!laws.violation()) laws.check_quiet();
  }
  seen.events = time.events();
  seen.simulated_us = time.now().us;
  return {laws.violation(), journal.hash()};
}

/// Each object is written some times, and removed in between; each writing has its own number.
std::vector<SeenObject> World::dropped() const {
  constexpr std::uint32_t kObjects = 3;
  constexpr std::uint32_t kChangesMax = 6;
  support::Chance when(plan.seed * 0x9E3779B97F4A7C15U + 79);
  std::vector<SeenObject> out;
  for (std::uint32_t i = 0; i < kObjects; ++i) {
    std::uint32_t writings = 0;
    bool stands = false;
    std::optional<std::uint32_t> shown;  // As of now.
    std::int64_t at = 0;
    for (std::uint32_t left = when.number(kChangesMax); left > 0; --left) {
      at += when.number(static_cast<std::uint32_t>(plan.safety.count() / 1000 / kChangesMax)) * std::int64_t{1000};
      const bool removes = when.one_in(3) && stands;
      stands = !removes;
      if (stands) ++writings;
      if (at <= time.now().us) shown = stands ? std::optional(writings) : std::nullopt;
    }
    if (!shown) continue;
    out.push_back({.key = kDrop + std::to_string(i),
                   .uri = "",
                   .etag = std::to_string(*shown),
                   .version = "",
                   .modified_at = {}});
  }
  return out;
}

/// False: a law is broken.
bool World::go_on_until(MonoTime end) {
  while (!laws.violation() && time.now() < end && !time.empty()) {
    time.next();
    if (time.events() > kEventsMax) laws.broken(Law::kBounds, "events without end");
  }
  return !laws.violation();
}

bool World::shows(const std::string& name) const {
  support::Chance when(plan.seed + static_cast<unsigned char>(name.back()));
  return time.now().us >= when.number(static_cast<std::uint32_t>(plan.safety.count() / 1000)) * std::int64_t{1000};
}

/// Longer than everything can take one after the other. A clock that jumps makes hundreds of runs due at once, and most
/// wait for a while; more than so many come of no clock, but of runs that start runs without end.
Duration World::patience() const {
  constexpr std::size_t kRunsMost = 2'000;
  Duration all = 10min;
  all += 30s * static_cast<std::int64_t>(std::min(laws.runs(), kRunsMost));
  for (const Story& each : stories) all += (plan.program_max + 60s) * 4 * each.instances->size();
  constexpr std::int64_t kDatesMost = 12;
  if (past) all += (plan.program_max + 60s) * 4 * past->story.instances->size() * kDatesMost;
  return all;
}

// ---- What the others ask ----

bool World::happens(Fault fault) {
  const std::uint32_t one_in = plan.one_in[static_cast<std::size_t>(fault)];
  if (one_in == 0 || healed_ || !chance.one_in(one_in)) return false;
  seen.count(fault);
  journal.note(name_of(fault));
  return true;
}

Duration World::up_to(Duration most) {
  return Duration(chance.number(static_cast<std::uint32_t>(std::max<std::int64_t>(most.count(), 1))));
}

EngineConfig World::engine_config() const {
  EngineConfig config;
  config.lease = plan.lease;
  config.heartbeat = plan.heartbeat;
  config.seed = plan.seed;
  config.lookups_max = 1 + static_cast<std::uint32_t>(plan.seed % 5);
  config.sha256 = digest;
  config.pools = {{"a", 1}, {"b", 2}};
  config.locks = {{"x", 2}};
  config.pods_max = plan.pods ? 1 + static_cast<std::uint32_t>(plan.seed % 4) : 0;
  config.pod_start_max = config.pod_join_max = 10h;                         // Whatever goes wrong with a pod is told...
  if (plan.knows(Fault::kStickPod)) config.pod_start_max = plan.lease * 2;  // ... unless nothing does.
  config.run_retention = plan.run_retention;
  config.assign_max = 1 + static_cast<std::uint32_t>(plan.seed % 7);
  return config;
}

Behaviour World::behaviour(const Assignment& what) const {
  return laws.story_of(what.key.run)->behaviour(what.key.index, laws.user_tries(what.key), what.run->generation);
}

std::int64_t World::value(const Assignment& what) const {
  return laws.story_of(what.key.run)->value(what.key.index, what.run->generation);
}

bool World::leaves_large_value(const Assignment& what) const {
  return laws.story_of(what.key.run)->leaves_large_value(what.key.index);
}

std::string World::content(const Assignment& what, const std::string& output,
                           const std::vector<std::string>& inputs) const {
  const Story& story = *laws.story_of(what.key.run);
  return story.content(story.instances->name_of(what.key.index), output, inputs);
}

// ---- Schedulers ----

Scheduler* World::newest_scheduler() {
  Scheduler* newest = nullptr;
  for (const auto& each : schedulers) {
    if (each->alive() && (newest == nullptr || each->epoch() > newest->epoch())) newest = each.get();
  }
  return newest;
}

std::optional<std::uint32_t> World::scheduler_to_meet() {
  std::optional<std::uint32_t> met;
  for (std::uint32_t number = 0; number < schedulers.size(); ++number) {
    const Scheduler& each = *schedulers[number];
    if (!each.alive() || each.standing_still()) continue;
    // Most find the newest; an address may lead some to one that was replaced.
    if (!met || !chance.one_in(4)) met = number;
  }
  return met;
}

void World::boot_scheduler() {
  const auto number = static_cast<std::uint32_t>(schedulers.size());
  schedulers.push_back(std::make_unique<Scheduler>(*this, number));
  const bool nothing_since = thoughts_commits_ == seen.commits;
  schedulers.back()->boot(nothing_since ? std::exchange(thoughts_, std::nullopt) : std::nullopt);
}

void World::scheduler_died(std::uint32_t number) {
  if (healed_ && !healing_) {
    return laws.broken(Law::kNoCrashLoop, fmt::format("scheduler {} dies, and nothing went wrong", number));
  }
  if (healing_) return;
  time.after(100ms + up_to(10s), [this] {
    if (newest_scheduler() == nullptr) boot_scheduler();
  });
}

// ---- Faults that come by time ----

void World::plan_trouble() {
  time.after(up_to(plan.trouble_every * 2), [this] {
    if (healed_) return;
    trouble();
    plan_trouble();
  });
}

void World::trouble() {
  std::vector<Fault> known;
  for (const Fault fault : kByTime) {
    if (plan.knows(fault)) known.push_back(fault);
  }
  if (known.empty()) return;
  const Fault fault = chance.pick(known);
  seen.count(fault);
  journal.note(name_of(fault));
  strike(fault);
}

void World::strike(Fault fault) {
  switch (fault) {
    case Fault::kCrashScheduler:
      if (Scheduler* scheduler = newest_scheduler(); scheduler != nullptr) {
        if (scheduler->epoch() == store.epoch()) thoughts_ = scheduler->thoughts();
        thoughts_commits_ = seen.commits;
        scheduler->die();
      }
      return;
    case Fault::kPauseScheduler:
      if (Scheduler* scheduler = newest_scheduler(); scheduler != nullptr) scheduler->pause(up_to(plan.lease * 2));
      return;
    case Fault::kSecondScheduler:
      return boot_scheduler();
    case Fault::kObjectOutage:
      objects.outage(true);
      return time.after(up_to(plan.lease), [this] { objects.outage(false); });
    case Fault::kSweepUploads:
      return objects.sweep();
    case Fault::kWallJump:
      wall_shift_ += (chance.one_in(2) ? 1 : -1) * up_to(chance.one_in(3) ? Duration(1h) : Duration(10s));
      return;
    case Fault::kCancelRun:
      return people.cancel_some_run();
    case Fault::kRetryRun:
      return people.retry_some_run();
    case Fault::kMoveAlias:
      return people.move_some_alias();
    case Fault::kEvictPod:
      return pods.evict_some();
    case Fault::kLosePod:
      return pods.lose_some();
    case Fault::kStealKey:
      return pods.steal_some_key();
    case Fault::kSwizzleClog:
      return swizzle_clog();
    case Fault::kBreakLink:
    case Fault::kClogLink:
    case Fault::kPartitionLink:
      return strike_link(fault);
    default:
      return strike_worker(fault);
  }
}

void World::strike_worker(Fault fault) {
  Worker& worker = *chance.pick(workers);
  switch (fault) {
    case Fault::kCrashWorker:
      worker.crash();
      return time.after(up_to(chance.one_in(3) ? plan.lease * 2 : Duration(2s)), [&worker] { worker.boot(); });
    case Fault::kPauseWorker:
      return worker.pause(up_to(plan.lease * 2), false);
    case Fault::kSuspendWorker:
      return worker.pause(up_to(plan.lease * 2), true);
    case Fault::kDrainWorker:
      return worker.drain();
    default:
      return worker.kill_some_program();
  }
}

void World::strike_link(Fault fault) {
  const std::uint32_t worker = chance.number(plan.workers);
  if (fault == Fault::kBreakLink) return network.break_link(worker);
  const Duration time_ = up_to(chance.one_in(3) ? plan.lease * 2 : plan.lease / 3);
  const bool both = chance.one_in(2);
  const auto one = static_cast<Direction>(chance.number(2));
  for (const Direction direction : {Direction::kToScheduler, Direction::kToWorker}) {
    if (!both && direction != one) continue;
    if (fault == Fault::kClogLink) network.clog(worker, direction, time_);
    if (fault == Fault::kPartitionLink) network.partition(worker, direction, time_);
  }
}

/// One after the other, in one order; and free again in another.
void World::swizzle_clog() {
  const Duration round = up_to(plan.lease);
  for (std::uint32_t worker = 0; worker < plan.workers; ++worker) {
    time.after(up_to(round / 2), [this, worker, rest = round / 2 + up_to(round / 2)] {
      if (healed_) return;
      network.clog(worker, Direction::kToScheduler, rest);
      network.clog(worker, Direction::kToWorker, rest);
    });
  }
}

// ---- The end ----

void World::heal() {
  journal.note("heal");
  healed_ = healing_ = true;
  network.heal();
  objects.outage(false);
  Scheduler* newest = newest_scheduler();
  const bool current = newest != nullptr && newest->epoch() == store.epoch();
  for (const auto& each : schedulers) {
    if (each.get() != newest || !current) each->die();
  }
  if (!current) boot_scheduler();
  healing_ = false;
  newest_scheduler()->resume();
  // One may be gone for good: the others must do without it. A Deployment has its pods come back.
  if (!plan.scaled && plan.knows(Fault::kCrashWorker) && plan.workers > 1 && chance.one_in(2)) {
    saw(Sight::kWorkerGoneForGood);
    workers[plan.workers - 1]->retire();
  }
  for (const auto& worker : workers) {
    worker->resume();
    worker->upgrade();
    if (worker->life() > 0) worker->boot();  // A pod that never started has none.
  }
}

void World::look() {
  settled_ = settled();
  if (settled_) return;
  for (std::uint32_t number = 0; number < stories.size(); ++number) {
    const auto run = people.run_of(number);
    if (stories[number].endless && run && !laws.ended(*run) && people.all_answered()) people.cancel(number);
  }
  if (laws.paused_backfill() && people.all_answered()) people.change_backfill(BackfillState::kRunning);
  time.after(5s, [this] { look(); });
}

bool World::settled() {
  const auto at_rest = [](const auto& worker) { return worker->held() == 0 && worker->programs() == 0; };
  for (std::uint32_t number = 0; number < stories.size(); ++number) {
    if (!people.run_of(number)) return false;
  }
  const auto waits = [](const auto& each) { return each.second.state == NotificationState::kPending; };
  const auto& notifications = store.tables().notifications;
  if (std::any_of(notifications.begin(), notifications.end(), waits)) return false;
  const bool cleaned_up = newest_scheduler() == nullptr || newest_scheduler()->has_no_errands();
  return cleaned_up && laws.all_collected() && store.tables().doomed.empty() && store.tables().pruning.empty() &&
         laws.all_drops_seen() && pods.left() == 0 && people.all_answered() && laws.all_runs_ended() &&
         laws.all_backfills_ended() && laws.all_times_done() && std::all_of(workers.begin(), workers.end(), at_rest);
}

}  // namespace chappe::simulation
