/// \file
/// Deadlines: by when a run should be over, and how long a task may take from when it was ready to its end, whatever
/// its attempts. Private to engine/run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/run/events.h"
#include "engine/run/live_run.h"

namespace chappe {

struct EngineState;

class EngineDeadlines {
 public:
  explicit EngineDeadlines(EngineState& state) : state_(state) {}

  // ---- Of a run: its row says when its owner was told, so that a restart does not tell it again ----
  /// It was made, begins, or is known again after a restart.
  void watch(const LiveRun& run);
  void on_timer(LiveRun& run);
  /// A run that begins was late before it had any tasks to tell.
  void tell_watchers(LiveRun& run);
  /// When; nullopt: it has none, or that says nothing any more.
  static std::optional<WallTime> due(const LiveRun& run);

  // ---- Of a task ----
  /// The instance is ready, not for the first time perhaps.
  void watch(const LiveRun& run, std::uint32_t index);
  void on_timer(LiveRun& run, std::uint32_t index, std::uint64_t token);
  bool has_passed(const LiveRun& run, std::uint32_t index) const;
  /// What an attempt came to that was stopped because of it.
  void tell(const LiveRun& run, std::uint32_t index, AttemptEnd& end) const;

 private:
  void miss(LiveRun& run, std::uint32_t index);
  static std::string told(const LiveRun& run, std::uint32_t index);
  EngineState& state_;
};

}  // namespace chappe
