/// \file
/// What an attempt writes: kept whole up to a bound (then its beginning and its end), and told live at a bounded rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/lineage/log_times.h"

namespace chappe::worker {

/// Bounds of one attempt's log.
struct LogBounds {
  std::size_t memory_max = std::size_t{64} << 10;  ///< Kept in memory; more goes to a file.
  std::uint64_t head_max = std::uint64_t{32} << 20;
  std::uint64_t tail_max = std::uint64_t{32} << 20;
  std::size_t chunk_max = std::size_t{60} << 10;         ///< Of one live piece, and of all that waits to be told.
  std::uint64_t rate = std::uint64_t{1} << 20;           ///< Bytes a second told live.
  Duration chunk_delay = std::chrono::milliseconds(20);  ///< A piece waits this long for more.
};

/// A piece that is told live. Where an offset jumps, something was left out; the stored log has it.
struct LiveChunk {
  std::uint64_t offset = 0;
  std::string data;
};

class AttemptLog {
 public:
  AttemptLog() = default;
  AttemptLog(std::string file, LogBounds bounds) : file_(std::move(file)), bounds_(bounds) {}
  ~AttemptLog();
  AttemptLog(AttemptLog&& other) noexcept;
  AttemptLog& operator=(AttemptLog&& other) noexcept;

  void append(std::span<const std::byte> bytes, MonoTime now);
  std::uint64_t total() const { return total_; }
  bool empty() const { return total_ == 0; }
  bool in_file() const { return fd_ >= 0; }

  /// The next live piece, if one is due. `all`: the attempt is over, tell what waits.
  std::optional<LiveChunk> next_chunk(MonoTime now, bool all);
  /// When next_chunk() may have something; nullopt: nothing waits.
  std::optional<MonoTime> chunk_due() const;

  /// Bytes of read_stored().
  std::uint64_t stored_size() const;
  /// When the bytes of read_stored() were written, in wall time. `now`: both clocks at any moment.
  LogTimes times(Now now) const;
  /// The log as it is kept, in pieces. Where its middle is missing, one line says how much. May run in another thread
  /// when nothing is appended any more. Errors: the disk's, and those of `sink`.
  Result<void> read_stored(const std::function<Result<void>(std::span<const std::byte>)>& sink) const;

 private:
  void keep(std::span<const std::byte> bytes);
  void write_file(std::span<const std::byte> bytes);
  bool is_cut() const { return total_ > bounds_.head_max + bounds_.tail_max; }
  std::string cut_marker() const;
  Result<void> read_file(std::uint64_t from, std::uint64_t size,
                         const std::function<Result<void>(std::span<const std::byte>)>& sink) const;

  std::string file_;
  LogBounds bounds_;
  std::uint64_t total_ = 0;
  LogTimes times_;      ///< In milliseconds of MonoTime.
  std::string memory_;  ///< All of it, until there is a file.
  int fd_ = -1;         ///< The head, then the tail as a ring.
  int write_error_ = 0;

  std::uint64_t chunk_offset_ = 0;
  std::string chunk_;
  MonoTime chunk_since_;
  MonoTime told_until_;  ///< The rate is used up until then.
};

}  // namespace chappe::worker
