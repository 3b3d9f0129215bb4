#include "worker/app/messenger.h"

#include <utility>

namespace chappe::worker {
namespace {

constexpr std::size_t kReportEntriesMax = 2'000;  ///< Each may carry objects and values.

}  // namespace

template <typename Event>
void Messenger::add(const std::vector<Event>& events) {
  for (const Event& event : events) {
    encoder_.add(event);
    if (++in_report_ < kReportEntriesMax && encoder_.report_bytes() < wire::kMessageMax / 2) continue;
    waiting_.push_back(encoder_.take_report());
    in_report_ = 0;
  }
}

void Messenger::send(const agent::AgentOrders& orders) {
  if (orders.hello) waiting_.push_back(encoder_.hello(*orders.hello));
  if (orders.goodbye_draining) waiting_.push_back(encoder_.goodbye(true));
  add(orders.started);
  add(orders.finished);
  add(orders.returned);
  if (std::exchange(in_report_, 0) > 0) waiting_.push_back(encoder_.take_report());
  if (orders.heartbeat) waiting_.push_back(encoder_.heartbeat(orders.heartbeat->batch_seen, orders.heartbeat->held));
  if (orders.goodbye) waiting_.push_back(encoder_.goodbye(false));
}

void Messenger::send_logs(std::span<const wire::LogChunk> chunks) {
  if (!chunks.empty()) waiting_.push_back(encoder_.logs(chunks));
}

bool Messenger::flush() {
  bool sent = false;
  while (!waiting_.empty() && link_.send(waiting_.front())) {
    waiting_.pop_front();
    sent = true;
  }
  return sent;
}

}  // namespace chappe::worker
