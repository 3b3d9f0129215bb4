/// \file
/// The logs of running attempts, in memory, for those who follow them: fed by the scheduler's loop as the workers send
/// pieces, read by the API. What ended is in the object store; the hub keeps it only while there is room.
///
/// Bounds: the last `kTailMax` bytes of an attempt, `kTotalMax` in all; past that, ended attempts go first, then those
/// that have been quiet longest. Thread: any; no call waits for anything but a short copy.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/ids.h"
#include "engine/lineage/log_times.h"

namespace chappe::api {

class LogHub {
 public:
  static constexpr std::size_t kTailMax = 256 * 1024;
  static constexpr std::size_t kTotalMax = std::size_t{64} << 20;
  static constexpr std::size_t kAttemptsMax = 20'000;
  static constexpr std::size_t kMarksMax = 256;  ///< Of times, for each attempt.

  explicit LogHub(std::size_t total_max = kTotalMax) : total_max_(total_max) {}

  /// Takes in bytes that stand at `offset` of the attempt's log. What is there already is not taken twice; a gap (the
  /// worker dropped a piece) loses what stood before it.
  void append(AttemptId attempt, std::uint64_t offset, std::string_view data, WallTime now);
  /// The attempt ended: nothing more will come.
  void finish(AttemptId attempt);

  struct Piece {
    std::uint64_t offset = 0;  ///< Of the first byte of `data`; greater than asked for where bytes were lost.
    std::string data;
    bool ended = false;  ///< Nothing follows `data`.
  };
  /// What the hub has from `offset` on, at most `bytes_max` of it; nullopt where it does not know the attempt.
  std::optional<Piece> read(AttemptId attempt, std::uint64_t offset, std::size_t bytes_max = 64 * 1024) const;

  /// When the bytes that it has came here; none of an attempt that it does not know.
  LogTimes times(AttemptId attempt) const;

  std::size_t total_bytes() const;

 private:
  struct Log {
    std::uint64_t first = 0;  ///< Offset of the first byte kept.
    std::deque<std::string> chunks;
    std::size_t bytes = 0;
    LogTimes times{kMarksMax};
    bool ended = false;
    std::list<AttemptId>::iterator place;  ///< In quiet_ or ended_.
    std::uint64_t end() const { return first + bytes; }
  };
  Log& touch(AttemptId attempt);
  void drop_front(Log& log, std::size_t bytes);
  void make_room(AttemptId but_not);
  void forget(AttemptId attempt);

  const std::size_t total_max_;
  mutable std::mutex mutex_;
  std::unordered_map<AttemptId, Log> logs_;
  std::list<AttemptId> live_;   ///< Longest quiet first.
  std::list<AttemptId> ended_;  ///< Longest ended first.
  std::size_t total_ = 0;
};

}  // namespace chappe::api
