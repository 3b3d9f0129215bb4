/// \file
/// When the bytes of a log were written, told beside it so that the log itself stays as it was.
///
/// A mark says: from this byte on, until the next mark, this was the time. What comes soon after a mark is not marked,
/// and how soon grows with the log: pauses are told exactly however long it is.
///
/// As text: "0+1764289691123 523+1450": bytes and milliseconds since the mark before, the first since 1970. Up to
/// kShortMax bytes it is the metadata kLogTimes of the log's object; a longer one is an object of its own, named like
/// the log's with ".times" behind it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/time.h"

namespace chappe {

inline constexpr std::string_view kLogTimes = "log-times";  ///< Name of the metadata.
inline constexpr std::string_view kLogTimesObject = "log.times";

struct LogMark {
  std::uint64_t offset = 0;
  std::int64_t at_ms = 0;  ///< Since 1970; of a LogTimes that is still noted, on whatever clock it is told.
  bool operator==(const LogMark&) const = default;
};

class LogTimes {
 public:
  static constexpr std::size_t kMarksMax = 4'096;
  static constexpr std::size_t kShortMax = 1'400;  ///< S3 takes 2 KiB of metadata.
  static constexpr std::size_t kTextMax = std::size_t{128} << 10;

  explicit LogTimes(std::size_t marks_max = kMarksMax) : marks_max_(marks_max) {}

  /// What stands at `offset` is written now. Requires: neither goes back.
  void note(std::uint64_t offset, std::int64_t at_ms);
  /// Nobody asks for what stands before `offset` any more.
  void drop_before(std::uint64_t offset);
  /// Adds to all times: from one clock to another.
  void shift(std::int64_t ms);
  /// The log lost what stands from `from` to `to`, and has `marker` bytes there instead.
  void cut(std::uint64_t from, std::uint64_t to, std::uint64_t marker);

  /// When the byte was written; nullopt: it stands before all marks.
  std::optional<WallTime> at(std::uint64_t offset) const;
  /// The first mark at or after the time.
  std::optional<std::uint64_t> first_since(WallTime time) const;
  bool empty() const { return marks_.empty(); }
  const std::vector<LogMark>& marks() const { return marks_; }

  std::string to_text() const;
  /// nullopt: it is no such text.
  static std::optional<LogTimes> parse(std::string_view text);

 private:
  std::vector<LogMark>::const_iterator mark_of(std::uint64_t offset) const;
  void thin();

  std::size_t marks_max_;
  std::int64_t apart_ms_ = 20;  ///< As long as a piece waits for more before it is told live.
  std::vector<LogMark> marks_;
};

}  // namespace chappe
