#include "worker/app/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

namespace chappe::worker {
namespace {

/// The first number of a small file; nullopt where there is none ("max").
std::optional<std::int64_t> number_in(const char* file, std::int64_t* second = nullptr) {
  std::ifstream text(file);
  std::int64_t first = 0;
  if (!(text >> first)) return std::nullopt;
  if (second != nullptr && !(text >> *second)) return std::nullopt;
  return first;
}

std::optional<std::int64_t> quota_milli() {
  std::int64_t period = 0;
  if (const auto quota = number_in("/sys/fs/cgroup/cpu.max", &period); quota && period > 0) {
    return *quota * 1000 / period;
  }
  const auto quota = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  const auto v1_period = number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (quota && v1_period && *quota > 0 && *v1_period > 0) return *quota * 1000 / *v1_period;
  return std::nullopt;
}

}  // namespace

std::uint32_t available_cpu_milli() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const bool known = ::sched_getaffinity(0, sizeof cores, &cores) == 0;
  const std::int64_t milli = (known ? CPU_COUNT(&cores) : 1) * std::int64_t{1000};
  return static_cast<std::uint32_t>(std::max<std::int64_t>(std::min(milli, quota_milli().value_or(milli)), 1));
}

std::uint64_t available_memory() {
  const std::int64_t machine = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  std::int64_t least = machine;
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    least = std::min(least, number_in(file).value_or(machine));
  }
  return static_cast<std::uint64_t>(std::max<std::int64_t>(least, 0));
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

}  // namespace chappe::worker
