/// \file
/// The log as the daemons' parts write it. Where the lines go is the business of whoever installs the sink.
///
/// One message is one line: control characters, newlines and terminal escapes in it are written as `\xHH`, so that no
/// text from outside can forge a line or drive a terminal. Thread: any. Never throws.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace chappe::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
std::string_view name_of(Level level);  ///< "debug", "info", "warning", "error".
std::optional<Level> parse_level(std::string_view name);

/// Takes one finished line, without a newline. Called from any thread, also from several at once.
using Sink = std::function<void(Level, std::string_view line)>;

/// Sends everything from `least` up to `sink` from now on. Until then, and with an empty sink, info and above go to
/// stderr. Call it at the start, before there are other threads.
void install(Sink sink, Level least);

bool is_on(Level level);
void write(Level level, std::string_view message);

inline void debug(std::string_view message) { write(Level::kDebug, message); }
inline void info(std::string_view message) { write(Level::kInfo, message); }
inline void warn(std::string_view message) { write(Level::kWarning, message); }
inline void error(std::string_view message) { write(Level::kError, message); }

template <typename First, typename... Rest>
void debug(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest) {
  if (is_on(Level::kDebug)) debug(fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...));
}
template <typename First, typename... Rest>
void info(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest) {
  if (is_on(Level::kInfo)) info(fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...));
}
template <typename First, typename... Rest>
void warn(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest) {
  warn(fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...));
}
template <typename First, typename... Rest>
void error(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest) {
  error(fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...));
}

}  // namespace chappe::log
