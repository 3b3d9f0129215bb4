/// \file
/// What one worker decides: which attempts it holds, which run, which must stop, what the scheduler is told and when.
///
///              assign                        room
///   (not held) ------> waiting ----------------------------> running ----------------------> ended --acked--> gone
///                 |     |  |  \--lined up--front ended----------^  |  \--forgotten--> gone
///                 |     |  \--250 ms without room: returned--> gone
///                 |     \--cancel--------------------------------------------------------> ended
///                 \--no-op----------------------------------------------------------------> ended
///
/// While programs are short, waiting attempts are lined up behind each running one and take over its room in turn:
/// about as many as end within kLineWork.
///
/// Pure: no clock, no I/O, no threads; time is an argument. Everything the scheduler says may come twice, late, or from
/// a scheduler that is not one any more; everything said to it may be lost with the connection. So a result is kept
/// until it is acknowledged and told again on every connection, and every heartbeat lists all that is held.
///
/// The self-fence: a worker that hears nothing stops its tasks before the scheduler gives them to somebody else. The
/// scheduler waits for the whole lease; tasks get SIGTERM at 75 % of it and SIGKILL at 92 %.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/run/events.h"

namespace chappe::agent {

inline constexpr std::size_t kHeldMax = 20'000;                           ///< Attempts; as many as a hello can name.
inline constexpr Duration kStartedAfter = std::chrono::milliseconds(20);  ///< Shorter attempts are told by their end.
inline constexpr Duration kShortProgram = std::chrono::milliseconds(20);  ///< Worth having the next one ready.
inline constexpr Duration kLineWork = std::chrono::milliseconds(20);      ///< That a line behind a program takes.
inline constexpr std::size_t kLineMax = 32;                               ///< Attempts behind a program.
inline constexpr Duration kReturnAfter = std::chrono::milliseconds(250);  ///< Waiting while no room comes free.
inline constexpr Duration kWaitingMax = std::chrono::seconds(10);         ///< Waiting at all.
/// Results of programs that are shorter wait for each other, while there is enough to do.
inline constexpr Duration kResultDelayMax = std::chrono::milliseconds(40);
inline constexpr Duration kFirstAttemptMax = std::chrono::minutes(5);  ///< That a worker for one attempt waits for it.
inline constexpr Duration kFarewellMax = std::chrono::seconds(5);      ///< For the last acknowledgements.

/// Stop an attempt's processes: SIGTERM, and after `grace` SIGKILL. Its ended() still comes.
struct StopOrder {
  AttemptId attempt;
  Duration grace{};
  bool operator==(const StopOrder&) const = default;
};

/// Have an attempt ready, to start in the moment when the program of `front`, which runs or is lined up itself, ends:
/// it takes over that one's room.
struct LineUpOrder {
  std::shared_ptr<const Assignment> assignment;
  AttemptId front;
};

struct HeartbeatOrder {
  std::uint64_t batch_seen = 0;
  std::vector<HeldAttempt> held;
};

/// What must be done now, in the order of the fields. All messages together are one hello, one report and one
/// heartbeat.
struct AgentOrders {
  /// Take back what was lined up, unless it has started; withdrawn() or program_ended() of its front tells which.
  std::vector<AttemptId> withdraw;
  std::vector<StopOrder> stop;
  std::vector<std::shared_ptr<const Assignment>> start;
  std::vector<LineUpOrder> line_up;
  std::optional<WorkerHello> hello;
  std::vector<AttemptStarted> started;
  std::vector<AttemptFinished> finished;
  std::vector<AttemptReturned> returned;
  std::optional<HeartbeatOrder> heartbeat;
  bool goodbye_draining = false;
  bool goodbye = false;  ///< Then leave: nothing is left to do.
  /// Call orders() again not later than this, or when the link becomes ready.
  std::optional<MonoTime> wake_at;
};

/// When tasks must end without further word from the scheduler.
struct FenceTimes {
  MonoTime terminate_at;
  MonoTime kill_at;
  bool operator==(const FenceTimes&) const = default;
};

class Agent {
 public:
  /// `self.held` is filled in by the agent. `one_attempt`: it takes one, whatever that needs, and leaves.
  explicit Agent(WorkerHello self, bool one_attempt = false);

  /// The link came up, perhaps to another life of the scheduler.
  void connected(Now now);
  /// The scheduler said something.
  void take(const WorkerSend& message, Now now);
  /// A started attempt has its inputs and runs its program: its timeout begins.
  void program_started(AttemptId attempt, Now now);
  /// A service takes calls at this address. Requires: its program was started.
  void service_ready(AttemptId attempt, std::string host, std::uint16_t port);
  /// Nothing of its program is left: its room is free, while its outputs are staged. What was lined up behind it runs.
  void program_ended(AttemptId attempt, Now now);
  /// A lined up attempt was taken back before it started.
  void withdrawn(AttemptId attempt, Now now);
  /// A started attempt is over, outputs staged; or a lined up one could not be made ready. False: nobody wants the
  /// outputs; discard them.
  bool ended(AttemptId attempt, AttemptEnd end, std::shared_ptr<const AttemptOutputs> outputs, Now now);
  /// True while the attempt's result is wanted: worth staging outputs for.
  bool wanted(AttemptId attempt) const;
  /// Takes nothing new, finishes what runs, at most for a lease. Twice: stops what runs at once.
  void drain(Now now);
  /// The machine is wanted for something else: what runs is stopped, with the grace that it has, and told to be lost.
  void evict(Now now);

  /// What to do now. `link_ready`: the link takes messages; otherwise all that would be told is kept.
  /// Cost: O(what changed), and O(held) when a heartbeat or a hello is due.
  AgentOrders orders(Now now, bool link_ready);

  /// Nothing before the first welcome.
  std::optional<FenceTimes> fence() const;
  /// Attempts that started and are not over.
  std::size_t running() const { return running_.size(); }
  /// Attempts that have not started, lined up or not.
  std::size_t waiting() const { return waiting_.size() + lined_up_; }
  std::size_t held() const { return held_.size(); }

 private:
  enum class Phase : std::uint8_t { kWaiting, kRunning, kEnded };

  /// Somebody wants it stopped; the first to say so is the reason.
  struct Doom {
    Reason reason = Reason::kCancelled;
    std::string message;
    bool forget = false;
  };

  /// What only attempts with a process need to remember.
  struct Process {
    std::shared_ptr<const Assignment> assignment;
    MonoTime since;                         ///< Waiting or running.
    std::optional<MonoTime> program_since;  ///< Its program runs.
    std::optional<MonoTime> deadline;       ///< A service's is about being ready until it is.
    std::string host;                       ///< Of a service that is ready.
    std::uint16_t port = 0;                 ///< Likewise; 0: it is not.
    bool has_room = false;
    bool started_told = false;
    std::optional<Doom> doom;
    AttemptId front;  ///< Next before it in its line; 0: it is in none.
    AttemptId next;   ///< Next behind it; 0: nothing.
    bool withdrawing = false;

    void condemn(Doom reason);  ///< The first reason stays.
    /// Of this worker: neither in a container nor a request nor a check. A service is no program either: it lasts.
    bool is_program() const {
      const ResolvedWork& work = *assignment->work;
      return work.image.empty() && work.http == nullptr && work.check == nullptr && !work.service;
    }
  };

  struct Held {
    InstanceKey key;
    Phase phase = Phase::kWaiting;
    WallTime at;                                    ///< A no-op's start and end; a process's start.
    std::unique_ptr<Process> process;               ///< Until it ended.
    std::unique_ptr<const AttemptFinished> result;  ///< When it ended; null: a no-op that succeeded.
  };
  using HeldMap = std::unordered_map<AttemptId, Held>;

  bool take_welcome(const WorkerSend& message);
  void take_assignment(const Assignment& assignment, Now now);
  void take_cancel(const CancelAttempt& cancel, Now now);
  void cancel_running(Held& held, const CancelAttempt& cancel);
  void cancel_lined_up(Held& held, const CancelAttempt& cancel);
  void finish(HeldMap::iterator held, AttemptFinished result, Now now);
  void give_back(AttemptId attempt);
  void stop(AttemptId attempt, Held& held, Doom doom, Duration grace);
  void stop_all(const std::string& message, Duration grace_max);

  void enforce_fence(MonoTime now);
  void enforce_timeouts(MonoTime now);
  void plan_deadline(Process& process);
  void enforce_drain(Now now);
  void leave_after_one(Now now);
  void return_waiting(MonoTime now);
  void start_waiting(Now now, AgentOrders& orders);
  void begin(AttemptId attempt, Held& held, Now now);
  void line_up(MonoTime now, AgentOrders& orders);
  std::size_t line_length() const;
  AttemptId last_in_line(AttemptId front, std::size_t length_max) const;
  AttemptId take_next_for(const Process& front);
  void take_over(Process& front, Now now);
  void leave_line(Process& process);
  void withdraw(AttemptId attempt, Process& process);
  void withdraw_line(const Process& front);
  void withdraw_late(MonoTime now);
  bool fits(const Resources& need) const;
  void tell(Now now, AgentOrders& orders);
  void tell_started(MonoTime now, AgentOrders& orders);
  void tell_services_again();
  void tell_finished(MonoTime now, AgentOrders& orders);
  bool results_due(MonoTime now) const;
  void tell_all_results_again();
  AttemptFinished result_of(AttemptId attempt, const Held& held) const;
  std::vector<HeldAttempt> held_list() const;
  bool may_leave(MonoTime now, bool link_ready) const;
  MonoTime farewell_over() const;
  void free_room(Process& process, MonoTime now);
  void plan_wake(MonoTime now, bool link_ready, AgentOrders& orders) const;
  void plan_waiting(AgentOrders& orders) const;
  void plan_messages(MonoTime now, AgentOrders& orders) const;

  WorkerHello self_;
  const bool one_attempt_;
  std::optional<MonoTime> began_;  ///< With `one_attempt`.
  HeldMap held_;
  std::deque<AttemptId> waiting_;  ///< In no line; in order of arrival.
  bool may_fit_ = false;           ///< Something waits or came free since it was last looked what fits.
  std::vector<AttemptId> running_;
  Resources used_{0, 0, 0};
  MonoTime room_came_free_;

  std::vector<AttemptId> results_;  ///< To be told, in order.
  bool results_urgent_ = false;
  MonoTime results_since_;  ///< When the oldest of them came.
  std::vector<AttemptReturned> returned_;
  std::deque<AttemptId> to_tell_started_;
  std::vector<StopOrder> stops_;
  std::vector<AttemptId> withdrawals_;
  std::size_t lined_up_ = 0;                ///< In all lines.
  std::optional<Duration> program_length_;  ///< A running average of how long programs take here.
  std::optional<MonoTime> next_deadline_;

  AttemptId newest_assigned_;  ///< Attempt ids only grow.
  bool connected_ = false;
  bool hello_due_ = false;
  std::uint64_t hellos_ = 0;
  bool stale_scheduler_ = false;  ///< What this connection says comes from a scheduler that was replaced.
  std::uint32_t epoch_ = 0;
  std::uint64_t batch_seen_ = 0;
  Duration heartbeat_ = std::chrono::seconds(5);
  std::optional<Duration> lease_;
  MonoTime heartbeat_due_;
  MonoTime results_again_at_;  ///< Unacknowledged for this long: told again.
  MonoTime contact_;           ///< The scheduler spoke.
  bool fenced_ = false;

  bool draining_ = false;
  bool draining_told_ = false;
  bool stopping_ = false;
  bool left_ = false;
  MonoTime drain_began_;
  MonoTime drain_until_;
};

}  // namespace chappe::agent
