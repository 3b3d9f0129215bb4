#include "tests/simulation/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"
#include "scheduler/api/value_object.h"
#include "tests/simulation/world.h"
#include "tests/support/engine_dump.h"
#include "tests/support/known_results.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kPassesAtOnceMax = 1000;

}  // namespace

Scheduler::Scheduler(World& world, std::uint32_t number) : world_(world), number_(number) {
  clock_.start_us = 1'000'000 + world.chance.number(1'000'000'000);
}

Now Scheduler::now() const {
  Now now = clock_.now(world_.time.now());
  now.wall = world_.wall();
  return now;
}

void Scheduler::boot(const std::optional<std::string>& before) {
  epoch_ = world_.store.open();
  world_.journal.note("scheduler boots", number_, epoch_);
  auto stored = world_.store.load();
  CHAPPE_ASSERT(stored.has_value());
  stored->epoch = epoch_;
  auto engine = Engine::restore(std::move(*stored), world_.engine_config(), now());
  if (!engine) return world_.laws.broken(Law::kRestore, "restore: " + engine.error().message);
  engine_.emplace(std::move(*engine));
  if (before) compare(*before);
  alive_ = true;
  for (const auto& [id, row] : world_.store.tables().notifications) {
    if (row.state != NotificationState::kPending) continue;
    world_.saw(Sight::kToldAfterRestart);
    notify(row);
  }
  pass_soon(world_.time.now());
}

/// What waits is told once the values are known that it may be about: those in objects are read first.
void Scheduler::compare(const std::string& before) {
  for (const ArtifactRow& artifact : world_.store.tables().artifacts) {
    const bool live = !is_final(world_.store.tables().runs.at(artifact.key.run).state);
    if (live && value_in_object(artifact.object.name)) return;
  }
  world_.laws.restored(before, support::dump_of_runs(*engine_));
}

/// The machine goes on; what was in this process' memory and sockets is gone.
void Scheduler::die() {
  if (!alive_) return;
  world_.journal.note("scheduler dies", number_, epoch_);
  alive_ = paused_ = false;
  ++pauses_;
  ++passes_;
  pass_at_.reset();
  mail_.clear();
  waiting_.clear();
  errands_.clear();
  looks_.clear();
  dates_.clear();
  past_.clear();
  expired_.reset();
  prune_.reset();
  lookups_.clear();
  known_.clear();
  notices_.clear();
  engine_.reset();
  world_.network.hang_up_all(number_);
  world_.scheduler_died(number_);
}

std::optional<std::string> Scheduler::thoughts() const {
  if (!alive_) return std::nullopt;
  return support::dump_of_runs(*engine_);
}

void Scheduler::pause(Duration time) {
  if (!alive_ || paused_) return;
  paused_ = true;
  world_.journal.note("scheduler stands still", number_);
  world_.time.after(time, [this, pause = ++pauses_] {
    if (pause == pauses_) resume();
  });
}

void Scheduler::resume() {
  if (!alive_ || !paused_) return;
  paused_ = false;
  world_.journal.note("scheduler goes on", number_);
  pass_soon(world_.time.now());
}

// ---- What arrives ----

void Scheduler::take(Packet packet) {
  if (alive_) post(std::move(packet));
}

void Scheduler::take(Asked asked) {
  if (alive_) post(std::move(asked));
}

void Scheduler::take(Event event) {
  if (alive_) post(std::move(event));
}

void Scheduler::post(Mail mail) {
  mail_.push_back(std::move(mail));
  pass_soon(world_.time.now() + world_.up_to(2ms));
}

void Scheduler::pass_soon(MonoTime at) {
  if (pass_at_ && *pass_at_ <= at) return;
  pass_at_ = at;
  world_.time.at(at, [this, number = ++passes_] {
    if (number != passes_) return;
    pass_at_.reset();
    if (alive_ && !paused_) pass();
  });
}

std::vector<Event> Scheduler::take_in() {
  std::vector<Event> events;
  look_up_dates(events);
  look_up_expired(events);
  look_up_prunable(events);
  for (std::uint32_t i = 0; i < world_.plan.batch_max && !mail_.empty(); ++i) {
    Mail mail = std::move(mail_.front());
    mail_.pop_front();
    if (auto* packet = std::get_if<Packet>(&mail)) {
      take_in(*packet, events);
    } else if (auto* asked = std::get_if<Asked>(&mail)) {
      take_in(*asked, events);
    } else {
      events.push_back(std::move(std::get<Event>(mail)));
    }
  }
  return events;
}

/// As the loop does: before anything else.
void Scheduler::look_up_dates(std::vector<Event>& events) {
  for (const WantedDates& wanted : std::exchange(dates_, {})) {
    DatesLooked looked{.backfill = wanted.backfill, .dates = {}};
    const auto newest = world_.store.newest_of_dates(wanted);
    for (std::size_t i = 0; i < newest.size(); ++i) looked.dates.push_back({wanted.times[i], newest[i]});
    events.push_back(std::move(looked));
  }
  for (const WantedPast& wanted : std::exchange(past_, {})) {
    events.insert(events.begin(), world_.store.look_up_past(wanted));
  }
}

void Scheduler::look_up_expired(std::vector<Event>& events) {
  if (expired_) events.emplace_back(world_.store.expired(*std::exchange(expired_, std::nullopt)));
}

void Scheduler::look_up_prunable(std::vector<Event>& events) {
  if (prune_) events.emplace(events.begin(), world_.store.prunable(*std::exchange(prune_, std::nullopt)));
}

/// As the port does: events have the connection that they came by.
void Scheduler::take_in(Packet& packet, std::vector<Event>& events) {
  std::vector<Event> said;
  if (auto* values = std::get_if<std::vector<Event>>(&packet.payload)) {
    said = std::move(*values);
  } else {
    wire::WorkerSays says;
    const std::string& bytes = std::get<std::string>(packet.payload);
    const auto decoded = world_.wire.worker_decoder.decode(std::as_bytes(std::span(bytes)), says);
    if (!decoded) return world_.laws.broken(Law::kOwnAttemptsOnly, "a worker's message does not decode");
    said = std::move(says.events);
  }
  for (Event& event : said) {
    std::visit(
        [&](auto& each) {
          if constexpr (requires { each.connection; }) each.connection = packet.connection;
          if constexpr (requires { each.join_key_of; }) each.join_key_of = world_.pods.attempt_of(packet.worker);
        },
        event);
    events.push_back(std::move(event));
  }
}

/// As the loop does: what the engine has let go of, the store knows.
void Scheduler::take_in(Asked& asked, std::vector<Event>& events) {
  if (answer_repeated(asked) || answer_delivery(asked)) return;
  const auto load_if_over = [&](auto* event) {
    if (event == nullptr || engine_->knows(event->run)) return true;
    auto stored = world_.store.load_run(event->run);
    if (stored) event->stored = std::make_shared<StoredRun>(std::move(*stored));
    return stored.has_value();
  };
  const bool loaded =
      load_if_over(std::get_if<RetryRequested>(&asked.event)) && load_if_over(std::get_if<MarkRequested>(&asked.event));
  if (!loaded) return world_.people.refused(asked.request);
  const Ticket ticket{++last_ticket_.value};
  std::visit(
      [&](auto& each) {
        if constexpr (requires { each.ticket; }) each.ticket = ticket;
      },
      asked.event);
  waiting_[ticket] = asked.request;
  events.push_back(std::move(asked.event));
}

bool Scheduler::answer_repeated(const Asked& asked) {
  const auto* wanted = std::get_if<RunRequested>(&asked.event);
  if (wanted == nullptr) return false;
  const RunRow* known = world_.store.run_by_request(wanted->request_id);
  if (known == nullptr || engine_->knows(known->id)) return false;
  world_.saw(Sight::kRequestAnsweredFromStore);
  world_.people.answered(asked.request, known->id);
  return true;
}

bool Scheduler::answer_delivery(const Asked& asked) {
  const auto* call = std::get_if<WebhookCalled>(&asked.event);
  if (call == nullptr) return false;
  for (const auto& [id, event] : world_.store.tables().events) {
    const bool is_it = event.dag == call->dag && event.source.kind == EventSource::Kind::kHook &&
                       event.key == call->delivery && event.run;
    if (!is_it) continue;
    world_.saw(Sight::kDeliveryRepeated);
    world_.people.answered(asked.request, world_.store.tables().runs.at(event.run).id);
    return true;
  }
  return false;
}

// ---- One pass ----

void Scheduler::pass() {
  same_time_ = world_.time.now() == last_pass_ ? same_time_ + 1 : 0;
  last_pass_ = world_.time.now();
  if (same_time_ > kPassesAtOnceMax) return world_.laws.broken(Law::kBounds, "the engine asks to be woken for ever");
  std::vector<Event> events = take_in();
  follow_results(events);
  Effects effects = engine_->step(events, now());
  world_.journal.note("pass", number_, events.size(), effects.persist.tasks.size());
  world_.laws.stepped(events, effects, epoch_ == world_.store.epoch());
  if (CHAPPE_MUTANT(kTellsBeforeSaving) && !tell(effects)) return;
  if ((effects.confirm || !effects.persist.empty()) && !commit(effects.persist)) return;
  if (!CHAPPE_MUTANT(kTellsBeforeSaving) && !tell(effects)) return;
  carry_out(effects);
  if (!alive_) return;
  if (!mail_.empty()) return pass_soon(world_.time.now() + 1us);
  const Duration commit_takes = world_.plan.slow ? world_.up_to(20ms) : Duration(0);
  if (effects.wake_at) pass_soon(clock_.truth(std::max(*effects.wake_at, now().mono)) + commit_takes);
}

bool Scheduler::commit(const Persist& persist) {
  if (world_.happens(Fault::kCrashBeforeCommit)) return die(), false;
  if (world_.happens(Fault::kCommitLost)) {
    world_.saw(Sight::kCommitFailed);
    if (CHAPPE_MUTANT(kGoesOnAfterFailedCommit)) return true;
    return die(), false;
  }
  const auto committed = world_.store.commit(epoch_, persist);
  if (!committed) return die(), false;
  if (world_.happens(Fault::kCommitUnknown)) {
    world_.saw(Sight::kCommitFailed);
    return die(), false;
  }
  if (world_.happens(Fault::kCrashAfterCommit)) return die(), false;
  for (const RunChange& change : persist.run_changes) world_.people.see_retention(change.row);
  return true;
}

bool Scheduler::goes_on() {
  if (!alive_) return false;
  if (world_.happens(Fault::kCrashAmongEffects)) die();
  return alive_;
}

bool Scheduler::tell(const Effects& effects) {
  for (const WorkerSend& send : effects.send) {
    if (!goes_on()) return false;
    world_.laws.told(send, epoch_ == world_.store.epoch());
    if (!send.assign.empty() && world_.scaler.rests(number_, send.to))
      world_.laws.broken(Law::kRoom, "a worker that is to go is given an attempt");
    world_.network.send_to_worker(number_, send);
  }
  return true;
}

void Scheduler::carry_out(Effects& effects) {
  for (PublishAssets& publish : effects.publish) {
    if (!goes_on()) return;
    world_.laws.publishes(publish);
    const bool again = world_.store.tables().tasks.at(publish.key).state == TaskState::kSuccess;
    if (again && !publish.values.empty()) world_.saw(Sight::kValueReadAgain);
    begin({.work = std::move(publish)}, {});
  }
  for (DropOutputs& drop : effects.drop) {
    if (!goes_on()) return;
    world_.laws.drops(drop);
    begin({.work = std::move(drop)}, {});
  }
  if (effects.remove) {
    if (!goes_on()) return;
    world_.laws.removes(*effects.remove);
    begin({.work = *std::move(effects.remove)}, {});
  }
  for (RemoveRunObjects& remove : effects.remove_runs) {
    if (!goes_on()) return;
    world_.laws.removes(remove);
    begin({.work = std::move(remove)}, {});
  }
  for (const LookOrder& order : effects.looks) {
    if (!goes_on()) return;
    looks_.erase(order.target);
    if (!order.every) continue;
    looks_[order.target] = {*order.every, ++look_orders_};
    look_after(order.target, {}, look_orders_);
  }
  for (const PodOrder& order : effects.pods) {
    if (!goes_on()) return;
    world_.pods.order(number_, order);
  }
  if (world_.plan.pods) world_.pods.begin(number_);
  dates_.insert(dates_.end(), effects.dates.begin(), effects.dates.end());
  past_.insert(past_.end(), effects.past.begin(), effects.past.end());
  if (effects.expired) expired_ = effects.expired;
  if (effects.prune) prune_ = std::move(effects.prune);
  for (CacheLookup& lookup : effects.lookups) {
    if (!goes_on()) return;
    look_up(std::move(lookup));
  }
  for (const NotificationRow& row : effects.notify) {
    if (!goes_on()) return;
    notify(row);
  }
  for (const WantedDag& wanted : effects.wanted) {
    if (!goes_on()) return;
    bring(wanted);
  }
  for (const Reply& each : effects.replies) {
    if (!goes_on()) return;
    reply(each);
  }
}

void Scheduler::reply(const Reply& reply) {
  const auto waiting = waiting_.extract(reply.ticket);
  if (!waiting) return;
  if (!reply.answer) return world_.people.refused(waiting.mapped());
  const Value* run = reply.answer->find("run");
  const bool known = run != nullptr && !run->is_null();
  world_.people.answered(waiting.mapped(), known ? RunId::parse(*run->as_string()).value() : RunId{});
}

// ---- Looks ----

void Scheduler::look_after(const LookTarget& target, Duration rest, std::uint64_t order) {
  world_.time.after(rest + 1ms + world_.up_to(300ms), [this, target, order] { look(target, order); });
}

void Scheduler::look(const LookTarget& target, std::uint64_t order) {
  const auto found = looks_.find(target);
  if (found == looks_.end() || found->second.order != order) return;
  if (target.kind == LookTarget::Kind::kListing) return list(target, found->second);
  LookReported report{.target = target};
  if (target.name == kForbidden) {
    report.what = LookReported::What::kRefused;
  } else if (world_.shows(target.name)) {
    report.what = LookReported::What::kThere;
    report.found = {{"key", target.name}};
  } else {
    report.message = "not there";
  }
  world_.saw(report.what == LookReported::What::kNotYet ? Sight::kLookedInVain : Sight::kLookFound);
  const Duration every = found->second.every;
  if (report.what != LookReported::What::kNotYet) looks_.erase(found);
  if (report.what == LookReported::What::kNotYet) look_after(target, every, order);
  post(std::move(report));
}

/// As the looker does: for ever, and it tells of what changed.
void Scheduler::list(const LookTarget& target, Looked& looked) {
  look_after(target, looked.every, looked.order);
  std::vector<SeenObject> objects = world_.dropped();
  if (looked.listed == objects) return;
  looked.listed = objects;
  LookReported report{.target = target, .what = LookReported::What::kListed, .found = {}, .message = ""};
  report.objects = std::move(objects);
  post(std::move(report));
}

void Scheduler::look_up(CacheLookup lookup) {
  const std::uint64_t serial = lookup.serial;
  lookups_.emplace(serial, std::move(lookup));
  world_.time.after(1ms + world_.up_to(300ms), [this, serial] {
    const auto due = lookups_.find(serial);
    if (due == lookups_.end()) return;
    if (world_.plan.slow) return look_at_objects(serial);
    post(found(due->second));
    lookups_.erase(due);
  });
}

/// The store was asked before; whatever is committed by now, the answer does not know.
void Scheduler::look_at_objects(std::uint64_t serial) {
  known_[serial] = support::find_result(world_.store.tables(), lookups_.at(serial));
  world_.time.after(1ms + world_.up_to(500ms), [this, serial] {
    const auto due = lookups_.extract(serial);
    auto known = known_.extract(serial);
    if (due && known) post(found(due.mapped(), std::move(known.mapped())));
  });
}

CacheLooked Scheduler::found(const CacheLookup& lookup) {
  return found(lookup, support::find_result(world_.store.tables(), lookup));
}

CacheLooked Scheduler::found(const CacheLookup& lookup, KnownResult known) {
  const auto head = [this](const std::string& key) { return world_.objects.head(key); };
  const auto read = [this](const OutputObject& object) { return read_value_object(world_.objects, object); };
  return check_result(head, read, lookup, std::move(known));
}

/// As the loop does where answers come at once: many of a chain before the next commit.
void Scheduler::follow_results(std::vector<Event>& events) {
  const auto is_result = [](const Event& event) { return std::holds_alternative<CacheLooked>(event); };
  const bool only_results = !events.empty() && std::all_of(events.begin(), events.end(), is_result);
  if (!only_results || world_.chance.one_in(2)) return;
  while (!events.empty()) {
    const std::vector<CacheLookup> lookups = engine_->follow_results(events, now());
    events.clear();
    for (const CacheLookup& lookup : lookups) events.emplace_back(found(lookup));
    if (!events.empty()) world_.saw(Sight::kResultsFollowed);
    if (world_.chance.one_in(4)) return;
  }
}

void Scheduler::bring(const WantedDag& wanted) {
  const std::uint32_t life = epoch_;
  world_.time.after(1ms + world_.up_to(300ms), [this, wanted, life] {
    if (!alive_ || epoch_ != life) return;
    std::array<std::uint8_t, 10> random{};
    for (std::uint8_t& byte : random) byte = static_cast<std::uint8_t>(world_.chance.number(256));
    DagBrought brought{wanted.key, wanted.attempt, world_.child.dag, RunId::make(world_.wall(), random)};
    if (wanted.dag != kChild) brought.dag = fail(ErrorCode::kNotFound, "the scheduler has no DAG " + wanted.dag);
    if (world_.chance.one_in(8)) post(DagBrought(brought));  // Asked for twice, say.
    post(std::move(brought));
  });
}

/// As the notifier does, to people who now and then do not answer.
void Scheduler::notify(const NotificationRow& row) {
  notices_[row.id] = row.tries;
  world_.time.after(1ms + world_.up_to(2s), [this, row] {
    const auto due = notices_.extract(row.id);
    if (!due) return;
    NotificationChange change{.id = row.id, .tries = due.mapped() + 1};
    if (change.tries < 3 && world_.chance.one_in(4)) {
      change.told = "nobody answered";
      NotificationRow again = row;
      again.tries = change.tries;
      notify(again);
    } else {
      world_.laws.notified(row.id);
      change.state = NotificationState::kSent;
    }
    post(NotificationsTold{{change}});
  });
}

// ---- The publisher ----

void Scheduler::begin(Errand errand, Duration rest) {
  const std::uint64_t number = ++last_errand_;
  errands_.emplace(number, std::move(errand));
  world_.time.after(rest + 1ms + world_.up_to(300ms), [this, number] { carry_out(number); });
}

/// One try of an errand. The process may die between any two of its requests.
void Scheduler::carry_out(std::uint64_t number) {
  const auto found = errands_.find(number);
  if (found == errands_.end()) return;
  if (paused_) {
    world_.time.after(100ms, [this, number] { carry_out(number); });
    return;
  }
  Errand errand = std::move(found->second);
  errands_.erase(found);
  const bool dies = world_.happens(Fault::kCrashAmongObjects);
  if (dies) world_.objects.die_after(1 + world_.chance.number(3));
  ErrandOutcome outcome = chappe::carry_out(world_.objects, errand);
  const bool dead = dies && world_.objects.died();
  world_.objects.live();
  if (dead) return die();
  if (outcome.report) post(std::move(*outcome.report));
  if (outcome.again_after) {
    world_.saw(Sight::kPublishRested);
    begin(std::move(errand), *outcome.again_after);
  }
}

}  // namespace chappe::simulation
