/// \file
/// How the owner of a container tells its thread to stop it.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "engine/base/time.h"

namespace chappe::container {

/// Thread: any.
class StopOrders {
 public:
  StopOrders();
  ~StopOrders();
  StopOrders(const StopOrders&) = delete;
  StopOrders& operator=(const StopOrders&) = delete;

  void stop(MonoTime kill_at);
  /// Somebody wants it stopped.
  const std::atomic<bool>& stopped() const { return stopped_; }
  /// When it must be killed; nullopt: nobody wants it stopped.
  std::optional<MonoTime> kill_at() const;
  /// Readable once there is news.
  int fd() const { return event_; }

 private:
  const int event_;
  std::atomic<bool> stopped_ = false;
  mutable std::mutex mutex_;
  std::optional<MonoTime> kill_at_;
};

}  // namespace chappe::container
