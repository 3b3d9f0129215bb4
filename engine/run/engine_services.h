/// \file
/// Services: tasks that stay up while those that depend on them run. Private to engine/run.
///
///   a service is ready --> those that depend on it may start; its address is among its outputs
///   it ends before them --> it failed; by its retries it starts anew, and who has not started waits for it again
///   all of them have ended --> it is stopped, and that is its success
///
/// What a trigger rule says is about other tasks: a service that a task depends on must be ready, whatever the rule.
/// That it is ready is recorded with its address; that it is to be stopped follows from the states of others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/run/events.h"
#include "engine/run/live_run.h"

namespace chappe {

struct EngineState;

class EngineServices {
 public:
  explicit EngineServices(EngineState& state) : state_(state) {}

  // ---- Who depends on services ----
  /// True: these instances, which are ready but for this, wait for a service; or they have ended, as there will be
  /// none.
  bool holds(LiveRun& run, std::uint32_t task, ReadyRange which);
  /// True: it is a service that is ready but for others, and nobody needs it; it has ended if it had not begun.
  bool is_needless(LiveRun& run, std::uint32_t task, ReadyRange which);
  /// As holds(), of one that has its turn.
  bool holds_back(LiveRun& run, std::uint32_t index);
  /// "service db to be ready"; "": it waits for none.
  static std::string explain(const LiveRun& run, std::uint32_t task);
  /// What keeps one up that runs; "": it is no service.
  static std::string explain_up(const LiveRun& run, std::uint32_t index);

  // ---- Services ----
  /// Requires: the instance runs as this attempt, and its task is a service.
  void take_in(LiveRun& run, std::uint32_t index, const AttemptStarted& event);
  /// The run is known again, or goes on: what its rows say.
  void adopt(LiveRun& run);
  /// An instance has ended. Cost: O(1) where its run has no services.
  void note_end(LiveRun& run, std::uint32_t index);
  /// Ends of many instances may have been missed; and a person may have said how a service ended. Tasks may be to be
  /// judged afterwards.
  void look_at_all(LiveRun& run);
  /// A worker gave it back, perhaps because it was told to stop it.
  void look_at_returned(LiveRun& run, std::uint32_t index);
  /// Instances came, or are to run again.
  static void forget_holders(LiveRun& run);
  /// Its attempt is over because of that, whatever it came to.
  bool ends_well(LiveRun& run, std::uint32_t index) const;
  static bool is_ready(const LiveRun& run, std::uint32_t index);
  /// Those that must run again for those that are chosen. Errors: kConflict: one of them is being stopped.
  Result<void> add_needed(LiveRun& run, std::vector<std::uint32_t>& chosen) const;

 private:
  static const InstanceState* missing(const LiveRun& run, std::uint32_t task, std::uint32_t& service);
  static bool is_done(LiveRun& run, std::uint32_t index);
  void give_up(LiveRun& run, std::uint32_t index, std::uint32_t service);
  void give_up_ready(LiveRun& run, std::uint32_t service);
  void let_go(LiveRun& run, std::uint32_t task);
  void tell(LiveRun& run, std::uint32_t service);
  void stop_if_done(LiveRun& run, std::uint32_t service);

  EngineState& state_;
};

}  // namespace chappe
