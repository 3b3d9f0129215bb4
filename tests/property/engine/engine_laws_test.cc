// The engine's laws, over DAGs and histories by chance. A failure prints its seed: CHAPPE_SEED=N CHAPPE_CASES=1 tells
// the same history again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "tests/support/dag_builder.h"
#include "tests/support/law_checker.h"
#include "tests/support/random_dag.h"

namespace chappe {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using support::Chance;
using support::EngineWorld;
using support::WorkerSide;

constexpr std::uint32_t kRunsMax = 5;
constexpr int kStepsMax = 120;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// One history: everything that may go wrong does, until heal() is called.
class History {
 public:
  explicit History(std::uint64_t seed)
      : chance_(seed), world_({.seed = seed, .pools = {{"a", 1}, {"b", 2}}}), laws_(world_) {
    for (const char* name : {"w1", "w2", "w3"}) {
      WorkerHello& hello = world_.worker(name).hello;
      hello.prefetch = chance_.number(3);
      hello.noop_depth = 2 + chance_.number(3);
    }
  }

  void suffer() {
    for (int i = 0; i < kStepsMax && !testing::Test::HasFailure(); ++i) happen();
  }

  /// No more faults: every run must end, in bounded time.
  void heal() {
    for (auto& [name, worker] : world_.workers()) {
      worker.cut = worker.silent = false;
      step({world_.join(worker)});
    }
    constexpr int kRoundsMax = 600;
    for (int i = 0; i < kRoundsMax && world_.engine().live_runs() > 0 && !testing::Test::HasFailure(); ++i) {
      for (auto& [name, worker] : world_.workers()) finish_all(worker);
      publish_all();
      pass(seconds(10));
    }
    EXPECT_EQ(world_.engine().live_runs(), 0u) << "a run does not end though nothing goes wrong any more";
    for (auto& [name, worker] : world_.workers()) finish_all(worker);
    laws_.check_quiet();
  }

 private:
  void happen() {
    switch (chance_.number(20)) {
      case 0:
        return submit();
      case 1:
        return person();
      case 2:
        return worker_comes();
      case 3:
        return trouble(world_.worker(any_worker()));
      case 4:
        return die();
      case 5:
        return stale();
      case 6:
        return publish_some();
      case 7:
      case 8:
      case 9:
        return pass(chance_.one_in(4) ? Duration(seconds(chance_.number(120))) : milliseconds(chance_.number(3000)));
      default:
        return work(world_.worker(any_worker()));
    }
  }

  std::string any_worker() { return "w" + std::to_string(1 + chance_.number(3)); }

  Effects step(std::vector<Event> events) {
    Effects effects = world_.step(std::move(events));
    see(effects);
    return effects;
  }
  void see(const Effects& effects) {
    for (const PublishAssets& each : effects.publish) publishing_.push_back(each);
    laws_.check(effects);
  }
  void pass(Duration duration) {
    world_.pass(duration, [&](const Effects& effects) { see(effects); });
  }

  void submit() {
    if (runs_.size() >= kRunsMax) return;
    DagPtr dag = support::random_dag(chance_, 7);
    if (chance_.one_in(3)) dag = support::with_hooks(chance_, dag);
    RunRequested event = world_.request(dag);
    runs_.push_back(event.id);
    step({event});
  }

  void person() {
    if (runs_.empty()) return;
    const RunId run = chance_.pick(runs_);
    if (!stored(run)) return;
    if (chance_.one_in(2)) {
      step({CancelRequested{.run = run, .requested_by = "ann"}});
    } else {
      step({world_.retry(run, chance_.one_in(2) ? std::vector<std::string>{} : std::vector<std::string>{"t0"})});
    }
  }

  /// A crash may have taken the request with it.
  bool stored(const RunId& run) {
    for (const auto& [seq, row] : world_.store().tables().runs) {
      if (row.id == run) return true;
    }
    return false;
  }

  void worker_comes() {
    WorkerSide& worker = world_.worker(any_worker());
    if (chance_.one_in(3)) {
      worker.held.clear();
      worker.hello.incarnation = std::string(30, 'a') + std::to_string(10 + ++incarnations_ % 90);
    }
    worker.cut = worker.silent = false;
    step({world_.join(worker)});
  }

  void trouble(WorkerSide& worker) {
    if (!worker.connection) return;
    switch (chance_.number(5)) {
      case 0:
        worker.silent = true;
        return;
      case 1:
        worker.cut = true;
        return;
      case 2:
        step({WorkerDraining{worker.connection}});
        return;
      case 3:
        worker.held.clear();
        step({WorkerLeft{std::exchange(worker.connection, {})}});
        return;
      default:
        if (!worker.held.empty())
          worker.held.erase(worker.held.begin());  // It forgets one: a bug of its own, or a kill.
        step({world_.heartbeat(worker)});
    }
  }

  void die() {
    std::vector<Event> last;
    WorkerSide& worker = world_.worker(any_worker());
    if (worker.connection && !worker.held.empty()) last.push_back(end_of(worker, worker.held.begin()->second));
    switch (chance_.number(3)) {
      case 0:
        world_.restart();
        break;
      case 1:
        world_.die_before_sending(last);
        break;
      default:
        world_.die_before_committing(last);
    }
    publishing_.clear();
    step({});
  }

  /// News of what is over: whatever it is, it changes nothing.
  void stale() {
    if (said_.empty()) return;
    Event event = chance_.pick(said_);
    auto* finished = std::get_if<AttemptFinished>(&event);
    if (finished == nullptr) return;
    for (const auto& [name, worker] : world_.workers()) {
      if (worker.held.contains(finished->what.attempt)) return;  // It is news yet.
      if (worker.connection && !worker.cut) finished->connection = worker.connection;
    }
    const auto row = world_.store().tables().tasks.find(finished->what.key);
    if (row != world_.store().tables().tasks.end() && row->second.attempt == finished->what.attempt &&
        holds_attempt(row->second.state)) {
      return;
    }
    pass(Duration(0));
    const Effects effects = step({event});
    EXPECT_TRUE(effects.persist.empty()) << "old news changed something";
  }

  void publish_some() {
    if (publishing_.empty()) return;
    const PublishAssets done = chance_.pick(publishing_);
    if (chance_.one_in(4)) {
      step({PublishFailed{done.key, done.attempt, "no"}});
    } else {
      step({published(done)});
    }
  }
  void publish_all() {
    for (const PublishAssets& done : std::exchange(publishing_, {})) step({published(done)});
  }
  static Event published(const PublishAssets& done) {
    AssetsPublished event{done.key, done.attempt, {}};
    for (const auto& upload : done.uploads) event.assets.push_back({.id = upload.id});
    return event;
  }

  void work(WorkerSide& worker) {
    if (!worker.connection || worker.cut || worker.held.empty()) return;
    auto it = worker.held.begin();
    std::advance(it, chance_.number(static_cast<std::uint32_t>(worker.held.size())));
    const Assignment what = it->second;
    const bool begun = begun_.contains(what.attempt);
    if (!begun && chance_.one_in(8)) {
      worker.held.erase(it);
      step({AttemptReturned{worker.connection, {what.key, what.attempt}}});
    } else if (!begun && chance_.one_in(2)) {
      begin(what);
      step({world_.started(worker, what)});
    } else {
      step({end_of(worker, what)});
    }
  }

  void begin(const Assignment& what) {
    if (begun_.insert(what.attempt).second) laws_.begins(what);
  }

  /// The end of an attempt; the same one whenever it is said again.
  Event end_of(WorkerSide& worker, const Assignment& what) {
    begin(what);
    for (const Event& event : said_) {
      const auto* finished = std::get_if<AttemptFinished>(&event);
      if (finished == nullptr || finished->what.attempt != what.attempt) continue;
      AttemptFinished again = *finished;
      again.connection = worker.connection;
      return again;
    }
    said_.push_back(world_.finished(worker, what, end_by_chance(worker, what), outputs_by_chance(what)));
    return said_.back();
  }

  AttemptEnd end_by_chance(const WorkerSide& worker, const Assignment& what) {
    if (worker.asked_to_cancel.contains(what.attempt)) return {.reason = Reason::kCancelled};
    constexpr Reason kEnds[] = {Reason::kExitCode, Reason::kSignal, Reason::kOom, Reason::kArtifactIo,
                                Reason::kTimeout};
    if (healed_ || !chance_.one_in(3)) return {};
    const Reason reason = kEnds[chance_.number(5)];
    return {.reason = reason, .exit_code = reason == Reason::kExitCode ? 1 : 0};
  }

  AttemptOutputs outputs_by_chance(const Assignment& what) {
    AttemptOutputs outputs;
    const auto prefix = attempt_prefix(what.run->dag, what.run->id, what.task, what.map_key, what.attempt);
    for (const ResolvedOutput& output : what.work->outputs) {
      outputs.objects.push_back(
          {.name = output.name, .key = prefix + output.name, .size = 1, .asset_uri = output.asset_uri});
    }
    return outputs;
  }

  void finish_all(WorkerSide& worker) {
    healed_ = true;
    while (worker.connection && !worker.held.empty() && !testing::Test::HasFailure()) {
      const Assignment what = worker.held.begin()->second;
      step({end_of(worker, what)});
      worker.held.erase(what.attempt);
    }
  }

  Chance chance_;
  EngineWorld world_;
  support::LawChecker laws_;
  std::vector<RunId> runs_;
  std::vector<Event> said_;
  std::vector<PublishAssets> publishing_;
  std::set<AttemptId> begun_;
  std::uint32_t incarnations_ = 0;
  bool healed_ = false;
};

TEST(EngineLaws, HoldInEveryHistoryAndEveryRunEndsWhenFaultsStop) {
  const std::uint64_t first = setting("CHAPPE_SEED", 1);
  const std::uint64_t cases = setting("CHAPPE_CASES", 80);
  for (std::uint64_t seed = first; seed < first + cases; ++seed) {
    History history(seed);
    history.suffer();
    if (!HasFailure()) history.heal();
    if (HasFailure()) FAIL() << "seed " << seed << ": CHAPPE_SEED=" << seed << " CHAPPE_CASES=1 tells it again";
  }
}

}  // namespace
}  // namespace chappe
