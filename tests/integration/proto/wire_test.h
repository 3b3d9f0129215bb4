/// \file
/// A port and its links on loopback, and how tests of both wait: by condition, with a deadline.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <zmq.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/transport/scheduler_link.h"
#include "proto/transport/worker_port.h"

namespace chappe::transport {

inline KeyPair new_keys() {
  std::array<char, 41> public_key{};
  std::array<char, 41> secret_key{};
  EXPECT_EQ(zmq_curve_keypair(public_key.data(), secret_key.data()), 0);
  return {.public_key = public_key.data(), .secret_key = secret_key.data()};
}

inline constexpr auto kDeadline = std::chrono::seconds(20);

/// One scheduler's port that lets two worker keys in; tests are its owner's thread.
class WireTest : public testing::Test {
 protected:
  /// libzmq gives an address back some time after its socket was closed: a second bind() waits for that.
  void bind(const std::string& endpoint = "tcp://127.0.0.1:*") {
    const WorkerPortConfig config{
        .endpoint = endpoint, .keys = scheduler_keys_, .authorized = {worker_keys_.public_key, other_keys_.public_key}};
    const auto end = std::chrono::steady_clock::now() + kDeadline;
    auto bound = WorkerPort::bind(config);
    while (!bound && std::chrono::steady_clock::now() < end) bound = WorkerPort::bind(config);
    ASSERT_TRUE(bound.has_value()) << bound.error().message;
    port_ = *std::move(bound);
  }

  std::unique_ptr<SchedulerLink> link_with(const KeyPair& keys, const std::string& server_key) {
    auto link = SchedulerLink::connect({.endpoint = port_->endpoint(), .server_key = server_key, .keys = keys});
    EXPECT_TRUE(link.has_value()) << link.error().message;
    return *std::move(link);
  }
  std::unique_ptr<SchedulerLink> link() { return link_with(worker_keys_, scheduler_keys_.public_key); }

  /// Serves the port and the links until `done` is true. Fails the test at the deadline.
  template <typename Done>
  void serve_until(const std::vector<SchedulerLink*>& links, Done done,
                   std::chrono::milliseconds deadline = kDeadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (true) {
      if (port_ != nullptr) {
        while (port_->receive(said_, 1000) > 0) continue;
      }
      for (SchedulerLink* one : links) {
        while (auto told = one->receive()) told_.emplace_back(one, *std::move(told));
      }
      if (done()) return;
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "not in time";
      wait(links);
    }
  }

  void serve_for(const std::vector<SchedulerLink*>& links, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    serve_until(links, [end] { return std::chrono::steady_clock::now() >= end; });
  }

  template <typename Kind>
  std::vector<Kind> events() const {
    std::vector<Kind> found;
    for (const Event& event : said_.events) {
      if (const auto* one = std::get_if<Kind>(&event)) found.push_back(*one);
    }
    return found;
  }

  /// Sends as soon as a connection stands.
  void send(SchedulerLink& link, const std::string& message) {
    serve_until({&link}, [&] { return link.send(message); });
  }

  static WorkerHello hello(std::string name) {
    return {.incarnation = std::string(32, 'a'),
            .name = std::move(name),
            .host = "h",
            .capacity = {.cpu_milli = 2000},
            .noop_depth = 1024,
            .prefetch = 0,
            .labels = {},
            .held = {}};
  }

  KeyPair scheduler_keys_ = new_keys();
  KeyPair worker_keys_ = new_keys();
  KeyPair other_keys_ = new_keys();
  std::unique_ptr<WorkerPort> port_;
  wire::WorkerSays said_;
  std::vector<std::pair<SchedulerLink*, WorkerSend>> told_;
  wire::WorkerEncoder encoder_;

 private:
  void wait(const std::vector<SchedulerLink*>& links) {
    std::vector<pollfd> fds;
    if (port_ != nullptr) fds.push_back({port_->fd(), POLLIN, 0});
    for (SchedulerLink* one : links) fds.push_back({one->fd(), POLLIN, 0});
    (void)poll(fds.data(), fds.size(), 50);  // A time-out is no failure: the condition is looked at again.
  }
};

}  // namespace chappe::transport
