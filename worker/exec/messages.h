/// \file
/// Messages between a worker and its supervisors, over a stream socket of one machine and one build.
///
///   request = Request, then `bytes` bytes: for kLaunch the NUL-terminated texts directory, argv..., env...
///   answer  = Answer, when a program ended
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "worker/exec/launch.h"

namespace chappe::exec {

enum class RequestKind : std::uint32_t { kLaunch, kStop, kWithdraw };

struct Request {
  RequestKind kind = RequestKind::kLaunch;
  std::uint32_t bytes = 0;      ///< Following.
  std::uint32_t arguments = 0;  ///< argv's length.
  std::uint32_t variables = 0;  ///< env's length.
  ProgramId program = 0;
  std::int64_t grace_us = 0;
};

struct Answer {
  ProgramId program = 0;
  ProcessEnd end;
};
static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<Answer>);

/// Both as blocking calls that go on after EINTR. False: the other side is gone.
bool send_all(int fd, const void* data, std::size_t size);
bool receive_all(int fd, void* data, std::size_t size);

/// A supervisor has two pipes for output. Programs use them in turns, so that the next may start before the worker has
/// read all of the last.
inline constexpr std::size_t kPipes = 2;

/// What the control socket passes to the worker: a supervisor's socket and the read ends of its pipes.
struct SupervisorEnds {
  int socket = -1;
  std::array<int, kPipes> outputs{-1, -1};
};
bool send_ends(int fd, SupervisorEnds ends);
bool receive_ends(int fd, SupervisorEnds& ends);

}  // namespace chappe::exec
