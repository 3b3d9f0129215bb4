/// \file
/// Has pods made and removed as the engine orders, and tells it what becomes of them: PodBook decides, KubernetesApi
/// asks, on threads of their own. What is in the namespace with our label and nobody ordered is removed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "engine/run/events.h"
#include "scheduler/launch/kubernetes_api.h"
#include "scheduler/launch/pod.h"
#include "scheduler/launch/pod_book.h"

namespace chappe::launch {

inline constexpr std::size_t kRequestsAtOnce = 8;
inline constexpr int kRequestsPerSecond = 800;  ///< To make, remove and look at pods.

class Launcher {
 public:
  using Report = std::function<void(Event)>;  ///< Called on a thread of the launcher, one call at a time.

  Launcher(ApiConfig api, PodSettings settings, Report report);
  ~Launcher();  ///< Waits for requests under way. Pods stay: they are ordered again at a start.

  /// `join_key`: the secret key of the pod's worker, in hex.
  void order(PodOrder order, std::string join_key);
  void release(const std::string& pod);
  /// All that was ordered before this start is: what else is there may go.
  void begin();

 private:
  using Clock = std::chrono::steady_clock;

  static MonoTime now();
  void serve(const std::stop_token& stop);
  std::optional<PodRequest> next_request(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  PodOutcome carry_out(const PodRequest& request);
  PodOutcome make(const PodRequest& request);
  void keep_watch(const std::stop_token& stop);
  bool list_all(std::string& version);
  bool watch_on(std::string version, const std::stop_token& stop);
  void complain(const std::string& what);
  void rest(Duration time, const std::stop_token& stop);
  void leave_alone(Duration time);
  /// The books, changed by `change`, and what it is news of.
  void update(const std::function<void(PodBook&, MonoTime)>& change);

  KubernetesApi api_;
  const PodSettings settings_;
  const std::string selector_;
  Report report_;
  std::mutex mutex_;
  std::mutex reporting_;  ///< Taken before `mutex_`: news goes out in the order in which it came.
  std::condition_variable_any changed_;
  PodBook book_;
  bool begun_ = false;
  std::atomic<bool> stops_ = false;
  MonoTime not_before_;  ///< No request is sent earlier.
  std::string complaint_;
  MonoTime complained_at_;
  std::vector<std::jthread> threads_;
};

}  // namespace chappe::launch
