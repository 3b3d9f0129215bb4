/// \file
/// Runs programs for a worker that has threads and sockets, and so must not fork.
///
///   worker -- control --> spawner (single-threaded, forked first; forks a supervisor per slot, on demand)
///      \--- launch/end --> supervisor 1 --vfork, exec--> program --> ... whatever it starts
///      \--- launch/end --> supervisor 2 ...
///
/// Each supervisor is a subreaper that watches one program at a time: all that the program leaves behind, even after
/// setsid and a double fork, becomes the supervisor's child, and "no child left" is the end. What one attempt left can
/// never be taken for another's. If the worker dies, every supervisor kills its tree and leaves; the lock that they all
/// hold is free only when the last one is gone. If a supervisor is killed, the spawner inherits and kills its tree.
///
/// What is asked for goes out with the next flush() or dispatch(), so that one message takes all of it.
///
/// Thread: one owner for all calls but start(), which must come before the process has any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "worker/exec/fence.h"
#include "worker/exec/launch.h"

namespace chappe::exec {

inline constexpr std::size_t kSlotsMax = 1024;  ///< Programs at a time; behind each a line of others may wait.

struct SpawnerEvents {
  /// Bytes that the program wrote, stdout and stderr as they came; in order.
  std::function<void(ProgramId, std::span<const std::byte>)> output;
  /// Nothing of the program is left, and all its output was handed over.
  std::function<void(ProgramId, const ProcessEnd&)> ended;
};

class Spawner {
 public:
  /// Forks the spawner. `lock_fd` (-1: none) is kept open by it and its supervisors, and by no task.
  static Result<std::unique_ptr<Spawner>> start(int lock_fd);
  /// Everything that runs is killed; returns at once. finish() waits.
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  /// Starts a program; whether that worked is told by its end. Errors: kUnavailable: no slot, or the spawner is gone;
  /// kInvalidInput: past kLaunchBytesMax, a NUL in a text, or no program. Cost: the first programs at a time fork a
  /// supervisor each.
  Result<ProgramId> launch(const Launch& launch);
  /// Has a program wait behind `front`, which runs or waits itself, to start in the moment when nothing of that is
  /// left: it saves two wake-ups. Once `front` was told to have ended, it runs. Requires: can_wait_behind(front).
  Result<ProgramId> launch_behind(ProgramId front, const Launch& launch);
  /// True for the last program of a line that has not ended, while fewer than kLineMax wait in the line.
  bool can_wait_behind(ProgramId front) const;
  /// SIGTERM to all that runs, and SIGKILL after `grace` (0: at once). May be repeated; the sooner wins. A program that
  /// waits ends with kWithdrawn, unless it has started meanwhile. One that has ended: nothing.
  void stop(ProgramId program, Duration grace);
  /// Takes a program back that waits behind another: it ends with kWithdrawn, unless it has started meanwhile.
  void withdraw(ProgramId program);
  void flush();

  /// Readable (for poll or epoll, level-triggered) when dispatch() has something to do.
  int fd() const;
  /// Hands over what has happened; never waits. Its callbacks may call all but dispatch(). A bounded amount of output
  /// a call; more keeps fd() readable.
  void dispatch(const SpawnerEvents& events);

  /// False: the spawner itself is gone; nothing new can be launched.
  bool alive() const;
  /// Kills all that runs and waits until the last of it is gone, at most `wait`; false: it is not.
  bool finish(Duration wait);
  /// Programs end by themselves when its instants pass.
  Fence& fence();
  /// What keeps bounds on memory and processes on this machine, for people.
  const std::string& bounds() const;

 private:
  struct State;
  explicit Spawner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chappe::exec
