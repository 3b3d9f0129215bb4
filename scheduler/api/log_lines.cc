#include "scheduler/api/log_lines.h"

#include <algorithm>

namespace chappe::api {
namespace {

constexpr std::uint64_t kBlock = std::uint64_t{64} << 10;

/// Where the first line begins at or after `offset`.
std::uint64_t next_line(const LogBytes& bytes, std::uint64_t offset) {
  if (offset <= bytes.first) return bytes.first;
  for (std::uint64_t at = offset - 1; at < bytes.end;) {
    const std::uint64_t length = std::min(kBlock, bytes.end - at);
    const std::string block = bytes.read(at, length);
    const std::size_t newline = block.find('\n');
    if (newline != std::string::npos) return at + newline + 1;
    if (block.size() < length) return offset;
    at += length;
  }
  return bytes.end;
}

}  // namespace

std::uint64_t last_lines(const LogBytes& bytes, std::uint64_t lines) {
  if (lines == 0) return bytes.end;
  std::uint64_t found = 0;
  for (std::uint64_t end = bytes.end; end > bytes.first;) {
    const std::uint64_t begin = end - std::min(kBlock, end - bytes.first);
    const std::string block = bytes.read(begin, end - begin);
    if (block.size() < end - begin) return bytes.first;
    for (std::uint64_t i = block.size(); i-- > 0;) {
      const bool between = block[i] == '\n' && begin + i + 1 != bytes.end;
      if (between && ++found == lines) return begin + i + 1;
    }
    end = begin;
  }
  return bytes.first;
}

std::uint64_t lines_since(const LogBytes& bytes, const LogTimes& times, WallTime since) {
  if (times.empty()) return bytes.first;
  const auto mark = times.first_since(since);
  return mark ? next_line(bytes, std::min(*mark, bytes.end)) : bytes.end;
}

std::string LineStamps::stamp(std::string_view data, std::uint64_t offset, const LogTimes& times) {
  constexpr std::size_t kToMilliseconds = 23;
  std::string out;
  for (std::size_t at = 0; at < data.size();) {
    if (begins_) out += to_iso8601(times.at(offset + at).value_or(otherwise_)).substr(0, kToMilliseconds) + "Z ";
    const std::size_t newline = data.find('\n', at);
    begins_ = newline != std::string_view::npos;
    const std::size_t end = begins_ ? newline + 1 : data.size();
    out += data.substr(at, end - at);
    at = end;
  }
  return out;
}

}  // namespace chappe::api
