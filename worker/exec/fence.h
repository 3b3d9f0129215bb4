/// \file
/// Until when tasks may run without further word: memory that the worker shares with its spawner, so that tasks end in
/// time even where the worker itself hangs or is stopped.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "engine/base/time.h"

namespace chappe::exec {

/// Two instants of CLOCK_BOOTTIME. Written by the worker's loop, read by the processes that watch tasks.
class Fence {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  void set(MonoTime terminate_at, MonoTime kill_at) {
    kill_at_.store(kill_at.us, std::memory_order_relaxed);
    terminate_at_.store(terminate_at.us, std::memory_order_relaxed);
  }
  MonoTime terminate_at() const { return {terminate_at_.load(std::memory_order_relaxed)}; }
  MonoTime kill_at() const { return {kill_at_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<std::int64_t> terminate_at_{kNever};
  std::atomic<std::int64_t> kill_at_{kNever};
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "shared between processes");

/// CLOCK_BOOTTIME: goes on while the machine sleeps, as the scheduler's leases do.
MonoTime boot_time();

}  // namespace chappe::exec
