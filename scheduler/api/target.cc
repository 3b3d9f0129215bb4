#include "scheduler/api/target.h"

#include <cstdint>
#include <utility>

#include "engine/base/text.h"

namespace chappe::api {
namespace {

constexpr std::size_t kSegmentsMax = 16;
constexpr std::size_t kParametersMax = 32;

Failure refuse(const char* what) { return fail(ErrorCode::kInvalidInput, what); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return refuse("the path or query has a '%' without two hex digits");
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return refuse("the path or query has a '%' without two hex digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
    if (is_control(out.back())) return refuse("the path or query has a control character");
  }
  if (!is_utf8(out)) return refuse("the path or query is not UTF-8");
  if (printable(out) != out) return refuse("the path or query has a control character");  // Of Latin-1.
  return out;
}

/// Takes the text up to `separator` (or all of it) off the front of `rest`.
std::string_view cut(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view head = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return head;
}

Result<std::vector<std::string>> parse_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return refuse("the path must begin with '/'");
  std::vector<std::string> segments;
  std::string_view rest = path.substr(1);
  const bool trailing_slash = !rest.empty() && rest.back() == '/';
  while (!rest.empty()) {
    auto segment = decode(cut(rest, '/'), false);
    if (!segment) return fail(segment.error());
    if (segment->empty() || *segment == "." || *segment == "..")
      return refuse("the path has an empty or dotted segment");
    if (segments.size() == kSegmentsMax) return refuse("the path has too many segments");
    segments.push_back(*std::move(segment));
  }
  if (trailing_slash) return refuse("the path has an empty or dotted segment");
  return segments;
}

Result<TextPairs> parse_query(std::string_view rest) {
  TextPairs query;
  while (!rest.empty()) {
    std::string_view pair = cut(rest, '&');
    if (pair.empty()) continue;
    auto name = decode(cut(pair, '='), true);
    if (!name) return fail(name.error());
    auto value = decode(pair, true);
    if (!value) return fail(value.error());
    if (query.size() == kParametersMax) return refuse("the query has too many parameters");
    query.emplace_back(*std::move(name), *std::move(value));
  }
  return query;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  std::string_view rest = text;
  auto segments = parse_path(cut(rest, '?'));
  if (!segments) return fail(segments.error());
  auto query = parse_query(rest);
  if (!query) return fail(query.error());
  return Target{*std::move(segments), *std::move(query)};
}

std::optional<TextPairs> match(std::string_view pattern, const std::vector<std::string>& segments) {
  TextPairs variables;
  std::string_view rest = pattern.substr(1);
  for (const std::string& segment : segments) {
    if (rest.empty()) return std::nullopt;
    const std::string_view expected = cut(rest, '/');
    if (expected.front() == '{') {
      variables.emplace_back(expected.substr(1, expected.size() - 2), segment);
    } else if (expected != segment) {
      return std::nullopt;
    }
  }
  if (!rest.empty()) return std::nullopt;
  return variables;
}

}  // namespace chappe::api
