/// \file
/// One worker: the real agent, and around it what worker/app and worker/exec do, as values. Programs are processes of
/// their own: they go on while the agent stands still, and what waits behind one starts without being told.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/stories.h"
#include "tests/simulation/timeline.h"
#include "worker/agent/agent.h"

namespace chappe::simulation {

class World;

class Worker {
 public:
  /// `in_pod`: it takes one attempt, leaves, and never comes back.
  Worker(World& world, std::uint32_t number, bool in_pod = false);
  ~Worker();

  // ---- Life ----
  void boot();
  void crash();
  void pause(Duration time, bool machine);
  void resume();
  void drain();
  /// As a worker that is scaled away: it never comes back.
  void drain_for_good();
  /// As a pod that is being removed.
  void evict();
  /// Dies if it is of an older version; it comes back as a newer one.
  void upgrade();
  /// Dies, and never comes back.
  void retire();
  bool alive() const { return agent_ != nullptr; }
  bool standing_still() const { return paused_; }
  bool draining() const { return draining_; }
  /// The process that watches one of the programs is killed.
  void kill_some_program();

  // ---- News, from the network ----
  void connected();
  void take(const WorkerSend& send);

  // ---- For those who check ----
  std::size_t held() const { return alive() ? agent_->held() : 0; }
  std::size_t programs() const { return programs_.size(); }
  /// It has a result of the attempt that nobody acknowledged.
  bool owes(AttemptId attempt) const { return owed_.contains(attempt); }
  std::uint64_t life() const { return life_; }
  const std::string& name() const { return hello_.name; }
  const std::string& incarnation() const { return hello_.incarnation; }
  const Clock& clock() const { return clock_; }
  Features features() const { return hello_.features; }

 private:
  enum class Stage : std::uint8_t { kFetching, kLinedUp, kRunning, kStoring };
  struct Program {
    std::shared_ptr<const Assignment> assignment;
    Stage stage = Stage::kFetching;
    AttemptId behind;               ///< What is lined up behind it; 0: nothing.
    bool stopped = false;           ///< Somebody asked it to end.
    bool ended = false;             ///< Its process has; the agent may not know yet.
    std::uint64_t exit_number = 0;  ///< The planned exit that counts.
    MonoTime exits_at;
    AttemptEnd end;
    std::shared_ptr<AttemptOutputs> outputs;
    std::vector<std::string> inputs;  ///< Contents.
  };

  Now now() const;
  bool is_old() const;
  /// Something for the agent's process: at once, or when it no longer stands still. Nothing where it is gone.
  void later(Duration rest, std::function<void()> what);
  void in_process(std::uint64_t life, const std::function<void()>& what);
  void hear(const WorkerSend& send);
  void act();
  void wake_at(MonoTime at, std::uint64_t number);
  void carry_out(const agent::AgentOrders& orders);
  void tell(const agent::AgentOrders& orders);
  void tell_lies(std::vector<Event>& report);
  void leave();
  void watch_fence();
  void look_at_fence(std::uint64_t life);

  Program* find(AttemptId attempt);
  void start(const std::shared_ptr<const Assignment>& assignment);
  void line_up(const agent::LineUpOrder& order);
  void withdraw(AttemptId attempt);
  void take_back(AttemptId attempt);
  void stop(const agent::StopOrder& order);
  void fetched(AttemptId attempt);
  void read_outside(Program& program, const InputObject& object);
  void run(AttemptId attempt);
  void come_up(AttemptId attempt);
  void begin(Program& program);
  void plan_exit(Program& program, MonoTime at);
  void exit(AttemptId attempt, std::uint64_t number, std::uint64_t life);
  void end_process(Program& program);
  void exited(AttemptId attempt);
  void stored(AttemptId attempt);
  void fail(AttemptId attempt, Reason reason, const std::string& message);
  Result<void> store_outputs(Program& program);
  void over(AttemptId attempt);
  void discard(const AttemptOutputs& outputs);

  World& world_;
  const std::uint32_t number_;
  const bool in_pod_;
  Clock clock_;
  WorkerHello hello_;
  std::unique_ptr<agent::Agent> agent_;
  std::map<AttemptId, Program> programs_;
  std::uint64_t life_ = 0;
  std::uint64_t wakes_ = 0;
  std::uint64_t exits_ = 0;
  bool paused_ = false;
  bool machine_paused_ = false;
  bool draining_ = false;
  bool leaving_ = false;
  bool retired_ = false;
  bool last_life_ = false;
  std::uint64_t pauses_ = 0;
  std::uint32_t speaker_epoch_ = 0;  ///< Of whoever is at the other end.
  std::uint32_t newest_epoch_ = 0;   ///< That this life has met.
  std::set<AttemptId> owed_;
  std::vector<std::function<void()>> backlog_;
  std::optional<agent::FenceTimes> fence_;
  bool fence_watched_ = false;
};

}  // namespace chappe::simulation
