#include "worker/container/work_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace chappe::container {
namespace {

namespace fs = std::filesystem;

/// Links are left alone: what they name may be anywhere.
void open_one(const fs::path& path, fs::file_type type, std::error_code& error) {
  using fs::perms;
  constexpr perms kFile = perms::owner_read | perms::owner_write | perms::group_read | perms::group_write |
                          perms::others_read | perms::others_write;
  if (type == fs::file_type::directory) fs::permissions(path, perms::all, error);
  if (type == fs::file_type::regular) fs::permissions(path, kFile, fs::perm_options::add, error);
}

}  // namespace

Result<void> open_to_everybody(const std::string& directory) {
  std::error_code error;
  open_one(directory, fs::file_type::directory, error);
  fs::recursive_directory_iterator entry(directory, fs::directory_options::none, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::file_status status = entry->symlink_status(error);
    if (!error) open_one(entry->path(), status.type(), error);
    if (error) break;
  }
  if (!error) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("open {} to the container's user: {}", directory, error.message()));
}

}  // namespace chappe::container
