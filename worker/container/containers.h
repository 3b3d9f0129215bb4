/// \file
/// Runs tasks in containers for a worker's loop.
///
/// Each container has two threads, which block in its place: one leads it from its image to its removal, one reads what
/// it writes. At most kContainersMax at a time; a container that writes faster than the loop reads has to wait.
///
///   launch --> image, create, attach, start --> runs --> ended, removed --> told
///                 \--stopped, or refused--------------------^
///
/// A stop is SIGTERM to the first process, and after its grace SIGKILL: with that the kernel ends everything in the
/// container. Should that not help, the runtime is asked to remove it, again and again.
///
/// Thread: one owner for all calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "worker/container/container_spec.h"
#include "worker/container/runtime.h"
#include "worker/exec/fence.h"

namespace chappe::container {

inline constexpr std::size_t kContainersMax = 256;                      ///< At a time.
inline constexpr std::size_t kOutputBytesMax = std::size_t{256} << 10;  ///< Of one container, not handed over yet.

enum class EndKind : std::uint8_t {
  kExited,
  kNotStarted,  ///< `message` says why.
  kLost,        ///< Somebody else removed it.
};

struct ContainerEnd {
  EndKind kind = EndKind::kExited;
  std::int32_t exit_code = 0;  ///< 128 + signal where one ended it.
  bool terminated = false;     ///< We sent it SIGTERM or SIGKILL while it ran.
  bool fenced = false;         ///< The Fence was over when it ended, and nobody had asked for it.
  bool outgrew_memory = false;
  bool memory_untold = false;  ///< Whether it did, nobody could tell.
  std::string message;
  std::string image;  ///< As AttemptEnd::image; "" where it was not found.
  MonoTime ended_at;  ///< Nothing of it is left.
  std::uint64_t cpu_us = 0;
  std::uint64_t peak_memory_bytes = 0;
};

struct ContainerEvents {
  std::function<void(AttemptId)> started;
  std::function<void(AttemptId, std::span<const std::byte>)> output;
  /// It is removed, and all its output was handed over.
  std::function<void(AttemptId, const ContainerEnd&)> ended;
};

class Containers {
 public:
  /// `fence`: outlives this. `gpus`: what containers may get of the machine's.
  Containers(Runtime runtime, const exec::Fence& fence, std::vector<std::string> gpus);
  /// Kills what runs, and waits for it.
  ~Containers();
  Containers(const Containers&) = delete;
  Containers& operator=(const Containers&) = delete;

  /// Errors: kUnavailable: kContainersMax are there; kInvalidInput: it asks for GPUs, and this runtime hands none over.
  /// All else is told by its end.
  Result<void> launch(ContainerSpec spec, Company company = {});
  /// May be repeated; the sooner wins. One that has ended: nothing.
  void stop(AttemptId attempt, Duration grace);

  /// Readable (for poll or epoll, level-triggered) when dispatch() has something to do.
  int fd() const;
  /// Hands over what has happened; never waits for a runtime. Its callbacks may call all but dispatch().
  void dispatch(const ContainerEvents& events);

  /// Kills all that runs and waits until it is removed, at most `wait`; false: it is not.
  bool finish(Duration wait);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chappe::container
