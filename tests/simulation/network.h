/// \file
/// The links between workers and schedulers. On one connection messages arrive in order, as over TCP; faults break that
/// and everything else.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/run/events.h"

namespace chappe::simulation {

class World;

enum class Direction : std::uint8_t { kToScheduler, kToWorker };

/// One message, or its bytes on the wire.
using Payload = std::variant<std::vector<Event>, WorkerSend, std::string>;

struct Packet {
  std::uint32_t worker = 0;
  std::uint32_t scheduler = 0;
  ConnectionId connection;
  Direction direction = Direction::kToScheduler;
  Payload payload;
  MonoTime sent_at{};
};

class Network {
 public:
  Network(World& world, std::uint32_t workers);

  /// The longest time that a message for a worker was under way. On its arrival it counts as word of the scheduler.
  Duration longest_way() const { return longest_way_; }

  void add_worker() { links_.emplace_back(); }
  /// The worker looks for a scheduler from now on, until it has a connection.
  void seek(std::uint32_t worker);
  /// The worker's process has said all that it had to: that arrives, though the process is gone by then.
  void close(std::uint32_t worker) { links_[worker].closed = links_[worker].connection; }
  /// The worker's process is gone, or its connection broke.
  void hang_up(std::uint32_t worker);
  /// The scheduler's process is gone: all of its connections are.
  void hang_up_all(std::uint32_t scheduler);
  bool connected(std::uint32_t worker) const { return links_[worker].up; }
  /// Who is on the connection; nullopt where it is one no more.
  std::optional<std::uint32_t> worker_on(ConnectionId connection) const;

  void send_to_scheduler(std::uint32_t worker, Payload payload);
  void send_to_worker(std::uint32_t scheduler, WorkerSend send);

  // ---- Faults ----
  void break_link(std::uint32_t worker);
  void clog(std::uint32_t worker, Direction direction, Duration time);
  void partition(std::uint32_t worker, Direction direction, Duration time);
  void heal();

 private:
  struct Link {
    std::uint32_t scheduler = 0;
    ConnectionId connection;
    ConnectionId closed;  ///< In order, before it was one no more.
    bool up = false;
    bool seeking = false;
    std::uint64_t seeks = 0;  ///< A search that is behind finds nothing.
    std::array<MonoTime, 2> clogged_until{};
    std::array<MonoTime, 2> cut_until{};
    std::array<MonoTime, 2> last_arrival{};
  };

  Duration longest_way_{};

  void look(std::uint32_t worker, std::uint64_t seek);
  void send(Packet packet);
  void travel(const Packet& packet, Duration extra, bool in_order);
  void put_on_way(Packet packet, MonoTime arrival);
  void arrive(std::uint64_t number);
  void deliver(Packet packet);
  void deliver_to_worker(const Packet& packet);

  World& world_;
  std::vector<Link> links_;
  std::map<std::uint64_t, Packet> on_way_;
  std::uint64_t sent_ = 0;
  std::uint64_t connections_ = 0;
};

}  // namespace chappe::simulation
