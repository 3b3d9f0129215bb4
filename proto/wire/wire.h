/// \file
/// Protobuf messages of chappe/v1 to engine values and back. Bytes in, values out; no sockets.
///
/// Decoding trusts nothing: a message past `kMessageMax`, of another protocol version, with a field out of its range, a
/// reference to nowhere, or more than `kEntriesMax` entries is an error, and costs no more memory than its own size
/// allows. Encoders and decoders reuse their buffers; one of each per socket.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/events.h"

namespace chappe::wire {

inline constexpr std::size_t kMessageMax = 1024 * 1024;  ///< Bytes of one message, both ways.
inline constexpr std::size_t kEntriesMax = 20'000;       ///< Entries of all lists of one message together.
/// A work may be larger than a message, where it reads thousands of objects: it is sent in parts then.
inline constexpr std::size_t kWholeMax = std::size_t{32} << 20;    ///< Bytes of a message in parts.
inline constexpr std::size_t kWholeEntriesMax = 200'000;           ///< Entries of all its lists together.
inline constexpr std::size_t kFinishedMax = kMessageMax / 2 - 64;  ///< Bytes of one attempt's end with its outputs.
inline constexpr std::size_t kEndMessageMax = 1024;                ///< Bytes of AttemptEnd::message; the rest is cut.
inline constexpr std::size_t kImageMax = 4096;                     ///< Of AttemptEnd::image, likewise.
inline constexpr std::size_t kUriMax = 8 * 1024;                   ///< Of what an attempt read.
inline constexpr std::size_t kVersionMax = 1024;                   ///< Bytes of its ETag and version id; likewise.
inline constexpr std::size_t kLogChunkMax = 64 * 1024;             ///< Bytes of one LogChunk's data.
inline constexpr std::uint32_t kDepthMax = 10'000;                 ///< Of noop_depth and prefetch in a hello.
inline constexpr std::uint32_t kPortMax = 65'535;
inline constexpr std::uint32_t kProtocol = 1;

/// A piece of an attempt's log on its way to whoever follows it.
struct LogChunk {
  HeldAttempt what;
  std::uint64_t offset = 0;   ///< Of the first byte in the whole log.
  std::string data;           ///< At most kLogChunkMax.
  ConnectionId connection{};  ///< It came by this one; filled in by the scheduler's port.
};

/// What a worker says, without its connection: the transport adds that.
struct WorkerSays {
  /// In order. Each event's `connection` is 0.
  std::vector<Event> events;
  std::vector<LogChunk> logs;
};

/// For the worker: one message each. The caller takes a report out when `report_bytes()` has reached kMessageMax / 2:
/// then it fits, whatever was added last. Text that is no UTF-8 goes out with '?' in the place of the wrong bytes.
class WorkerEncoder {
 public:
  WorkerEncoder();
  ~WorkerEncoder();
  std::string hello(const WorkerHello& hello);
  std::string heartbeat(std::uint64_t batch_seen, std::span<const HeldAttempt> held);
  std::string goodbye(bool draining);
  /// Requires: chunks of at most kLogChunkMax bytes each, kMessageMax / 2 together.
  std::string logs(std::span<const LogChunk> chunks);
  /// Adds to the report under construction; take_report() hands it out and begins the next.
  void add(const AttemptStarted& started);
  /// An end whose outputs pass kFinishedMax or kInlineValueMax is told as kInvalidOutput without them.
  void add(const AttemptFinished& finished);
  void add(const AttemptReturned& returned);
  /// About its size by now, small entries counted larger so that kEntriesMax holds too; 0: empty.
  std::size_t report_bytes() const;
  std::string take_report();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class WorkerDecoder {  ///< For the scheduler.
 public:
  WorkerDecoder();
  ~WorkerDecoder();
  /// Appends to `out`. Errors: kInvalidInput; `out` is as before then.
  Result<void> decode(std::span<const std::byte> message, WorkerSays& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class SchedulerEncoder {
 public:
  SchedulerEncoder();
  ~SchedulerEncoder();
  /// As many messages as it takes to keep each under kMessageMax; RunContexts and ResolvedWorks are told once a
  /// message however many assignments share them (by pointer). Only the last message carries `batch`, the others 0.
  std::vector<std::string> encode(const WorkerSend& send);
  /// Assignments that no message can carry, because their work passes kWholeMax or kWholeEntriesMax: they were not
  /// sent. Counts from the beginning.
  std::uint64_t left_out() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class SchedulerDecoder {  ///< For the worker.
 public:
  SchedulerDecoder();
  ~SchedulerDecoder();
  /// A part that is not the last of its message says nothing: the answer is empty, with `batch` 0.
  Result<WorkerSend> decode(std::span<const std::byte> message);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chappe::wire
