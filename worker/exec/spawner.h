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
/// Thread: one owner for all calls but start(), which must come before the process has any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "worker/exec/fence.h"
#include "worker/exec/launch.h"

namespace chappe::exec {

/// A place where one program at a time runs; reused.
using Slot = std::uint32_t;
inline constexpr std::size_t kSlotsMax = 1024;

struct SpawnerEvents {
  /// Bytes that the program in `slot` wrote; in order.
  std::function<void(Slot, std::span<const std::byte>)> output;
  /// The program ended, all its output was handed over, and its slot is free again.
  std::function<void(Slot, const ProcessEnd&)> ended;
};

class Spawner {
 public:
  /// Forks the spawner. `lock_fd` (-1: none) is kept open by it and its supervisors, and by no task.
  static Result<std::unique_ptr<Spawner>> start(int lock_fd);
  /// Everything that runs is killed; returns at once. finish() waits.
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  /// Starts a program. Whether that worked is told by its end. Errors: kUnavailable: no slot, or the spawner is gone;
  /// kInvalidInput: past kLaunchBytesMax, a NUL in a text, or no program. Cost: one message; the first use of a slot
  /// forks a supervisor.
  Result<Slot> launch(const Launch& launch);
  /// SIGTERM to all that runs in the slot, and SIGKILL after `grace` (0: at once). May be repeated; the sooner wins.
  void stop(Slot slot, Duration grace);

  /// Readable (for poll or epoll, level-triggered) when dispatch() has something to do.
  int fd() const;
  /// Hands over what has happened; never waits. At most about 1 MiB of output a call.
  void dispatch(const SpawnerEvents& events);

  /// False: the spawner itself is gone; nothing can be launched any more.
  bool alive() const;
  /// Kills all that runs and waits until the last of it is gone, at most `wait`; false: it is not.
  bool finish(Duration wait);
  /// Programs end by themselves when its instants pass.
  Fence& fence();
  /// How many slots have a program.
  std::size_t running() const;

 private:
  struct State;
  explicit Spawner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chappe::exec
