#include "tests/simulation/network.h"

#include <algorithm>

#include "proto/wire/wire.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/worker.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

std::size_t side(Direction direction) { return static_cast<std::size_t>(direction); }

}  // namespace

Network::Network(World& world, std::uint32_t workers) : world_(world), links_(workers) {}

void Network::seek(std::uint32_t worker) {
  Link& link = links_[worker];
  if (link.up || link.seeking) return;
  link.seeking = true;
  const std::uint64_t seek = ++link.seeks;
  world_.time.after(world_.up_to(500ms), [this, worker, seek] { look(worker, seek); });
}

void Network::look(std::uint32_t worker, std::uint64_t seek) {
  Link& link = links_[worker];
  if (!link.seeking || link.seeks != seek) return;
  const auto scheduler = world_.scheduler_to_meet();
  const MonoTime now = world_.time.now();
  const bool passable = std::max(link.cut_until[0], link.cut_until[1]) <= now;
  if (!scheduler || !passable) {
    world_.time.after(200ms + world_.up_to(1s), [this, worker, seek] { look(worker, seek); });
    return;
  }
  link.seeking = false;
  link.up = true;
  link.scheduler = *scheduler;
  link.connection = {++connections_};
  link.last_arrival = {};
  world_.journal.note("connected", worker, *scheduler, connections_);
  world_.workers[worker]->connected();
}

void Network::hang_up(std::uint32_t worker) {
  Link& link = links_[worker];
  link.up = link.seeking = false;
}

void Network::hang_up_all(std::uint32_t scheduler) {
  for (std::uint32_t worker = 0; worker < links_.size(); ++worker) {
    if (links_[worker].up && links_[worker].scheduler == scheduler) break_link(worker);
  }
}

std::optional<std::uint32_t> Network::worker_on(ConnectionId connection) const {
  for (std::uint32_t worker = 0; worker < links_.size(); ++worker) {
    if (links_[worker].up && links_[worker].connection == connection) return worker;
  }
  return std::nullopt;
}

void Network::send_to_scheduler(std::uint32_t worker, Payload payload) {
  const Link& link = links_[worker];
  if (!link.up) return;
  send({worker, link.scheduler, link.connection, Direction::kToScheduler, std::move(payload)});
}

void Network::send_to_worker(std::uint32_t scheduler, WorkerSend send_) {
  const ConnectionId connection = send_.to;
  const auto worker = worker_on(connection);
  if (!worker) return;
  if (!world_.plan.wire) return send({*worker, scheduler, connection, Direction::kToWorker, std::move(send_)});
  world_.saw(Sight::kWireUsed);
  for (std::string& bytes : world_.wire.scheduler_encoder.encode(send_)) {
    send({*worker, scheduler, connection, Direction::kToWorker, std::move(bytes)});
  }
}

void Network::send(Packet packet) {
  packet.sent_at = world_.time.now();
  const Link& link = links_[packet.worker];
  if (link.cut_until[side(packet.direction)] > world_.time.now()) return;
  if (world_.happens(Fault::kLoseMessage)) return;
  if (world_.happens(Fault::kDuplicateMessage)) travel(packet, {}, true);
  if (world_.happens(Fault::kReplayMessage)) travel(packet, 1s + world_.up_to(world_.plan.lease), false);
  const bool overtakes = world_.happens(Fault::kReorderMessage);
  const Duration extra = world_.happens(Fault::kDelayMessage) ? world_.up_to(world_.plan.lease / 3) : Duration{};
  travel(packet, extra, !overtakes);
}

void Network::travel(const Packet& packet, Duration extra, bool in_order) {
  MonoTime& last = links_[packet.worker].last_arrival[side(packet.direction)];
  MonoTime arrival = world_.time.now() + world_.plan.latency_min + world_.up_to(world_.plan.latency_spread) + extra;
  if (in_order) arrival = last = std::max(arrival, last);
  put_on_way(packet, arrival);
}

void Network::put_on_way(Packet packet, MonoTime arrival) {
  const std::uint64_t number = ++sent_;
  on_way_.emplace(number, std::move(packet));
  world_.time.at(arrival, [this, number] { arrive(number); });
}

void Network::arrive(std::uint64_t number) {
  auto packet = std::move(on_way_.extract(number).mapped());
  const MonoTime free_at = links_[packet.worker].clogged_until[side(packet.direction)];
  if (free_at > world_.time.now()) return put_on_way(std::move(packet), free_at);
  deliver(std::move(packet));
}

void Network::deliver(Packet packet) {
  if (packet.direction == Direction::kToWorker) return deliver_to_worker(packet);
  const Link& link = links_[packet.worker];
  const bool current = (link.up && link.connection == packet.connection) || link.closed == packet.connection;
  // What a connection that broke had passed on already is read all the same, late.
  if (!current && !world_.chance.one_in(2)) return;
  world_.schedulers[packet.scheduler]->take(std::move(packet));
}

void Network::deliver_to_worker(const Packet& packet) {
  const Link& link = links_[packet.worker];
  if (!link.up || link.connection != packet.connection) return;
  longest_way_ = std::max<Duration>(longest_way_, world_.time.now() - packet.sent_at);
  Worker& worker = *world_.workers[packet.worker];
  if (const auto* send = std::get_if<WorkerSend>(&packet.payload)) return worker.take(*send);
  const std::string& bytes = std::get<std::string>(packet.payload);
  const auto decoded = world_.wire.scheduler_decoder.decode(std::as_bytes(std::span(bytes)));
  if (!decoded) return world_.laws.broken(Law::kOwnAttemptsOnly, "a scheduler's message does not decode");
  worker.take(*decoded);
}

void Network::break_link(std::uint32_t worker) {
  if (!links_[worker].up) return;
  hang_up(worker);
  seek(worker);
}

void Network::clog(std::uint32_t worker, Direction direction, Duration time) {
  MonoTime& until = links_[worker].clogged_until[side(direction)];
  until = std::max(until, world_.time.now() + time);
}

void Network::partition(std::uint32_t worker, Direction direction, Duration time) {
  MonoTime& until = links_[worker].cut_until[side(direction)];
  until = std::max(until, world_.time.now() + time);
}

void Network::heal() {
  for (Link& link : links_) {
    link.clogged_until = {};
    link.cut_until = {};
  }
}

}  // namespace chappe::simulation
