#include "scheduler/app/disk_space.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "engine/ports/log.h"

namespace chappe {
namespace {

constexpr int kLookEveryMs = 500;

}  // namespace

/// False: there is no answer.
bool DiskSpace::look() {
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) != 0 || disk.f_blocks == 0) return false;
  free_ = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  mark_ = std::min(kLowBytes, std::uint64_t{disk.f_blocks} * disk.f_frsize / kLowPart);
  return true;
}

bool DiskSpace::is_low() {
  const bool low = look() && free_ < (low_ ? mark_ + mark_ / 4 : mark_);
  if (low && !low_) log::warn("{}; nothing new is started until then", complaint());
  if (!low && low_) log::info("{} has space again: going on", directory_.native());
  return low_ = low;
}

std::string DiskSpace::complaint() const {
  return fmt::format("the disk of {} is full but for {} KiB: free {} KiB", directory_.native(), free_ >> 10,
                     (mark_ + mark_ / 4) >> 10);
}

void DiskSpace::wait_for_some(int stop_fd) {
  bool told = false;
  pollfd stop{stop_fd, POLLIN, 0};
  while (look() && free_ < mark_ / 4) {
    if (!std::exchange(told, true)) log::warn("{}; waiting for it", complaint());
    if (::poll(&stop, 1, kLookEveryMs) > 0) return;
  }
}

}  // namespace chappe
