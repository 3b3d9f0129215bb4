#include "storage/local/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/ports/object_key.h"

namespace chappe::local {
namespace {

std::string_view next_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

template <typename Number>
bool read_number(std::string_view& rest, Number& number) {
  const std::string_view word = next_word(rest);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size();
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string to_text(const Upload& upload) {
  return fmt::format("local1 {} {} {} {} {} {}", upload.name, upload.inode, upload.modified_ns, upload.size,
                     upload.if_absent ? 1 : 0, upload.uri);
}

Result<Upload> parse_upload(std::string_view text) {
  Upload upload;
  int if_absent = 0;
  std::string_view rest = text;
  const bool is_ours = next_word(rest) == "local1";
  upload.name = next_word(rest);
  const bool is_whole = is_ours && is_plain_name(upload.name) && read_number(rest, upload.inode) &&
                        read_number(rest, upload.modified_ns) && read_number(rest, upload.size) &&
                        read_number(rest, if_absent);
  upload.if_absent = if_absent != 0;
  upload.uri = rest;
  if (!is_whole || !check_object_key(upload.uri)) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("not an upload of a local object store: \"{}\"", text.substr(0, 80)));
  }
  return upload;
}

}  // namespace chappe::local
