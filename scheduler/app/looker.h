/// \file
/// Carries out the engine's orders to look at things outside: each at its own interval, a few at a time, on threads of
/// its own, so that nothing that is slow to answer holds up the loop; and no kind of thing holds up another.
///
/// Tells of a target once it is there, or must not be looked at, and then looks no more; and of why it is not there
/// whenever that changes. Of a listing it tells at the first look after an order, and whenever it changes, for ever.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/run/events.h"

namespace chappe {

class Looker {
 public:
  using Look = std::function<LookReported(const LookTarget&)>;  ///< Called on several threads at once.
  using Report = std::function<void(Event)>;                    ///< Called on a thread of the looker.

  Looker(Look look, Report report);
  ~Looker();  ///< Waits for looks under way.

  void order(const LookOrder& order);

 private:
  static constexpr std::array<std::size_t, 5> kThreads{2, 1, 4, 2, 2};  ///< By LookTarget::Kind: looks at a time.
  static constexpr std::size_t kKinds = kThreads.size();

  using Clock = std::chrono::steady_clock;
  using Plan = std::multimap<Clock::time_point, LookTarget>;
  struct Looked {
    Duration every{};
    std::uint64_t order = 0;                ///< A look of an earlier one counts for nothing.
    std::optional<Plan::iterator> planned;  ///< Not set: a look is under way.
    std::string told;
    std::string listed;  ///< Which listing was told: a digest; "": none since the order.
  };
  struct Lane {
    Plan due;
    std::condition_variable_any changed;
    std::vector<std::jthread> threads;  ///< From the first order on: a start does not wait for them.
  };

  void serve(Lane& lane, const std::stop_token& stop);
  void look_once(const LookTarget& target, std::unique_lock<std::mutex>& lock);
  void plan(const LookTarget& target, Looked& looked, Duration after);
  void forget(const LookTarget& target);
  Duration spread(Duration time);
  Lane& lane_of(const LookTarget& target) { return lanes_[static_cast<std::size_t>(target.kind)]; }

  Look look_;
  Report report_;
  std::mutex mutex_;
  std::map<LookTarget, Looked> looked_;
  std::uint64_t orders_ = 0;
  std::minstd_rand chance_{std::random_device{}()};
  std::array<Lane, kKinds> lanes_;
};

}  // namespace chappe
