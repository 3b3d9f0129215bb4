#include "storage/local/directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace chappe::local {
namespace {

int open_beneath(int folder, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    // EAGAIN: something was renamed while the path was resolved; the kernel wants to be asked again.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

ErrorCode code_of(int number) {
  switch (number) {
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kConflict;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermissionDenied;
    case ENOSYS:
      return ErrorCode::kUnsupported;
    case ENOTDIR:
    case EISDIR:
    case EXDEV:
    case ELOOP:
    case ENAMETOOLONG:
      return ErrorCode::kInvalidInput;
    default:
      return ErrorCode::kUnavailable;
  }
}

std::string_view remedy_of(int number) {
  switch (number) {
    case ENOTDIR:
      return "; another object is stored where this one needs a folder";
    case EISDIR:
      return "; a folder of other objects has this name";
    case EXDEV:
      return "; a link leads out of the store";
    case ENOSPC:
      return "; free space or choose another object store";
    default:
      return "";
  }
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

}  // namespace

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Error system_error(std::string_view action, std::string_view path, int number) {
  return {code_of(number), fmt::format("{} {}: {}{}", action, path, std::strerror(number), remedy_of(number))};
}

Result<void> sync(const File& file, std::string_view path) {
  if (::fsync(file.fd()) != 0) return fail(system_error("sync", path, errno));
  return {};
}

Result<Directory> Directory::open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  Directory directory;
  directory.path_ = path;
  directory.file_ = File(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.file_.is_open()) return fail(system_error("open directory", path, error ? error.value() : errno));
  return directory;
}

Result<File> Directory::open_file(const std::string& path, int flags) const {
  File file(open_beneath(file_.fd(), path.c_str(), flags));
  if (!file.is_open()) return fail(system_error("open", path, errno));
  return file;
}

Result<File> Directory::open_or_make(const File& parent, const std::string& name, const std::string& path) const {
  const int at = parent.is_open() ? parent.fd() : file_.fd();
  File folder(open_beneath(at, name.c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.is_open()) return folder;
  if (errno != ENOENT) return fail(system_error("open folder for", path, errno));
  if (::mkdirat(at, name.c_str(), 0777) != 0 && errno != EEXIST)
    return fail(system_error("make folder for", path, errno));
  if (::fsync(at) != 0) return fail(system_error("sync", path, errno));
  folder = File(open_beneath(at, name.c_str(), O_RDONLY | O_DIRECTORY));
  if (!folder.is_open()) return fail(system_error("open folder for", path, errno));
  return folder;
}

Result<Place> Directory::make_place(const std::string& path) const {
  const std::string folder_path = folder_of(path);
  Place place{.name = path.substr(folder_path.empty() ? 0 : folder_path.size() + 1)};
  place.folder =
      File(open_beneath(file_.fd(), folder_path.empty() ? "." : folder_path.c_str(), O_RDONLY | O_DIRECTORY));
  if (place.folder.is_open()) return place;
  if (errno != ENOENT) return fail(system_error("open folder for", path, errno));
  for (std::size_t start = 0; start < folder_path.size();) {
    const std::size_t end = std::min(folder_path.find('/', start), folder_path.size());
    auto next = open_or_make(place.folder, folder_path.substr(start, end - start), path);
    if (!next) return fail(std::move(next.error()));
    place.folder = std::move(*next);
    start = end + 1;
  }
  return place;
}

void Directory::prune_above(const std::string& path) const {
  for (std::string folder = folder_of(path); folder.find('/') != std::string::npos; folder = folder_of(folder)) {
    const auto above = open_file(folder_of(folder), O_RDONLY | O_DIRECTORY);
    if (!above) return;
    if (::unlinkat(above->fd(), folder.substr(folder.rfind('/') + 1).c_str(), AT_REMOVEDIR) != 0) return;
  }
}

}  // namespace chappe::local
