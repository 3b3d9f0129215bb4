#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include "cli/exit_code.h"
#include "engine/calendar/zone.h"

namespace chappe::cli {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

bool wants_colour(int descriptor, bool no_colour) {
  const char* asked_not = std::getenv("NO_COLOR");
  if (no_colour || (asked_not != nullptr && *asked_not != '\0')) return false;
  const char* terminal = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string_view colour_of(std::string_view state) {
  if (state == "success") return "\x1b[32m";
  if (state == "failed") return "\x1b[1;31m";
  if (state == "running" || state == "committing") return "\x1b[36m";
  if (state == "up_for_retry") return "\x1b[33m";
  if (state == "upstream_failed" || state == "cancelled") return "\x1b[35m";
  return "\x1b[2m";
}

/// Code points outside of colour sequences.
std::size_t shown_width(std::string_view text) {
  std::size_t width = 0;
  bool in_colour = false;
  for (const char c : text) {
    if (c == '\x1b') in_colour = true;
    if (!in_colour && (static_cast<unsigned char>(c) & 0xc0) != 0x80) ++width;
    if (in_colour && c == 'm') in_colour = false;
  }
  return width;
}

void append_row(std::string& out, const std::vector<std::string>& row, const std::vector<std::size_t>& widths) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    out += row[i];
    const bool last = std::all_of(row.begin() + static_cast<std::ptrdiff_t>(i) + 1, row.end(),
                                  [](const std::string& cell) { return cell.empty(); });
    if (last) break;
    out.append(widths[i] - shown_width(row[i]) + 2, ' ');
  }
  out += '\n';
}

/// "2026-11-20 03:00:05", `fraction` and " +01:00".
std::string time_here(WallTime time, std::string_view fraction) {
  const std::time_t seconds = time.us / 1'000'000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{}{} {}", std::string_view(text, size), fraction, calendar::offset_text(parts.tm_gmtoff));
}

}  // namespace

Output make_output(const std::string& format, bool no_colour) {
  return {.json = format == "json",
          .colour_out = wants_colour(STDOUT_FILENO, no_colour),
          .colour_err = wants_colour(STDERR_FILENO, no_colour),
          .live = ::isatty(STDERR_FILENO) == 1};
}

std::string coloured_state(std::string_view state, bool colour) {
  if (state == "none") state = "waiting";  // For what comes before it; to people that is one thing.
  return colour ? fmt::format("{}{}{}", colour_of(state), state, kReset) : std::string(state);
}

std::string told_counts(const Value& counts, std::string_view between, bool colour) {
  std::vector<std::pair<std::string, std::int64_t>> told;
  if (counts.as_map() == nullptr) return "";
  for (const auto& [state, count] : *counts.as_map()) {
    const std::string word = coloured_state(state, colour);
    auto known = std::find_if(told.begin(), told.end(), [&](const auto& one) { return one.first == word; });
    if (known == told.end()) known = told.insert(known, {word, 0});
    known->second += number_of(counts, state);
  }
  std::string out;
  for (const auto& [word, count] : told) out += fmt::format("{}{} {}", out.empty() ? "" : between, count, word);
  return out;
}

std::string bold(std::string_view text, bool colour) {
  return colour ? fmt::format("\x1b[1m{}{}", text, kReset) : std::string(text);
}

std::string faint(std::string_view text, bool colour) {
  return colour ? fmt::format("\x1b[2m{}{}", text, kReset) : std::string(text);
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : head) widths.push_back(shown_width(cell));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown_width(row[i]));
  }
  std::string out;
  append_row(out, head, widths);
  for (const auto& row : rows) append_row(out, row, widths);
  return out;
}

std::string short_duration(Duration duration) {
  const auto seconds = duration.count() / 1'000'000;
  if (duration.count() < 0) return "0s";  // Clocks of two machines.
  if (seconds < 10) return fmt::format("{:.1f}s", static_cast<double>(duration.count()) / 1e6);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

std::string duration_between(const Value* start, const Value* end, WallTime now) {
  if (start == nullptr || start->as_string() == nullptr) return "";
  const auto from = parse_iso8601(*start->as_string());
  if (!from) return "";
  WallTime to = now;
  if (end != nullptr && end->as_string() != nullptr) {
    if (const auto ended = parse_iso8601(*end->as_string())) to = *ended;
  }
  return short_duration(to - *from);
}

std::string local_time(const Value* time) {
  if (time == nullptr || time->as_string() == nullptr) return "";
  const auto parsed = parse_iso8601(*time->as_string());
  return parsed ? time_here(*parsed, "") : *time->as_string();
}

std::string local_stamp(const std::string& stamp) {
  constexpr std::size_t kToSeconds = 19, kFraction = 4;
  const auto parsed = parse_iso8601(stamp.substr(0, stamp.size() - 1));
  return parsed ? time_here(*parsed, stamp.substr(kToSeconds, kFraction)) + " " : stamp;
}

std::string with_local_times(std::string_view text) {
  constexpr std::size_t kToT = 10, kToSeconds = 19;
  std::string out;
  std::size_t taken = 0;
  for (std::size_t t = text.find('T'); t != std::string_view::npos; t = text.find('T', t + 1)) {
    const std::size_t end = text.find_first_not_of("0123456789.", t + kToSeconds - kToT);
    if (t < taken + kToT || end == std::string_view::npos || text[end] != 'Z') continue;
    const auto time = parse_iso8601(text.substr(t - kToT, end + 1 - (t - kToT)));
    if (!time) continue;
    out += text.substr(taken, t - kToT - taken);
    out += time_here(*time, "");
    taken = end + 1;
  }
  return out + std::string(text.substr(taken));
}

std::string short_size(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string text_of(const Value& value, std::string_view name) {
  const Value* member = value.find(name);
  return member == nullptr ? std::string() : to_text(*member);
}

std::int64_t number_of(const Value& value, std::string_view name) {
  const Value* member = value.find(name);
  return member == nullptr || member->as_int() == nullptr ? 0 : *member->as_int();
}

const ValueList& list_of(const Value& value, std::string_view name) {
  static const ValueList kNone;
  const Value* member = value.find(name);
  return member == nullptr || member->as_list() == nullptr ? kNone : *member->as_list();
}

std::string reason_of(const Value& ended) {
  std::string reason = text_of(ended, "reason");
  if (reason == "exit_code") reason = "exit code " + text_of(ended, "exit_code");
  const std::string message = printable(text_of(ended, "message"));
  const Value* allowed = ended.find("allowed");
  const char* note = allowed != nullptr && *allowed == Value(true) ? " (allowed)" : "";
  if (message.empty() || message == reason) return reason + note;
  return (reason.empty() ? message : reason + ": " + message) + note;
}

WallTime wall_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
}

int complain(std::string_view message, int code) {
  for (;;) {  // A line for each of several mistakes.
    const std::size_t end = std::min(message.find('\n'), message.size());
    fmt::print(stderr, "chappe: {}\n", printable(message.substr(0, end)));
    if (end == message.size()) return code;
    message.remove_prefix(end + 1);
  }
}

void warn(std::string_view about, std::string_view message) {
  fmt::print(stderr, "{}: warning: {}\n", printable(about), printable(message));
}

int complain(const Error& error) {
  return complain(error.message, error.code == ErrorCode::kInvalidInput ? kUsage : kFailure);
}

void print(std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Value& value) { print(to_json(value) + "\n"); }

}  // namespace chappe::cli
