#include "storage/local/paths.h"

#include <algorithm>

namespace chappe::local {
namespace {

std::string escaped(std::string_view segment) {
  std::string out;
  for (const char c : segment) c == '%' ? out += "%25" : out += c;
  return out;
}

// A cut must not part "%25": text_of_name() reads each piece by itself, and a piece that ends in "%" goes on. Nor may
// it leave dots alone, which name a folder.
std::size_t piece_length(std::string_view rest) {
  if (rest.size() <= kPieceBytesMax) return rest.size();
  const std::string_view left = rest.substr(kPieceBytesMax);
  const std::size_t length = left == "." || left == ".." ? kPieceBytesMax - 2 : kPieceBytesMax;
  for (std::size_t back = 1; back <= 2; ++back) {
    if (rest[length - back] == '%') return length - back;
  }
  return length;
}

void append_segment(std::string& path, std::string_view segment) {
  const std::string text = escaped(segment);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = piece_length(rest);
    path += rest.substr(0, length);
    rest.remove_prefix(length);
    if (!rest.empty()) path += "%/";
  }
}

}  // namespace

std::string path_of_key(std::string_view key) {
  std::string path;
  for (std::size_t start = 0; start <= key.size();) {
    const std::size_t end = std::min(key.find('/', start), key.size());
    if (start > 0) path += '/';
    append_segment(path, key.substr(start, end - start));
    start = end + 1;
  }
  return path;
}

std::string text_of_name(std::string_view name) {
  std::string out;
  for (std::size_t at = 0; at < name.size(); ++at) {
    const bool is_percent = name.substr(at, 3) == "%25";
    if (name[at] == '%' && !is_percent) break;  // The mark of a piece that goes on.
    out += name[at];
    if (is_percent) at += 2;
  }
  return out;
}

bool goes_on(std::string_view name) { return name.ends_with('%'); }

}  // namespace chappe::local
