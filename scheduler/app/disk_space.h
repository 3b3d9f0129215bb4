/// \file
/// Whether the disk of the state directory has room for what the scheduler still has to commit.
///
/// A commit that finds no room ends the process, and it could not start again either. So the loop stops taking in work
/// while there still is some: workers keep their leases and their results, requests are refused with the reason, and
/// all of it goes on by itself when space is freed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace chappe {

class DiskSpace {
 public:
  /// Of a disk that is not small: a write-ahead log of the most that it may grow to, four times.
  static constexpr std::uint64_t kLowBytes = std::uint64_t{64} << 20;
  static constexpr std::uint64_t kLowPart = 16;  ///< Of a small one: a sixteenth.

  explicit DiskSpace(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// Looks anew (about a microsecond), and logs where that has changed. Once low, it stays so until a quarter more than
  /// the mark is free. A disk that cannot be asked is not low.
  bool is_low();
  /// What to tell who asks for something meanwhile.
  std::string complaint() const;
  /// Where there is hardly any room at all, a start would fail: waits until there is, or `stop_fd` is readable.
  void wait_for_some(int stop_fd);

 private:
  bool look();

  const std::filesystem::path directory_;
  std::uint64_t free_ = 0;
  std::uint64_t mark_ = 0;
  bool low_ = false;
};

}  // namespace chappe
