#include "worker/app/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>

#include "worker/exec/control_groups.h"

namespace chappe::worker {
namespace {

/// The first number of a small file; nullopt where there is none ("max").
std::optional<std::int64_t> number_in(const std::string& file, std::int64_t* second = nullptr) {
  std::ifstream text(file);
  std::int64_t first = 0;
  if (!(text >> first)) return std::nullopt;
  if (second != nullptr && !(text >> *second)) return std::nullopt;
  return first;
}

void lower(std::optional<std::int64_t>& to, std::optional<std::int64_t> limit) {
  if (limit && (!to || *limit < *to)) to = limit;
}

std::optional<std::int64_t> milli_of(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota * 1000 / *period;
}

GroupLimits own_limits() {
  std::ifstream cgroups("/proc/self/cgroup");
  return group_limits({std::istreambuf_iterator<char>(cgroups), {}});
}

}  // namespace

GroupLimits group_limits(const std::string& cgroups, const std::string& mount) {
  GroupLimits limits;
  for (const std::string& group : exec::group_directories(cgroups, "", mount)) {
    std::int64_t period = 0;
    const auto quota = number_in(group + "/cpu.max", &period);
    lower(limits.cpu_milli, milli_of(quota, period));
    lower(limits.memory_bytes, number_in(group + "/memory.max"));
  }
  for (const std::string& group : exec::group_directories(cgroups, "cpu", mount + "/cpu")) {
    const auto quota = number_in(group + "/cpu.cfs_quota_us");
    lower(limits.cpu_milli, milli_of(quota, number_in(group + "/cpu.cfs_period_us")));
  }
  for (const std::string& group : exec::group_directories(cgroups, "memory", mount + "/memory")) {
    lower(limits.memory_bytes, number_in(group + "/memory.limit_in_bytes"));
  }
  return limits;
}

std::uint32_t available_cpu_milli() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const bool known = ::sched_getaffinity(0, sizeof cores, &cores) == 0;
  const std::int64_t milli = (known ? CPU_COUNT(&cores) : 1) * std::int64_t{1000};
  return static_cast<std::uint32_t>(std::max<std::int64_t>(std::min(milli, own_limits().cpu_milli.value_or(milli)), 1));
}

std::uint64_t available_memory() {
  const std::int64_t machine = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  const std::int64_t least = std::min(machine, own_limits().memory_bytes.value_or(machine));
  return static_cast<std::uint64_t>(std::max<std::int64_t>(least, 0));
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

}  // namespace chappe::worker
