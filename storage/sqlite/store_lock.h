/// \file
/// Keeps a second scheduler out of a metadata store: a flock that ends with the process, and no network file systems.
#pragma once

#include <filesystem>
#include <optional>

#include "engine/base/result.h"

namespace chappe::sqlite {

class StoreLock {
 public:
  /// Takes the lock and writes this process's id into the file. Errors: kConflict naming the process that holds it.
  static Result<StoreLock> take(const std::filesystem::path& file);
  /// The process that holds the lock now, as it calls itself; nullopt: nobody does, or there is no such file, and none
  /// is made. A look holds the lock for a moment, which take() waits out.
  static std::optional<int> find_holder(const std::filesystem::path& file);
  StoreLock(StoreLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  StoreLock& operator=(StoreLock&&) = delete;
  ~StoreLock();

 private:
  explicit StoreLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Errors: kUnsupported where `directory` is on a file system whose locks and shared memory SQLite cannot rely on.
Result<void> refuse_network_filesystem(const std::filesystem::path& directory);
/// `magic`: f_type of statfs(2). The name people know it by; nullptr for a local one.
const char* network_filesystem(long magic);

}  // namespace chappe::sqlite
