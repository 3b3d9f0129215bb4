/// \file
/// How the commands speak: tables or JSON on stdout, messages on stderr, colours only for a person at a terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/text.h"
#include "engine/base/time.h"
#include "engine/base/value.h"

namespace chappe::cli {

/// What all commands share.
struct Output {
  bool json = false;
  bool colour_out = false;  ///< stdout takes colours.
  bool colour_err = false;
  bool live = false;  ///< stderr is a terminal that can be redrawn.
};

/// Looks at the terminal and NO_COLOR. `format`: "table" or "json".
Output make_output(const std::string& format, bool no_colour);

/// The state's name in its colour; `none` is told as waiting.
std::string coloured_state(std::string_view state, bool colour);
/// Instances by state, each state once as coloured_state() tells it: "3 success, 2 waiting". `counts`: as the API's.
std::string told_counts(const Value& counts, std::string_view between, bool colour);
std::string bold(std::string_view text, bool colour);
std::string faint(std::string_view text, bool colour);

/// Columns as wide as their widest cell, two spaces apart; nothing behind the last. Widths count code points, colours
/// not.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

/// "2.4s", "3m12s", "1h05m".
std::string short_duration(Duration duration);
/// From one ISO time to another (or to `now` where the end is null); "" where it has not begun.
std::string duration_between(const Value* start, const Value* end, WallTime now);
/// "2026-11-20 03:00:05 +01:00": how people are told all times, in the zone of this machine (or of TZ). From ISO 8601;
/// "" where there is none.
std::string local_time(const Value* time);
/// "2026-11-28 03:00:00.123 +01:00 ", from "2026-11-28T02:00:00.123Z ".
std::string local_stamp(const std::string& stamp);
/// The text with each time of UTC in it ("2026-11-20T02:00:05.000000Z") as local_time() tells it.
std::string with_local_times(std::string_view text);
/// "1.4 MiB".
std::string short_size(std::int64_t bytes);

/// A member as text; "" where there is none.
std::string text_of(const Value& value, std::string_view name);
std::int64_t number_of(const Value& value, std::string_view name);
/// The items of a page or of a list member; empty where there is none.
const ValueList& list_of(const Value& value, std::string_view name);

/// Why a task instance or an attempt ended as it did: "exit code 3", "timeout: after 10m"; "" where there is nothing to
/// say.
std::string reason_of(const Value& ended);

WallTime wall_now();

/// "chappe: MESSAGE" on stderr, each of its lines; returns `code`.
int complain(std::string_view message, int code);
/// "income: warning: ..." to standard error.
void warn(std::string_view about, std::string_view message);
int complain(const Error& error);
void print(std::string_view text);  ///< To stdout.
void print_json(const Value& value);

}  // namespace chappe::cli
