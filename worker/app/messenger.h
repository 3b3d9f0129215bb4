/// \file
/// The worker's messages on their way: encoded, split at their bounds, kept until the link takes them.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "proto/transport/scheduler_link.h"
#include "proto/wire/wire.h"
#include "worker/agent/agent.h"

namespace chappe::worker {

class Messenger {
 public:
  explicit Messenger(transport::SchedulerLink& link) : link_(link) {}

  /// True: all that was given is out, and more may come.
  bool ready() const { return waiting_.empty(); }
  void send(const agent::AgentOrders& orders);
  void send_logs(std::span<const wire::LogChunk> chunks);
  /// Tries to pass on what waits. True: something went out.
  bool flush();
  /// The connection is a new one: what waits was for the old one, and the agent says all of it again.
  void forget() { waiting_.clear(); }

 private:
  template <typename Event>
  void add(const std::vector<Event>& events);

  transport::SchedulerLink& link_;
  wire::WorkerEncoder encoder_;
  std::size_t in_report_ = 0;
  std::deque<std::string> waiting_;
};

}  // namespace chappe::worker
