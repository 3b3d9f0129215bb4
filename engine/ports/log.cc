#include "engine/ports/log.h"

#include <array>
#include <cstdio>
#include <string>

#include "engine/base/text.h"

namespace chappe::log {
namespace {

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};

struct Target {
  Sink sink;
  Level least = Level::kInfo;
};

Target& target() {
  static Target the_target;
  return the_target;
}

void write_to_stderr(Level level, std::string_view line) {
  const std::string text = fmt::format("{}: {}\n", name_of(level), line);
  (void)std::fwrite(text.data(), 1, text.size(), stderr);  // There is nobody left to tell if this fails.
}

}  // namespace

std::string_view name_of(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void install(Sink sink, Level least) { target() = {std::move(sink), least}; }

bool is_on(Level level) { return level >= target().least; }

void write(Level level, std::string_view message) {
  if (!is_on(level)) return;
  const std::string line = printable(message);
  if (target().sink) {
    target().sink(level, line);
  } else {
    write_to_stderr(level, line);
  }
}

}  // namespace chappe::log
