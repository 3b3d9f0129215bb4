/// \file
/// What the spawner is asked to run, and how it ended. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/time.h"

namespace chappe::exec {

/// One program to run in a session of its own, with /dev/null as its input and one pipe for both its outputs.
struct Launch {
  std::vector<std::string> argv;   ///< At least the program; one without a slash is looked up in the PATH of `env`.
  std::vector<std::string> env;    ///< "NAME=VALUE"; all of the environment, nothing is inherited.
  std::string directory;           ///< Becomes the working directory.
  Duration grace{};                ///< Between SIGTERM and SIGKILL for what the program leaves running behind.
  std::uint64_t memory_bytes = 0;  ///< What it and all that it starts may use together (control_groups.h). 0: no bound.
};

/// Bytes of a Launch on the wire between worker and spawner; the kernel takes about 2 MiB of arguments.
inline constexpr std::size_t kLaunchBytesMax = std::size_t{2} << 20;

enum class EndKind : std::uint8_t {
  kExited,      ///< `code`: exit code.
  kSignalled,   ///< `code`: signal number.
  kNotStarted,  ///< `code`: errno of the call that failed.
  kWithdrawn,   ///< It was stopped before it started: it waited behind another program.
  kLost,        ///< The process that watched it was killed from outside; everything it watched was killed.
};

/// One launch; never reused within a spawner's life. 0: none.
using ProgramId = std::uint64_t;

/// How a program ended. Told only when it and everything it left running is gone.
struct ProcessEnd {
  EndKind kind = EndKind::kExited;
  std::int32_t code = 0;
  bool directory_failed = false;        ///< With kNotStarted: it was the working directory, not the program.
  bool terminated = false;              ///< We sent it SIGTERM or SIGKILL while the program itself still ran.
  bool fenced = false;                  ///< ... because the Fence said so.
  bool outgrew_memory = false;          ///< The kernel killed some of it for its bound on memory.
  MonoTime ended_at;                    ///< Of CLOCK_BOOTTIME: when nothing of it was left.
  std::uint64_t cpu_us = 0;             ///< User and system, with all descendants.
  std::uint64_t peak_memory_bytes = 0;  ///< Resident, of the largest single process. Never below the spawner's own
                                        ///< few MiB: the kernel counts those to a process that was not yet exec'ed.
};

}  // namespace chappe::exec
