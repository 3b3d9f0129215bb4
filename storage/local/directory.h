/// \file
/// A directory that nothing leaves: every path is resolved by the kernel beneath it (openat2, RESOLVE_BENEATH), so that
/// neither ".." nor a link planted inside can lead out.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

namespace chappe::local {

/// An open file, closed with it.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File();
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// errno as an Error: "ACTION PATH: what the system says".
Error system_error(std::string_view action, std::string_view path, int number);

/// The folder that holds a path's last name, and that name.
struct Place {
  File folder;
  std::string name;
};

/// Thread: any, concurrently.
class Directory {
 public:
  /// Opens `path`, making it and its parents.
  static Result<Directory> open(const std::string& path);

  /// Opens what is at `path` beneath; `flags` as for open(2), without O_CREAT.
  Result<File> open_file(const std::string& path, int flags) const;
  /// The folder of `path`, made where it is missing; durable when it returns.
  Result<Place> make_place(const std::string& path) const;
  /// Removes folders on the way up from `path`'s as long as they are empty; leaves the first one.
  void prune_above(const std::string& path) const;
  const std::string& path() const { return path_; }
  int fd() const { return file_.fd(); }

 private:
  Result<File> open_or_make(const File& parent, const std::string& name, const std::string& path) const;

  std::string path_;
  File file_;
};

Result<void> sync(const File& file, std::string_view path);

}  // namespace chappe::local
