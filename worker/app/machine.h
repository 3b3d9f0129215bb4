/// \file
/// What this machine, or the container in it, offers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace chappe::worker {

/// What the control groups of a process allow it, by those it is in and those around them.
struct GroupLimits {
  std::optional<std::int64_t> cpu_milli;
  std::optional<std::int64_t> memory_bytes;
};
/// `cgroups`: the text of its /proc/PID/cgroup. `mount`: where control groups are, of version 1 or 2.
GroupLimits group_limits(const std::string& cgroups, const std::string& mount = "/sys/fs/cgroup");

/// Thousandths of cores: those this process may run on, and no more than its control groups' quotas.
std::uint32_t available_cpu_milli();
/// The machine's memory, or its control groups' limit where that is less.
std::uint64_t available_memory();
std::string host_name();

}  // namespace chappe::worker
