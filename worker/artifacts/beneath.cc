#include "worker/artifacts/beneath.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace chappe::artifacts {
namespace {

ErrorCode code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EXDEV:
    case ELOOP:
      return ErrorCode::kInvalidInput;
    case EEXIST:
      return ErrorCode::kConflict;
    case EACCES:
    case EPERM:
      return ErrorCode::kPermissionDenied;
    default:
      return ErrorCode::kUnavailable;
  }
}

Failure failed(std::string_view what, const std::string& path, int error) {
  const char* why = error == EXDEV ? "it leads out of the work directory" : std::strerror(error);
  return fail(code_of(error), fmt::format("{} '{}': {}", what, path, why));
}

File open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return File(static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
}

}  // namespace

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

bool is_plain_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t slash = std::min(path.find('/', from), path.size());
    const std::string_view segment = path.substr(from, slash - from);
    if (segment.empty() || segment == "." || segment == "..") return false;
    from = slash + 1;
  }
  return true;
}

bool stays_beneath(std::string_view path, std::string_view link_target) {
  if (link_target.empty() || link_target.front() == '/') return false;
  int depth = 0;
  for (const char letter : path) depth += letter == '/' ? 1 : 0;
  for (std::size_t from = 0; from <= link_target.size();) {
    const std::size_t slash = std::min(link_target.find('/', from), link_target.size());
    const std::string_view segment = link_target.substr(from, slash - from);
    if (segment == "..") --depth;
    if (!segment.empty() && segment != "." && segment != "..") ++depth;
    if (depth < 0) return false;
    from = slash + 1;
  }
  return true;
}

Result<Folder> Folder::open(const std::string& directory) {
  File file(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!file.is_open()) return failed("open directory", directory, errno);
  return Folder(std::move(file));
}

Result<File> Folder::open_file(const std::string& path, int flags) const {
  if (!is_plain_path(path) && path != ".") return failed("open", path, EXDEV);
  File file = open_beneath(fd(), path, flags, 0);
  if (!file.is_open()) return failed("open", path, errno);
  return file;
}

Result<File> Folder::make_folder(const std::string& path) const {
  if (!is_plain_path(path)) return failed("make directory", path, EXDEV);
  File folder = open_beneath(fd(), ".", O_PATH | O_DIRECTORY, 0);
  for (std::size_t from = 0; from < path.size() && folder.is_open();) {
    const std::size_t slash = std::min(path.find('/', from), path.size());
    const std::string segment = path.substr(from, slash - from);
    (void)::mkdirat(folder.fd(), segment.c_str(), 0755);  // There already, or the next line says why not.
    folder = open_beneath(folder.fd(), segment, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    from = slash + 1;
  }
  if (!folder.is_open()) return failed("make directory", path, errno);
  return folder;
}

Result<File> Folder::parent_of(const std::string& path) const {
  if (!is_plain_path(path)) return failed("make", path, EXDEV);
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos) return make_folder(path.substr(0, slash));
  File file = open_beneath(fd(), ".", O_PATH | O_DIRECTORY, 0);
  if (!file.is_open()) return failed("open", ".", errno);
  return file;
}

Result<File> Folder::create_file(const std::string& path, mode_t mode) const {
  Result<File> parent = parent_of(path);
  if (!parent) return parent;
  File file =
      open_beneath(parent->fd(), path.substr(path.rfind('/') + 1), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!file.is_open()) return failed("create", path, errno);
  return file;
}

Result<void> Folder::make_link(const std::string& path, const std::string& target) const {
  const Result<File> parent = parent_of(path);
  if (!parent) return fail(parent.error());
  const std::string name = path.substr(path.rfind('/') + 1);
  if (::symlinkat(target.c_str(), parent->fd(), name.c_str()) != 0) return failed("link", path, errno);
  return {};
}

Result<void> Folder::remove_file(const std::string& path) const {
  if (!is_plain_path(path)) return failed("remove", path, EXDEV);
  // unlinkat() alone would follow links on the way, wherever they lead.
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  const File folder = open_beneath(fd(), parent, O_PATH | O_DIRECTORY, 0);
  const std::string name = path.substr(slash + 1);  // All of it where there is no slash.
  if (!folder.is_open() || ::unlinkat(folder.fd(), name.c_str(), 0) != 0) return failed("remove", path, errno);
  return {};
}

}  // namespace chappe::artifacts
