#include "scheduler/app/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/assert.h"

namespace chappe {

Mailbox::Mailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHAPPE_ASSERT(fd_ >= 0); }

Mailbox::~Mailbox() { close(fd_); }

bool Mailbox::post(Mail&& mail) {
  {
    const std::lock_guard lock(mutex_);
    const bool bounded = !std::holds_alternative<Event>(mail);
    if (bounded && requests_ >= kRequestsMax) return false;
    if (bounded) ++requests_;
    waiting_.push_back(std::move(mail));
  }
  const std::uint64_t one = 1;
  // The counter cannot overflow: the loop reads it before it has grown by much.
  (void)!write(fd_, &one, sizeof one);
  return true;
}

std::vector<Mail> Mailbox::take() {
  std::uint64_t count = 0;
  (void)!read(fd_, &count, sizeof count);  // Nothing to read: no news, or news that an earlier call took.
  const std::lock_guard lock(mutex_);
  requests_ = 0;
  return std::exchange(waiting_, {});
}

}  // namespace chappe
