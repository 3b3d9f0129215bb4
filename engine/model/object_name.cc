#include "engine/model/object_name.h"

#include <fmt/format.h>

#include "engine/base/text.h"

namespace chappe {

std::string object_name_problem(std::string_view name) {
  constexpr std::string_view kS3 = "s3://";
  if (name.empty()) return "is empty";
  if (name.size() > kObjectNameMax) return fmt::format("is longer than {} bytes", kObjectNameMax);
  if (!is_utf8(name) || name.find('\0') != std::string_view::npos) return "is no text";
  std::string_view key = name;
  if (name.starts_with(kS3)) {
    const std::size_t slash = name.find('/', kS3.size());
    if (slash == std::string_view::npos || slash == kS3.size()) return "needs a bucket and a key: s3://BUCKET/KEY";
    key = name.substr(slash + 1);
  } else if (name.find("://") != std::string_view::npos) {
    return "is s3://BUCKET/KEY, or a key in the object store";
  }
  if (key.empty() || key.ends_with('/')) {
    return "is one object; for all beneath a prefix, fan out with 'foreach: {s3_list: PREFIX/}' and read each";
  }
  for (const std::string_view wrong : {"//", "/./", "/../"}) {
    if (fmt::format("/{}/", key).find(wrong) == std::string::npos) continue;
    return "must not begin with '/', and has no empty component, '.' or '..' in it";
  }
  return "";
}

}  // namespace chappe
