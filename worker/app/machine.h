/// \file
/// What this machine, or the container in it, offers.
#pragma once

#include <cstdint>
#include <string>

namespace chappe::worker {

/// Thousandths of cores: those this process may run on, and no more than the control group's quota.
std::uint32_t available_cpu_milli();
/// The machine's memory, or the control group's limit where that is less.
std::uint64_t available_memory();
std::string host_name();

}  // namespace chappe::worker
