#include "storage/local/attributes.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

namespace chappe::local {
namespace {
constexpr std::string_view kPrefix = "user.chappe.";
}

Result<void> write_attributes(const File& file, const Metadata& metadata, std::string_view path) {
  for (const auto& [name, value] : metadata) {
    const std::string attribute = std::string(kPrefix) + name;
    if (::fsetxattr(file.fd(), attribute.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (errno == ENOTSUP) return {};
    return fail(system_error("keep metadata \"" + name + "\" of", path, errno));
  }
  return {};
}

Metadata read_attributes(const File& file) {
  Metadata metadata;
  std::string names(64 << 10, '\0');  // The kernel's own bound on all names together.
  const ssize_t length = ::flistxattr(file.fd(), names.data(), names.size());
  names.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  for (std::size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) {
    const std::string attribute = names.c_str() + at;
    if (!attribute.starts_with(kPrefix)) continue;
    std::string value(64 << 10, '\0');
    const ssize_t size = ::fgetxattr(file.fd(), attribute.c_str(), value.data(), value.size());
    if (size < 0) continue;  // Removed since; nothing of ours does that to a visible object.
    value.resize(static_cast<std::size_t>(size));
    metadata.emplace_back(attribute.substr(kPrefix.size()), std::move(value));
  }
  std::sort(metadata.begin(), metadata.end());
  return metadata;
}

WallTime modified_at(const struct stat& status) {
  return {std::int64_t{status.st_mtim.tv_sec} * 1'000'000 + status.st_mtim.tv_nsec / 1000};
}

}  // namespace chappe::local
