/// \file
/// Files beneath one directory, whatever names and links say: nothing outside it can be reached.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

namespace chappe::artifacts {

/// A file descriptor that closes itself.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  ~File();
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept;
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Relative, without empty, "." or ".." segments: what a path of a task may be.
bool is_plain_path(std::string_view path);
/// True for a symbolic link at `path` that leads to something beneath the same root, by its text alone.
bool stays_beneath(std::string_view path, std::string_view link_target);

class Folder {
 public:
  /// Errors: kNotFound and as the system says.
  static Result<Folder> open(const std::string& directory);
  explicit Folder(File directory) : directory_(std::move(directory)) {}

  /// Opens what is there; links are followed as long as they stay beneath. Errors: kNotFound; kInvalidInput: the path
  /// or a link leads outside; kPermissionDenied.
  Result<File> open_file(const std::string& path, int flags) const;
  /// Makes a new file, and its folders. Errors: kConflict: there is one; as open_file().
  Result<File> create_file(const std::string& path, mode_t mode) const;
  /// Makes it, and its parents; one that is there is none of its errors.
  Result<File> make_folder(const std::string& path) const;
  Result<void> make_link(const std::string& path, const std::string& target) const;
  Result<void> remove_file(const std::string& path) const;
  int fd() const { return directory_.fd(); }

 private:
  Result<File> parent_of(const std::string& path) const;

  File directory_;
};

}  // namespace chappe::artifacts
