/// \file
/// The connections of workers that a port knows: a number each, bound to the CURVE key of its first message.
///
/// libzmq does not tell when a peer is gone, so what was silent for long is forgotten, and what is too much drives out
/// what was silent longest. Should a forgotten one speak again, it gets a new number and the engine asks it to say
/// hello. Pure: time is an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/ids.h"

namespace chappe::transport {

inline constexpr std::size_t kSessionsMax = 16'384;
inline constexpr std::chrono::minutes kSessionIdleMax{5};

struct Session {
  using Time = std::chrono::steady_clock::time_point;
  ConnectionId connection;
  std::string routing_id;
  std::string key;  ///< Z85.
  Time heard;
  std::optional<AttemptId> of_attempt;  ///< As WorkerJoined::join_key_of; not set: nothing was heard yet.
  std::optional<Time> complained;       ///< When a message of it was last complained about.
};

class Sessions {
 public:
  /// The sender's session; a new one at its first message. Null: it came with another key than its first message.
  /// Valid until the next call of hear() or forget_idle(). Cost: O(1), O(sessions) where one must be driven out.
  Session* hear(const std::string& routing_id, std::string_view key, Session::Time now);
  /// Null where the connection is not known (any more).
  const Session* find(ConnectionId connection) const;
  /// Cost: O(sessions), every ten seconds.
  void forget_idle(Session::Time now);
  std::size_t size() const { return by_routing_id_.size(); }

 private:
  using ByRoutingId = std::unordered_map<std::string, Session>;
  ByRoutingId::iterator open(const std::string& routing_id, std::string_view key, Session::Time now);
  ByRoutingId::iterator forget(ByRoutingId::iterator at);

  ByRoutingId by_routing_id_;
  std::unordered_map<ConnectionId, const Session*> by_connection_;
  std::uint64_t opened_ = 0;
  Session::Time next_sweep_{};
};

}  // namespace chappe::transport
