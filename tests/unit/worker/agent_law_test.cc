// Laws of the agent under any order of events, checked from outside. Each seed is one life of a worker; a failure names
// its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "worker/agent/agent.h"

namespace chappe::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kCapacity = 3000;

/// A scheduler, an executor and a link that do anything that they may, in any order.
class World {
 public:
  explicit World(std::uint32_t seed) : chance_(seed), agent_(hello()) {
    agent_.connected(now());
    act();
    WorkerSend welcome;
    welcome.welcome = WorkerSend::Welcome{{1}, 1, 5s, 60s};
    agent_.take(welcome, now());
  }

  void live(int events) {
    for (int i = 0; i < events; ++i) {
      one_event();
      act();
    }
  }

  /// From now on everything goes well: all must come to an end.
  void settle() {
    healthy_ = true;
    for (int i = 0; i < 400 && agent_.held() > 0; ++i) {
      time_ = time_ + 1ms;
      end_some_program();
      end_some_staging();
      answer_withdrawals();
      acknowledge();
      if (i % 50 == 0) agent_.connected(now());  // What was lost with a connection is told again.
      act();
      time_ = time_ + 300ms;
      agent_.take({}, now());
      act();
    }
    EXPECT_EQ(agent_.held(), 0U);
    EXPECT_EQ(agent_.running(), 0U);
    EXPECT_EQ(agent_.waiting(), 0U);
    for (const auto& [attempt, fate] : assigned_) {
      EXPECT_TRUE(fate.finished || fate.returned || fate.forgotten) << "attempt " << attempt.value;
    }
  }

 private:
  struct Fate {
    bool finished = false, returned = false, forgotten = false, started = false;
    std::uint32_t cpu = 0;
  };
  struct Program {
    std::vector<AttemptId> line;  ///< Behind it.
  };

  static WorkerHello hello() {
    WorkerHello hello;
    hello.capacity = {kCapacity, 0, 0};
    hello.prefetch = 8;
    return hello;
  }
  Now now() const { return {{1'000'000 + time_.us}, time_}; }
  std::uint32_t pick(std::uint32_t count) {
    return std::uniform_int_distribution<std::uint32_t>(0, count - 1)(chance_);
  }
  HeldAttempt held(AttemptId attempt) const { return {{{1}, static_cast<std::uint32_t>(attempt.value)}, attempt}; }

  void one_event() {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        return assign();
      case 3:
      case 4:
        return end_some_program();
      case 5:
        return end_some_staging();
      case 6:
        return answer_withdrawals();
      case 7:
        return acknowledge();
      case 8:
        return cancel();
      case 9:
        time_ = time_ + (pick(20) == 0 ? Duration(50s) : Duration(pick(30'000)));
        return;
      case 10:
        if (pick(4) == 0) agent_.connected(now());
        return;
      default:
        link_ready_ = pick(3) != 0;
        return;
    }
  }

  void assign() {
    WorkerSend send;
    for (std::uint32_t i = pick(4); i > 0; --i) {
      auto work = std::make_shared<ResolvedWork>();
      work->kind = pick(8) == 0 ? TaskKind::kNoop : TaskKind::kRun;
      work->resources.cpu_milli = 500 * (1 + pick(2));
      work->kill_grace = 1s;
      if (pick(6) == 0) work->timeout = Duration(5ms);
      Assignment assignment;
      assignment.attempt = {++last_};
      assignment.key = held(assignment.attempt).key;
      assignment.work = work;
      assigned_[assignment.attempt].cpu = work->resources.cpu_milli;
      send.assign.push_back(assignment);
    }
    agent_.take(send, now());
  }

  AttemptId some_program() {
    if (programs_.empty()) return {};
    return std::next(programs_.begin(), pick(static_cast<std::uint32_t>(programs_.size())))->first;
  }

  void end_some_program() {
    const AttemptId attempt = some_program();
    if (!attempt) return;
    std::vector<AttemptId> line = std::move(programs_[attempt].line);
    programs_.erase(attempt);
    if (!line.empty()) {  // The next has started, whatever was asked of it meanwhile.
      const AttemptId next = line.front();
      line.erase(line.begin());
      withdrawing_.erase(next);
      programs_[next].line = std::move(line);
      assigned_[next].started = true;
    }
    agent_.program_ended(attempt, now());
    staging_.insert(attempt);
  }

  void end_some_staging() {
    if (staging_.empty()) return;
    const AttemptId attempt = *staging_.begin();
    staging_.erase(attempt);
    AttemptEnd end;
    end.reason = pick(2) == 0 ? Reason::kNone : Reason::kExitCode;
    (void)agent_.ended(attempt, end, nullptr, now());
  }

  void answer_withdrawals() {
    for (const AttemptId attempt : std::exchange(withdrawing_, {})) {
      for (auto& [front, program] : programs_) std::erase(program.line, attempt);
      agent_.withdrawn(attempt, now());
    }
  }

  void acknowledge() {
    WorkerSend send;
    for (const auto& [attempt, fate] : assigned_) {
      if (fate.finished && (healthy_ || pick(2) == 0)) send.acknowledged.push_back(attempt);
    }
    agent_.take(send, now());
  }

  void cancel() {
    if (last_ == 0) return;
    const AttemptId attempt{1 + pick(static_cast<std::uint32_t>(last_))};
    const bool forget = pick(2) == 0;
    assigned_[attempt].forgotten = assigned_[attempt].forgotten || forget;
    WorkerSend send;
    send.cancel = {{held(attempt), forget, Reason::kCancelled}};
    agent_.take(send, now());
  }

  /// Carries the orders out, and checks what they must never be.
  void act() {
    const AgentOrders orders = agent_.orders(now(), healthy_ || link_ready_);
    for (const AttemptId attempt : orders.withdraw) {
      for (const auto& [front, program] : programs_) {
        if (std::ranges::find(program.line, attempt) != program.line.end()) withdrawing_.insert(attempt);
      }
    }
    for (const auto& assignment : orders.start) {
      start(assignment->attempt);
      programs_[assignment->attempt] = {};
      agent_.program_started(assignment->attempt, now());
    }
    for (const LineUpOrder& order : orders.line_up) {
      const auto found = std::ranges::find_if(programs_, [&](const auto& each) {
        return (each.second.line.empty() ? each.first : each.second.line.back()) == order.front;
      });
      ASSERT_NE(found, programs_.end()) << "lined up behind nothing, or two in one place";
      EXPECT_EQ(assigned_[order.front].cpu, assigned_[order.assignment->attempt].cpu);
      found->second.line.push_back(order.assignment->attempt);
    }
    std::uint32_t used = 0;
    for (const auto& [attempt, program] : programs_) used += assigned_[attempt].cpu;
    EXPECT_LE(used, kCapacity);
    for (const AttemptFinished& result : orders.finished) note(result.what.attempt, &Fate::finished);
    for (const AttemptReturned& each : orders.returned) note(each.what.attempt, &Fate::returned);
  }

  void start(AttemptId attempt) {
    Fate& fate = assigned_.at(attempt);
    EXPECT_FALSE(fate.started) << "attempt " << attempt.value << " started twice";
    EXPECT_FALSE(fate.finished || fate.returned);
    fate.started = true;
  }

  void note(AttemptId attempt, bool Fate::*what) {
    Fate& fate = assigned_.at(attempt);
    EXPECT_FALSE(what == &Fate::returned && fate.started) << "attempt " << attempt.value << " ran and was returned";
    fate.*what = true;
    EXPECT_FALSE(fate.finished && fate.returned) << "attempt " << attempt.value;
    EXPECT_FALSE(programs_.contains(attempt)) << "attempt " << attempt.value << " still runs";
  }

  std::mt19937 chance_;
  Agent agent_;
  MonoTime time_{1'000'000};
  bool link_ready_ = true;
  bool healthy_ = false;
  std::uint64_t last_ = 0;
  std::map<AttemptId, Fate> assigned_;
  std::map<AttemptId, Program> programs_;
  std::set<AttemptId> staging_, withdrawing_;
};

TEST(AgentLaws, HoldWhateverHappensAndAllComesToAnEnd) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    world.live(150);
    world.settle();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace chappe::agent
