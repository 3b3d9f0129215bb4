/// \file
/// Simulated time: what is due, in an order that the seed decides alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "engine/base/time.h"

namespace chappe::simulation {

/// True time is what this clock says; what a process reads on its own clock may be something else (see Clock).
class Timeline {
 public:
  MonoTime now() const { return now_; }
  bool empty() const { return due_.empty(); }
  std::uint64_t events() const { return events_; }

  /// Of two things that are due at the same time, the one that was asked for first goes first.
  void at(MonoTime time, std::function<void()> what) {
    due_.push_back({std::max(time, now_), ++asked_, std::move(what)});
    std::push_heap(due_.begin(), due_.end());
  }
  void after(Duration rest, std::function<void()> what) { at(now_ + rest, std::move(what)); }

  /// Requires: something is due.
  void next() {
    std::pop_heap(due_.begin(), due_.end());
    const Due due = std::move(due_.back());
    due_.pop_back();
    now_ = due.time;
    ++events_;
    due.what();
  }

 private:
  struct Due {
    MonoTime time;
    std::uint64_t order = 0;
    std::function<void()> what;
    bool operator<(const Due& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  MonoTime now_{0};
  std::uint64_t asked_ = 0;
  std::uint64_t events_ = 0;
  std::vector<Due> due_;  ///< A heap.
};

/// The clocks of one machine: its monotonic clock starts anywhere and drifts, its wall clock jumps.
struct Clock {
  std::int64_t start_us = 0;
  std::int64_t drift_ppm = 0;
  std::int64_t wall_us = 0;  ///< Added to the true time.

  MonoTime mono(MonoTime truth) const { return {start_us + truth.us + truth.us * drift_ppm / 1'000'000}; }
  WallTime wall(MonoTime truth) const { return {wall_us + truth.us}; }
  Now now(MonoTime truth) const { return {wall(truth), mono(truth)}; }
  /// The true time at which mono() says `time`, or a moment later.
  MonoTime truth(MonoTime time) const {
    const std::int64_t local = time.us - start_us;
    return {local - local * drift_ppm / (1'000'000 + drift_ppm) + 2};
  }
};

}  // namespace chappe::simulation
