/// \file
/// The rule in the last line of a zone's file: when its clocks change in all the years after the table's. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace chappe::calendar {

/// A stretch of time with one offset from UTC: [begin, end), in seconds since 1970 (UTC).
struct Stretch {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t offset = 0;  ///< Seconds that local time is ahead of UTC.
};

/// `<-02>2<-01>,M3.5.0/-1,M10.5.0/0`: two hours behind UTC; one from the last Sunday of March, an hour before midnight,
/// until the last Sunday of October at midnight.
/// Source: POSIX.1-2017, 8.3 "TZ", and RFC 8536, 3.3.1: hours from -167 to 167.
class PosixRule {
 public:
  /// nullopt: it is no such rule, or has no changes.
  static std::optional<PosixRule> parse(std::string_view text);

  /// Where `seconds` lies between two changes.
  Stretch at(std::int64_t seconds) const;

 private:
  friend class PosixRuleReader;
  /// A moment of each year, in the local time that holds before it.
  struct Change {
    enum class Kind : std::uint8_t { kWeekday, kDayOfLeapless, kDay };
    Kind kind = Kind::kWeekday;
    int month = 1, week = 1, weekday = 0;
    int day = 0;                      ///< kDayOfLeapless: 1 to 365, 29 February is never counted; kDay: 0 to 365.
    std::int64_t seconds = 7'200;     ///< After midnight.
    std::int64_t in(int year) const;  ///< Seconds since 1970 as the clock on the wall counts them.
  };
  std::int64_t standard_ = 0, summer_ = 0;
  Change to_summer_, to_standard_;
};

}  // namespace chappe::calendar
