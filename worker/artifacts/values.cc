#include "worker/artifacts/values.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "proto/json/json.h"
#include "worker/artifacts/json_path.h"
#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

constexpr std::size_t kValuePieceBytes = std::size_t{64} << 10;

Result<std::string> read_text(const Folder& folder, const std::string& path) {
  const Result<File> file = folder.open_file(path, O_RDONLY | O_NONBLOCK);  // A pipe would wait for a writer.
  if (!file) return fail(file.error());
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not a file", path));
  }
  std::string text;
  std::vector<char> piece(kValuePieceBytes);
  ssize_t got = 0;
  while (text.size() <= kValueFileMax && (got = ::read(file->fd(), piece.data(), piece.size())) > 0) {
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  if (got < 0) return fail(ErrorCode::kUnavailable, fmt::format("read '{}': {}", path, std::strerror(errno)));
  if (text.size() <= kValueFileMax) return text;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("'{}' is larger than {} bytes; make it an artifact", path, kValueFileMax));
}

std::string without_last_newline(std::string text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

/// A metric from plain text: the whole of it is one number, spaces around it aside.
Value number_of(const std::string& text) {
  const std::size_t from = text.find_first_not_of(" \t");
  const std::size_t to = text.find_last_not_of(" \t\r\n");
  if (from == std::string::npos) return text;
  const char* const begin = text.data() + from;
  const char* const end = text.data() + to + 1;
  std::int64_t whole = 0;
  if (const auto [stop, error] = std::from_chars(begin, end, whole); error == std::errc() && stop == end) return whole;
  double real = 0;
  if (const auto [stop, error] = std::from_chars(begin, end, real); error == std::errc() && stop == end) return real;
  return text;
}

Result<Value> read(const Folder& folder, const OutputValue& spec) {
  Result<std::string> text = read_text(folder, spec.file);
  if (!text) return fail(text.error());
  if (spec.json_path.empty()) {
    std::string plain = without_last_newline(std::move(*text));
    return spec.metric ? number_of(plain) : Value(std::move(plain));
  }
  const Result<Value> document = parse_json(*text, kValueFileMax);
  if (!document) return fail(ErrorCode::kInvalidInput, fmt::format("'{}': {}", spec.file, document.error().message));
  Result<Value> value = value_at(*document, spec.json_path);
  if (!value) return fail(value.error().code, fmt::format("'{}': {}", spec.file, value.error().message));
  return value;
}

Result<void> check(const OutputValue& spec, const Value& value) {
  if (to_json(value).size() > kValueMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("it is larger than {} bytes as JSON; make it an artifact", kValueMax));
  }
  const bool absent = value.is_null() && spec.default_value && spec.default_value->is_null();
  if (spec.metric && !absent && (!value.is_number() || !std::isfinite(value.number()))) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("a metric is a number, this is {}: {}", value.type_name(), to_json(value).substr(0, 80)));
  }
  return {};
}

}  // namespace

Result<NamedValue> read_value(const Folder& folder, const OutputValue& spec) {
  Result<Value> value = read(folder, spec);
  if (!value && value.error().code == ErrorCode::kNotFound && spec.default_value) value = *spec.default_value;
  if (!value) return fail(ErrorCode::kInvalidInput, fmt::format("value '{}': {}", spec.name, value.error().message));
  if (auto fit = check(spec, *value); !fit) return fail(std::move(fit.error()).in("value '" + spec.name + "'"));
  return NamedValue{spec.name, std::move(*value), spec.metric};
}

}  // namespace chappe::artifacts
