#include "worker/container/stop_orders.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/assert.h"

namespace chappe::container {

StopOrders::StopOrders() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHAPPE_ASSERT(event_ >= 0); }
StopOrders::~StopOrders() { ::close(event_); }

void StopOrders::stop(MonoTime kill_at) {
  const std::lock_guard lock(mutex_);
  kill_at_ = std::min(kill_at_.value_or(kill_at), kill_at);
  stopped_ = true;
  const std::uint64_t one = 1;
  (void)!::write(event_, &one, sizeof one);
}

std::optional<MonoTime> StopOrders::kill_at() const {
  const std::lock_guard lock(mutex_);
  return kill_at_;
}

}  // namespace chappe::container
