#include "proto/transport/sessions.h"

#include <algorithm>
#include <iterator>

namespace chappe::transport {

constexpr auto kSweepEvery = std::chrono::seconds(10);

Session* Sessions::hear(const std::string& routing_id, std::string_view key, Session::Time now) {
  auto at = by_routing_id_.find(routing_id);
  if (at == by_routing_id_.end()) at = open(routing_id, key, now);
  if (at->second.key != key) return nullptr;
  at->second.heard = now;
  return &at->second;
}

const Session* Sessions::find(ConnectionId connection) const {
  const auto at = by_connection_.find(connection);
  return at == by_connection_.end() ? nullptr : at->second;
}

void Sessions::forget_idle(Session::Time now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  for (auto at = by_routing_id_.begin(); at != by_routing_id_.end();) {
    at = now - at->second.heard > kSessionIdleMax ? forget(at) : std::next(at);
  }
}

Sessions::ByRoutingId::iterator Sessions::open(const std::string& routing_id, std::string_view key, Session::Time now) {
  if (by_routing_id_.size() == kSessionsMax) {
    (void)forget(std::min_element(by_routing_id_.begin(), by_routing_id_.end(),
                                  [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; }));
  }
  const ConnectionId connection{++opened_};
  const auto at = by_routing_id_.emplace(routing_id, Session{connection, routing_id, std::string(key), now, {}}).first;
  by_connection_.emplace(connection, &at->second);  // Elements of an unordered_map stay where they are.
  return at;
}

Sessions::ByRoutingId::iterator Sessions::forget(ByRoutingId::iterator at) {
  by_connection_.erase(at->second.connection);
  return by_routing_id_.erase(at);
}

}  // namespace chappe::transport
