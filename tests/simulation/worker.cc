#include "tests/simulation/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kWorkerCores = 2000;

bool reads_something(const ResolvedWork& work) {
  return std::any_of(work.inputs.begin(), work.inputs.end(), [](const auto& input) { return !input.objects.empty(); });
}

}  // namespace

Worker::Worker(World& world, std::uint32_t number, bool in_pod) : world_(world), number_(number), in_pod_(in_pod) {
  clock_.start_us = 1'000'000 + world.chance.number(1'000'000'000);
  if (world.happens(Fault::kDrift)) clock_.drift_ppm = static_cast<std::int64_t>(world.chance.number(40'000)) - 20'000;
  hello_.name = fmt::format("w{}", number + 1);
  hello_.host = "host-of-" + hello_.name;
  hello_.capacity = {.cpu_milli = kWorkerCores, .memory_bytes = std::uint64_t{8} << 30};
  hello_.prefetch = world.plan.prefetch;
  hello_.noop_depth = world.plan.noop_depth;
}

Worker::~Worker() = default;

Now Worker::now() const {
  Now now = clock_.now(world_.time.now());
  now.wall = world_.wall();
  return now;
}

// ---- Life ----

void Worker::boot() {
  if (alive() || retired_) return;
  ++life_;
  hello_.incarnation = fmt::format("{:08x}{:024x}", number_ + 1, life_);
  hello_.features = is_old() ? Features{} : Features::all();
  agent_ = std::make_unique<agent::Agent>(hello_, in_pod_);
  draining_ = leaving_ = paused_ = machine_paused_ = false;
  speaker_epoch_ = newest_epoch_ = 0;
  owed_.clear();
  fence_.reset();
  fence_watched_ = false;
  world_.journal.note("worker boots", number_, life_);
  world_.network.seek(number_);
}

/// Workers are upgraded one by one, and some are not until the faults are over.
bool Worker::is_old() const {
  if (in_pod_ || world_.healed() || !world_.plan.knows(Fault::kCrashWorker)) return false;
  // Apart from all other chance, so that the other seeds tell what they always told.
  support::Chance own(world_.plan.seed + 24'000 + 1'000'003 * number_ + 7'919 * life_);
  return own.one_in(6);
}

void Worker::upgrade() {
  if (!alive() || hello_.features == Features::all()) return;
  crash();
}

/// With the process goes all that it had: what it held, its tasks, what waited to be done.
void Worker::crash() {
  if (!alive()) return;
  world_.journal.note("worker dies", number_, life_);
  for (auto& [attempt, program] : programs_) {
    if (program.stage == Stage::kRunning && !program.ended) world_.laws.program_ends(attempt);
  }
  programs_.clear();
  backlog_.clear();
  agent_.reset();
  paused_ = machine_paused_ = false;
  ++life_;
  ++pauses_;
  world_.network.hang_up(number_);
  retired_ = in_pod_ || last_life_;
  if (in_pod_) world_.pods.worker_ended(number_);
}

void Worker::pause(Duration time, bool machine) {
  if (!alive() || paused_) return;
  paused_ = true;
  machine_paused_ = machine;
  world_.journal.note(machine ? "machine stands still" : "worker stands still", number_);
  if (machine) {
    for (auto& [attempt, program] : programs_) {
      if (program.stage == Stage::kRunning && !program.ended) world_.laws.program_freezes(attempt);
    }
  }
  world_.time.after(time, [this, pause = ++pauses_] {
    if (pause == pauses_) resume();
  });
}

void Worker::resume() {
  if (!alive() || !paused_) return;
  paused_ = false;
  if (std::exchange(machine_paused_, false)) {
    for (auto& [attempt, program] : programs_) {
      if (program.stage == Stage::kRunning && !program.ended) world_.laws.program_thaws(attempt);
    }
  }
  world_.journal.note("worker goes on", number_);
  // After a long sleep the fence comes before anything else.
  if (fence_ && now().mono >= fence_->terminate_at) {
    const agent::AgentOrders orders = agent_->orders(now(), false);
    carry_out(orders);
    if (orders.goodbye) return leave();
  }
  look_at_fence(life_);
  const std::uint64_t life = life_;
  for (const auto& what : std::exchange(backlog_, {})) {
    if (life != life_) return;
    what();
  }
  if (life == life_) act();
}

void Worker::drain() {
  if (!alive() || paused_) return;
  world_.journal.note("worker drains", number_);
  draining_ = true;
  agent_->drain(now());
  act();
}

void Worker::drain_for_good() {
  last_life_ = true;
  if (!alive()) return retire();
  drain();
}

void Worker::evict() {
  if (!alive() || paused_) return;
  draining_ = true;
  agent_->evict(now());
  act();
}

void Worker::retire() {
  crash();
  retired_ = true;
}

void Worker::leave() {
  world_.saw(Sight::kWorkerLeft);
  leaving_ = true;
  const std::uint64_t life = life_;
  world_.time.after(world_.up_to(1s), [this, life] {
    if (life != life_) return;
    world_.network.close(number_);
    crash();
    world_.time.after(world_.up_to(10s), [this] { boot(); });
  });
}

void Worker::kill_some_program() {
  for (auto& [attempt, program] : programs_) {
    if (program.stage != Stage::kRunning || program.ended || machine_paused_) continue;
    program.end = {.reason = Reason::kLostWorker, .message = "the process that watched the task was killed"};
    plan_exit(program, world_.time.now());
    return;
  }
}

// ---- Its process ----

void Worker::later(Duration rest, std::function<void()> what) {
  world_.time.after(rest, [this, life = life_, what = std::move(what)] { in_process(life, what); });
}

void Worker::in_process(std::uint64_t life, const std::function<void()>& what) {
  if (life != life_ || !alive()) return;
  if (paused_) {
    backlog_.push_back(what);
    return;
  }
  what();
  if (life == life_ && alive()) act();
}

void Worker::connected() {
  in_process(life_, [this] {
    speaker_epoch_ = newest_epoch_;  // Until it says who it is.
    agent_->connected(now());
  });
}

void Worker::take(const WorkerSend& send) {
  if (paused_) return in_process(life_, [this, send] { hear(send); });
  in_process(life_, [&] { hear(send); });
}

void Worker::hear(const WorkerSend& send) {
  if (leaving_) return;
  world_.laws.worker_hears(number_, send);
  if (send.welcome) speaker_epoch_ = send.welcome->epoch;
  newest_epoch_ = std::max(newest_epoch_, speaker_epoch_);
  const std::size_t before = agent_->held();
  agent_->take(send, now());
  const std::size_t after = agent_->held();
  if (speaker_epoch_ < newest_epoch_) {
    if (before != after) world_.laws.broken(Law::kEpoch, "a worker obeys a scheduler that was replaced");
    return;
  }
  std::size_t settled = 0;
  for (const AttemptId attempt : send.acknowledged) settled += owed_.erase(attempt);
  for (const CancelAttempt& cancel : send.cancel) {
    if (cancel.forget) owed_.erase(cancel.what.attempt);
  }
  if (after > before + send.assign.size() - std::min(settled, before + send.assign.size())) {
    world_.laws.broken(Law::kKeepsResults, "a worker keeps a result that is acknowledged");
  }
}

void Worker::act() {
  const agent::AgentOrders orders = agent_->orders(now(), world_.network.connected(number_));
  const std::size_t unfinished = agent_->running() + agent_->waiting();
  carry_out(orders);
  tell(orders);
  world_.laws.agent_acted(agent_->held(), orders);
  if (orders.goodbye) return leave();
  const std::uint64_t number = ++wakes_;
  if (agent_->running() + agent_->waiting() != unfinished) {
    wake_at(world_.time.now(), number);
  } else if (orders.wake_at) {
    wake_at(clock_.truth(*orders.wake_at), number);
  }
}

/// Whoever acted meanwhile has made another plan.
void Worker::wake_at(MonoTime at, std::uint64_t number) {
  world_.time.at(at, [this, number, life = life_] {
    if (number == wakes_) in_process(life, [] {});
  });
}

void Worker::carry_out(const agent::AgentOrders& orders) {
  for (const AttemptId attempt : orders.withdraw) withdraw(attempt);
  for (const agent::StopOrder& order : orders.stop) stop(order);
  for (const auto& assignment : orders.start) start(assignment);
  for (const agent::LineUpOrder& order : orders.line_up) line_up(order);
  fence_ = agent_->fence();
  watch_fence();
}

void Worker::tell(const agent::AgentOrders& orders) {
  std::vector<std::vector<Event>> messages;
  const auto add = [&](Event event) { messages.push_back({std::move(event)}); };
  if (orders.hello) add(WorkerJoined{{}, *orders.hello});
  if (orders.goodbye_draining) add(WorkerDraining{});
  std::vector<Event> report(orders.started.begin(), orders.started.end());
  report.insert(report.end(), orders.finished.begin(), orders.finished.end());
  report.insert(report.end(), orders.returned.begin(), orders.returned.end());
  if (!report.empty()) tell_lies(report);
  if (!report.empty()) messages.push_back(std::move(report));
  if (orders.heartbeat) add(WorkerHeartbeat{{}, orders.heartbeat->batch_seen, orders.heartbeat->held});
  if (orders.goodbye) add(WorkerLeft{});
  if (messages.empty()) return;
  if (!world_.plan.wire) {
    for (auto& message : messages) world_.network.send_to_scheduler(number_, std::move(message));
    return;
  }
  for (std::string& bytes : world_.wire.encode(messages)) {
    world_.network.send_to_scheduler(number_, std::move(bytes));
  }
}

/// A worker may be wrong, or hostile: it speaks of what is not its own.
void Worker::tell_lies(std::vector<Event>& report) {
  if (world_.happens(Fault::kForeignReport)) {
    if (const auto what = world_.laws.some_leased_attempt(hello_.incarnation)) {
      report.push_back(AttemptFinished{{}, *what, {.ended_at = now().wall}, nullptr});
    }
  }
  for (Event& event : report) {
    auto* finished = std::get_if<AttemptFinished>(&event);
    if (finished == nullptr || finished->outputs == nullptr || finished->outputs->objects.empty()) continue;
    if (!world_.happens(Fault::kForeignObject)) continue;
    const auto key = world_.laws.some_committed_object(finished->what.attempt);
    if (!key) continue;
    AttemptOutputs outputs = *finished->outputs;
    outputs.objects[0].key = *key;
    finished->outputs = std::make_shared<const AttemptOutputs>(std::move(outputs));
  }
}

// ---- The fence: what the processes that watch the programs do by themselves ----

void Worker::watch_fence() {
  if (!fence_ || fence_watched_ || programs_.empty()) return;
  fence_watched_ = true;
  world_.time.at(clock_.truth(fence_->kill_at), [this, life = life_] { look_at_fence(life); });
}

void Worker::look_at_fence(std::uint64_t life) {
  if (life != life_ || !alive() || machine_paused_) return;
  fence_watched_ = false;
  if (fence_ && now().mono >= fence_->kill_at) {
    for (auto& [attempt, program] : programs_) {
      if (program.stage != Stage::kRunning || program.ended) continue;
      program.end = {.reason = Reason::kLostWorker, .message = "stopped because the worker had no word"};
      world_.saw(Sight::kKilledByFence);
      plan_exit(program, world_.time.now());
    }
    return;
  }
  watch_fence();
}

// ---- Programs ----

Worker::Program* Worker::find(AttemptId attempt) {
  const auto found = programs_.find(attempt);
  return found == programs_.end() ? nullptr : &found->second;
}

void Worker::start(const std::shared_ptr<const Assignment>& assignment) {
  const AttemptId attempt = assignment->attempt;
  world_.journal.note("start", number_, attempt.value);
  const auto fence = agent_->fence();
  world_.laws.starts(number_, *assignment, fence && now().mono >= fence->terminate_at, draining_);
  Program& program = programs_[attempt];
  program.assignment = assignment;
  if (!reads_something(*assignment->work)) return run(attempt);
  later(1ms + world_.up_to(100ms), [this, attempt] { fetched(attempt); });
}

void Worker::fetched(AttemptId attempt) {
  Program& program = *find(attempt);
  for (const ResolvedInput& input : program.assignment->work->inputs) {
    for (const InputObject& object : input.objects) {
      if (!object.s3.empty()) {
        read_outside(program, object);
        continue;
      }
      auto got = world_.objects.get(object.key);
      if (program.stopped) return fail(attempt, Reason::kArtifactIo, "stopped");
      if (!got) {
        world_.laws.input_missing(*program.assignment, object, got.error());
        return fail(attempt, Reason::kArtifactIo, got.error().message);
      }
      world_.laws.reads(*program.assignment, object, *got);
      program.inputs.push_back(*got);
    }
  }
  run(attempt);
}

/// Whatever is there now.
void Worker::read_outside(Program& program, const InputObject& object) {
  InputObject read{.name = object.name, .path = object.path, .size = 1};
  read.s3 = object.s3;
  read.sha256 = fmt::format("{:064x}", world_.time.now().us);
  if (program.outputs == nullptr) program.outputs = std::make_shared<AttemptOutputs>();
  program.outputs->read.push_back(std::move(read));
}

void Worker::run(AttemptId attempt) {
  Program& program = *find(attempt);
  if (program.stopped) return over(attempt);
  begin(program);
  agent_->program_started(attempt, now());
  if (program.assignment->work->service) come_up(attempt);
}

/// A few never do.
void Worker::come_up(AttemptId attempt) {
  if (attempt.value % 16 == 7) return;
  later(1ms + world_.up_to(2s), [this, attempt] {
    const Program* program = find(attempt);
    if (program == nullptr || program->ended || program->stage != Stage::kRunning) return;
    agent_->service_ready(attempt, "host", 5432);
  });
}

void Worker::begin(Program& program) {
  const Assignment& what = *program.assignment;
  program.stage = Stage::kRunning;
  world_.laws.program_begins(number_, what);
  const Behaviour behaviour = world_.behaviour(what);
  program.end.reason = behaviour.endless ? Reason::kNone : behaviour.reason;
  program.end.exit_code = behaviour.exit_code;
  if (!behaviour.endless) plan_exit(program, world_.time.now() + behaviour.length);
}

void Worker::plan_exit(Program& program, MonoTime at) {
  program.exits_at = at;
  program.exit_number = ++exits_;
  world_.time.at(at, [this, attempt = program.assignment->attempt, number = exits_, life = life_] {
    exit(attempt, number, life);
  });
}

/// The process ends, whether or not the agent stands still; not where the whole machine does.
void Worker::exit(AttemptId attempt, std::uint64_t number, std::uint64_t life) {
  if (life != life_) return;
  if (machine_paused_) {
    backlog_.push_back([this, attempt, number, life] { exit(attempt, number, life); });
    return;
  }
  Program* program = find(attempt);
  if (program == nullptr || program->ended || program->exit_number != number) return;
  end_process(*program);
  in_process(life, [this, attempt] { exited(attempt); });
}

void Worker::end_process(Program& program) {
  program.ended = true;
  world_.laws.program_ends(program.assignment->attempt);
  if (Program* next = find(program.behind); next != nullptr) begin(*next);
}

void Worker::exited(AttemptId attempt) {
  Program& program = *find(attempt);
  program.stage = Stage::kStoring;
  if (std::exchange(program.behind, {})) world_.saw(Sight::kLinedUpStarted);
  agent_->program_ended(attempt, now());
  const ResolvedWork& work = *program.assignment->work;
  const bool large = !work.values.empty() && world_.leaves_large_value(*program.assignment);
  if (program.end.reason == Reason::kNone && !work.values.empty() && !large) {
    if (program.outputs == nullptr) program.outputs = std::make_shared<AttemptOutputs>();
    program.outputs->values.push_back({.name = work.values[0].name, .value = world_.value(*program.assignment)});
  }
  const bool stores =
      program.end.reason == Reason::kNone && agent_->wanted(attempt) && (large || !work.outputs.empty());
  if (!stores) return over(attempt);
  later(1ms + world_.up_to(200ms), [this, attempt] { stored(attempt); });
}

void Worker::stored(AttemptId attempt) {
  Program& program = *find(attempt);
  const bool dies = world_.happens(Fault::kCrashAmongObjects);
  if (dies) world_.objects.die_after(1 + world_.chance.number(3));
  const auto stored = store_outputs(program);
  const bool dead = dies && world_.objects.died();
  world_.objects.live();
  if (dead) {
    crash();
    world_.time.after(world_.up_to(10s), [this] { boot(); });
    return;
  }
  if (!stored) return fail(attempt, Reason::kArtifactIo, stored.error().message);
  over(attempt);
}

Result<void> Worker::store_outputs(Program& program) {
  const Assignment& what = *program.assignment;
  const std::string prefix = attempt_prefix(what.run->dag, what.run->id, what.task, what.map_key, what.attempt);
  auto outputs = std::make_shared<AttemptOutputs>(program.outputs == nullptr ? AttemptOutputs{} : *program.outputs);
  const auto undo = [&](const Error& error) {
    discard(*outputs);
    return chappe::fail(error);
  };
  for (const ResolvedOutput& output : what.work->outputs) {
    if (program.stopped) return undo({ErrorCode::kUnavailable, "stopped"});
    OutputObject object{.name = output.name, .key = prefix + output.name, .size = 1};
    object.sha256 = world_.content(what, output.name, program.inputs);
    object.asset_uri = output.asset_uri;
    object.asset_name = output.asset_name;
    if (auto put = world_.objects.put(object.key, object.sha256); !put) return undo(put.error());
    outputs->objects.push_back(std::move(object));
  }
  for (std::size_t i = 0; i < outputs->objects.size(); ++i) {
    OutputObject& object = outputs->objects[i];
    if (object.asset_uri.empty()) continue;
    const PutOptions options{.if_absent = what.work->outputs[i].immutable};
    auto upload = world_.objects.stage(object.key, 1, object.asset_uri, options);
    if (!upload) return undo(upload.error());
    object.upload = std::move(*upload);
  }
  if (!what.work->values.empty() && world_.leaves_large_value(what)) {
    const std::string& name = what.work->values[0].name;
    auto object = world_.objects.put_value(prefix + value_object_name(name), name, to_json(world_.value(what)));
    if (!object) return undo(object.error());
    world_.saw(Sight::kValueInObject);
    outputs->objects.push_back(std::move(*object));
  }
  program.outputs = std::move(outputs);
  return {};
}

void Worker::discard(const AttemptOutputs& outputs) {
  for (const OutputObject& object : outputs.objects) {
    if (!object.upload.empty()) (void)world_.objects.abort(object.upload);  // As worker/artifacts: best effort.
    (void)world_.objects.remove(object.key);
  }
}

void Worker::fail(AttemptId attempt, Reason reason, const std::string& message) {
  Program& program = *find(attempt);
  program.end.reason = reason;
  program.end.message = message;
  over(attempt);
}

void Worker::over(AttemptId attempt) {
  const auto node = programs_.extract(attempt);
  const Program& program = node.mapped();
  const bool wanted = agent_->wanted(attempt);
  if (wanted) world_.laws.came_to(*program.assignment, program.end, program.outputs.get());
  if (wanted) owed_.insert(attempt);
  const bool kept = agent_->ended(attempt, program.end, program.outputs, now());
  if (!kept && program.outputs != nullptr) discard(*program.outputs);
}

void Worker::line_up(const agent::LineUpOrder& order) {
  const AttemptId attempt = order.assignment->attempt;
  const bool request = order.assignment->work->http != nullptr || order.assignment->work->check != nullptr;
  if (request) world_.laws.broken(Law::kRoom, "a request is lined up behind a program, and takes its room before");
  world_.saw(Sight::kLinedUp);
  Program& program = programs_[attempt];
  program.assignment = order.assignment;
  program.stage = Stage::kLinedUp;
  Program* front = find(order.front);
  const bool waits_or_runs =
      front != nullptr && !front->ended && (front->stage == Stage::kRunning || front->stage == Stage::kLinedUp);
  if (!waits_or_runs || front->behind) {
    programs_.erase(attempt);
    return agent_->withdrawn(attempt, now());
  }
  front->behind = attempt;
}

void Worker::withdraw(AttemptId attempt) {
  // Long enough at times for the front to end first.
  const Duration rest = world_.up_to(world_.chance.one_in(3) ? 500ms : 5ms);
  later(rest, [this, attempt] { take_back(attempt); });
}

void Worker::take_back(AttemptId attempt) {
  Program* program = find(attempt);
  if (program == nullptr || program->stage != Stage::kLinedUp) {
    world_.saw(Sight::kWithdrawnTooLate);
    return;
  }
  for (auto& [other, front] : programs_) {
    if (front.behind == attempt) front.behind = program->behind;
  }
  programs_.erase(attempt);
  world_.saw(Sight::kWithdrawn);
  agent_->withdrawn(attempt, now());
}

void Worker::stop(const agent::StopOrder& order) {
  Program* program = find(order.attempt);
  if (program == nullptr) return;
  program->stopped = true;
  if (program->stage != Stage::kRunning || program->ended) return;
  // Some programs end when they are asked to, some only when they are killed.
  const Duration rest = world_.chance.one_in(3) ? order.grace : world_.up_to(order.grace + Duration(1));
  const MonoTime at = world_.time.now() + rest;
  if (program->exit_number != 0 && program->exits_at <= at) return;
  program->end = {.reason = Reason::kSignal, .message = "ended by SIGTERM (15)"};
  plan_exit(*program, at);
}

}  // namespace chappe::simulation
