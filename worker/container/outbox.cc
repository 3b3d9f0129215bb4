#include "worker/container/outbox.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "engine/base/assert.h"

namespace chappe::container {

Outbox::Outbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHAPPE_ASSERT(event_ >= 0); }
Outbox::~Outbox() { ::close(event_); }

void Outbox::ring() const {
  const std::uint64_t one = 1;
  (void)!::write(event_, &one, sizeof one);  // Fails only at 2^64 - 1.
}

void Outbox::put(News news) {
  const std::lock_guard lock(mutex_);
  news_.push_back(std::move(news));
  ring();
}

bool Outbox::put_output(AttemptId attempt, std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  taken_.wait(lock, [&] { return closed_ || bytes_[attempt] < kOutputBytesMax; });
  if (closed_) return false;
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  bytes_[attempt] += bytes.size();
  const bool goes_on = !news_.empty() && news_.back().kind == News::Kind::kOutput && news_.back().attempt == attempt;
  if (goes_on) {
    news_.back().output.append(text, bytes.size());
  } else {
    news_.push_back(
        {.kind = News::Kind::kOutput, .attempt = attempt, .output = std::string(text, bytes.size()), .end = {}});
  }
  ring();
  return true;
}

std::vector<News> Outbox::take() {
  std::uint64_t count = 0;
  (void)!::read(event_, &count, sizeof count);
  const std::lock_guard lock(mutex_);
  bytes_.clear();
  taken_.notify_all();
  return std::exchange(news_, {});
}

void Outbox::wait(Duration most) {
  pollfd fd{event_, POLLIN, 0};
  (void)::poll(&fd, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(most).count()));
}

void Outbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  taken_.notify_all();
}

}  // namespace chappe::container
