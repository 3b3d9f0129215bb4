/// \file
/// Lines of a log: where the last of them begin, and when each was written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"
#include "engine/lineage/log_times.h"

namespace chappe::api {

inline constexpr std::uint64_t kTailLinesMax = 1'000'000;

/// Bytes of a log that can be read, [first, end).
struct LogBytes {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  /// Fewer than asked for: they cannot be read.
  std::function<std::string(std::uint64_t offset, std::uint64_t length)> read;
};

/// Where the last `lines` lines begin; `end` for none. One without its newline is a line. Cost: reads no more than
/// those, and a block.
std::uint64_t last_lines(const LogBytes& bytes, std::uint64_t lines);

/// Where the first line begins of which nothing was written before `since`. Without any times: all of them.
std::uint64_t lines_since(const LogBytes& bytes, const LogTimes& times, WallTime since);

/// Puts its time in front of each line: "2026-11-28T03:00:00.123Z ".
class LineStamps {
 public:
  /// `otherwise`: of lines that no mark stands before.
  explicit LineStamps(WallTime otherwise) : otherwise_(otherwise) {}
  /// `offset`: where `data` stands in the log.
  std::string stamp(std::string_view data, std::uint64_t offset, const LogTimes& times);

 private:
  WallTime otherwise_;
  bool begins_ = true;
};

}  // namespace chappe::api
