/// \file
/// How other threads reach the scheduler's loop: a bounded queue with an eventfd to poll.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <variant>
#include <vector>

#include "engine/run/engine.h"
#include "scheduler/api/backend.h"

namespace chappe {

/// Somebody asks the engine to decide something, and waits for the answer.
struct Request {
  Event event;
  api::Backend::Done done;
};

/// Somebody asks the engine something that changes nothing.
using Query = std::function<void(const Engine&, Now)>;

/// News of the daemon's own threads. Bounded by what the engine asked them to do.
using Mail = std::variant<Request, Query, Event>;

/// Thread: post from any, take from one.
class Mailbox {
 public:
  static constexpr std::size_t kRequestsMax = 1024;  ///< Requests and queries that may wait.

  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  int fd() const { return fd_; }  ///< Readable when there is mail.
  /// False: too many requests and queries wait; `mail` is as it was. The daemon's own news always fits.
  bool post(Mail&& mail);
  /// Everything that came since the last call, in order.
  std::vector<Mail> take();

 private:
  int fd_;
  std::mutex mutex_;
  std::vector<Mail> waiting_;
  std::size_t requests_ = 0;
};

}  // namespace chappe
