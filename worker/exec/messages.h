/// \file
/// Messages between a worker and its supervisors, over a stream socket of one machine and one build.
///
///   request = Request, then `bytes` bytes: for kLaunch the NUL-terminated texts directory, argv..., env...
///   answer  = Answer: a program writes, or has ended
///
/// A program's output is in a pipe of its own from the moment when the supervisor says so until the worker says that it
/// has read it all. Programs that write nothing share one, one after the other, and cost no word about it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "worker/exec/launch.h"

namespace chappe::exec {

/// Programs that may wait behind the one that runs.
inline constexpr std::size_t kLineMax = 32;

/// A supervisor has two pipes for output, so that the next program may start before the worker has read what the last
/// one wrote.
inline constexpr std::uint32_t kPipes = 2;
inline constexpr std::uint32_t kNoPipe = kPipes;

enum class RequestKind : std::uint32_t {
  kLaunch,
  kStop,      ///< The program that runs: SIGTERM, and SIGKILL after `grace_us`. One that waits: as kWithdraw.
  kWithdraw,  ///< If it still waits.
  kDrained,   ///< What the last program wrote to `pipe` was read.
};

struct Request {
  RequestKind kind = RequestKind::kLaunch;
  std::uint32_t bytes = 0;      ///< Following.
  std::uint32_t arguments = 0;  ///< argv's length.
  std::uint32_t variables = 0;  ///< env's length.
  std::uint32_t pipe = kNoPipe;
  ProgramId program = 0;
  std::int64_t grace_us = 0;
  std::uint64_t memory_bytes = 0;
};

enum class AnswerKind : std::uint32_t {
  kWrites,  ///< There is something in `pipe`: it is this program's until its end.
  kEnded,   ///< With what is left in `pipe`; kNoPipe: it wrote nothing.
};

struct Answer {
  ProgramId program = 0;
  AnswerKind kind = AnswerKind::kEnded;
  std::uint32_t pipe = kNoPipe;
  ProcessEnd end;
};
static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<Answer>);

/// Both as blocking calls that go on after EINTR. False: the other side is gone.
bool send_all(int fd, const void* data, std::size_t size);
bool receive_all(int fd, void* data, std::size_t size);

/// What has come over a socket and was not taken yet.
class Inbox {
 public:
  /// Adds what is there; never waits. False: the other side is gone.
  bool fill(int fd);
  /// Valid until the next fill().
  std::span<const char> bytes() const { return std::span(room_).subspan(taken_, size_ - taken_); }
  void take(std::size_t size) { taken_ += size; }

 private:
  std::vector<char> room_;
  std::size_t taken_ = 0;
  std::size_t size_ = 0;  ///< Of what is in it, taken or not.
};

/// What the control socket passes to the worker: a supervisor's socket and the read ends of its pipes.
struct SupervisorEnds {
  int socket = -1;
  std::array<int, kPipes> outputs{-1, -1};
};
bool send_ends(int fd, SupervisorEnds ends);
bool receive_ends(int fd, SupervisorEnds& ends);

}  // namespace chappe::exec
