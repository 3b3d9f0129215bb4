/// \file
/// Tasks with `depends_on_past`: each waits until the same task has ended well in the newest run of its DAG for an
/// earlier logical time. Private to engine/run.
///
/// Which run that is stands in the store: it is asked for when the task is ready, and again when a run is made that may
/// come between. Once the task was seen to have ended well there, it may start, whatever becomes of that run.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/run/events.h"
#include "engine/run/live_run.h"

namespace chappe {

struct EngineState;

inline constexpr std::size_t kPastAskedMax = 1'000;  ///< Tasks whose past is asked for in one step.

class EnginePast {
 public:
  explicit EnginePast(EngineState& state) : state_(state) {}

  /// True: these instances, which are ready but for this, wait until their past lets them go on.
  bool holds(LiveRun& run, std::uint32_t task, ReadyRange which);
  /// Orders what is to be looked up.
  void ask();
  void take_in(const PastLooked& event);
  /// An instance has ended: those that wait on it are told at the end of the step. Cost: O(log of those that wait).
  void note_end(const LiveRun& run, std::uint32_t index);
  bool has_ends() const { return !ends_.empty(); }
  void tell_ends();
  /// A run was made: it may be what others of its DAG depend on.
  void note_run(const RunRow& row);
  /// Nobody goes on with the run: who depends on it goes on waiting.
  void leave_alone(RunSeq run) { left_alone_.insert(run); }
  /// A running run of its DAG waits on it: with that one's place it would wait for ever.
  bool is_awaited(RunSeq run) const;
  /// The engine lets go of it. Who waits on it goes on waiting.
  void forget(const LiveRun& run);
  std::string explain(const LiveRun& run, std::uint32_t task) const;
  std::optional<MonoTime> wake_at() const { return again_at_; }

 private:
  using Waiter = std::pair<RunSeq, std::uint32_t>;  ///< A run, and the position of its task.
  using Awaited = std::pair<RunSeq, std::string>;   ///< A run, and the id of its task.
  struct Watch {
    std::set<Waiter> waiters;
    std::optional<std::uint32_t> blocker;  ///< An instance there that has not ended well; nullopt: any may be.
  };
  struct Unwell {
    std::uint32_t index = 0;
    TaskState state{};
  };

  static std::optional<Unwell> unwell(const LiveRun& run, const std::string& task, std::uint32_t from);
  void line_up(LiveRun& run, std::uint32_t task, PastWait& wait);
  PastWait* find(Waiter who);
  void wait_on(LiveRun& run, std::uint32_t task, PastWait& wait, std::uint32_t blocker);
  void show(LiveRun& run, const PastWait& wait, ReadyRange which, bool moved);
  void let_go(LiveRun& run, std::uint32_t task);
  void free_one(LiveRun& run, std::uint32_t index);
  void leave(Waiter who, const std::string& task, const PastWait& wait);
  void give_place(LiveRun& run);

  EngineState& state_;
  std::map<Awaited, Watch> watches_;
  std::map<std::string, std::set<Waiter>, std::less<>> by_dag_;  ///< All that wait or ask.
  std::deque<Waiter> line_;                                      ///< Whose past is to be asked for; of some no more.
  std::set<RunSeq> left_alone_;
  std::set<Awaited> ends_;            ///< Of the step under way.
  std::set<Waiter> unread_;           ///< Whose past could not be read, ...
  std::optional<MonoTime> again_at_;  ///< ... and when they ask again.
};

}  // namespace chappe
