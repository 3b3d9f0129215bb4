/// \file
/// A time zone of the IANA database as what a schedule asks of it: which offset from UTC holds when, and until when.
///
/// The zones are those of the machine (package tzdata): this one file of the engine reads files, once a thread and
/// zone. A process sees the zones as they were when it first asked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/calendar/posix_rule.h"

namespace chappe::calendar {

class Zone;
using ZonePtr = std::shared_ptr<const Zone>;

class Zone {
 public:
  /// "Europe/Paris", "UTC". Errors: kInvalidInput with the nearest right name.
  static Result<ZonePtr> find(std::string_view name);
  static ZonePtr utc();

  const std::string& name() const { return name_; }
  /// The stretch that holds `seconds` (UTC). For any time of the years 1700 to 9999.
  Stretch at(std::int64_t seconds) const;
  /// When clocks there show `local` (seconds since 1970 as if they were UTC): the first time in a fold, the gap's end
  /// in a gap.
  std::int64_t to_utc(std::int64_t local) const;

  struct Rules;  ///< Private: what the database says.
  Zone(std::string name, std::shared_ptr<const Rules> rules) : name_(std::move(name)), rules_(std::move(rules)) {}

 private:
  static Result<ZonePtr> read(std::string_view name);
  std::string name_;
  std::shared_ptr<const Rules> rules_;
};

/// "2026-03-29T03:00:00+02:00"; "Z" for UTC itself.
std::string to_iso8601(WallTime time, const Zone& zone);
/// Reads "2026-03-29", "2026-03-29T03:00", with seconds or not, as a time of `zone`; with "Z" or an offset at the end
/// as what it says. Errors: kInvalidInput.
Result<WallTime> parse_local_time(std::string_view text, const Zone& zone);
/// "+01:00"; with seconds where there are some, as before there were standard times: "+00:09:21".
std::string offset_text(std::int64_t offset);
/// Whether a time is a mere date.
bool is_date(std::string_view text);

}  // namespace chappe::calendar
