// Many workers in one process (at most 300: libzmq has a bound), who say hello and send heartbeats but take no work:
//
//   crowd ENDPOINT SERVER_KEY KEY_FILE COUNT NAME
//
// Prints a line each time when all of them are welcome in an epoch of the scheduler: "epoch 2: 250". Ends by a signal.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/transport/scheduler_link.h"

namespace {

using namespace chappe;
using Clock = std::chrono::steady_clock;

constexpr auto kSweepEvery = std::chrono::milliseconds(500);

/// One worker of the crowd.
class Member {
 public:
  Member(std::unique_ptr<transport::SchedulerLink> link, WorkerHello hello)
      : link_(std::move(link)), hello_(std::move(hello)) {}

  /// Takes in and tells what is due.
  void turn(wire::WorkerEncoder& encoder, Clock::time_point now) {
    if (const std::uint64_t connections = link_->connections(); connections != connections_) {
      connections_ = connections;
      hello_due_ = true;
    }
    if (hello_due_ && link_->send(encoder.hello(hello_))) hello_due_ = false;
    while (const auto told = link_->receive()) {
      if (told->hello_please) hello_due_ = true;
      if (!told->welcome) continue;
      epoch_ = told->welcome->epoch;
      rest_ = std::chrono::microseconds(told->welcome->heartbeat.count());
      heartbeat_at_ = now + rest_;
    }
    if (epoch_ == 0 || now < heartbeat_at_ || !link_->send(encoder.heartbeat(0, {}))) return;
    heartbeat_at_ = now + rest_;
  }
  std::uint32_t epoch() const { return epoch_; }
  int fd() const { return link_->fd(); }

 private:
  std::unique_ptr<transport::SchedulerLink> link_;
  const WorkerHello hello_;
  std::uint64_t connections_ = 0;
  bool hello_due_ = false;
  std::uint32_t epoch_ = 0;  ///< 0: not welcome yet.
  Clock::time_point heartbeat_at_;
  Clock::duration rest_{};
};

std::vector<Member> gather(const transport::SchedulerLinkConfig& config, int count, const std::string& name) {
  std::vector<Member> crowd;
  for (int i = 0; i < count; ++i) {
    auto link = transport::SchedulerLink::connect(config);
    if (!link) {
      fmt::print(stderr, "crowd: {}\n", link.error().message);
      std::exit(1);
    }
    WorkerHello hello;
    hello.incarnation = fmt::format("{:016x}{:016x}", ::getpid(), i);
    hello.name = fmt::format("{}-{}", name, i);
    hello.host = "crowd";
    crowd.emplace_back(*std::move(link), std::move(hello));
  }
  return crowd;
}

/// Waits for news of some, at most kSweepEvery.
void wait(const std::vector<Member>& crowd, std::vector<pollfd>& fds) {
  fds.clear();
  for (const Member& member : crowd) fds.push_back({member.fd(), POLLIN, 0});
  (void)::poll(fds.data(), fds.size(), static_cast<int>(kSweepEvery.count()));
}

[[noreturn]] void live(std::vector<Member> crowd) {
  wire::WorkerEncoder encoder;
  std::vector<pollfd> fds(crowd.size(), pollfd{-1, 0, POLLIN});
  Clock::time_point sweep_at;  // Descriptors do not tell of everything: now and then all have their turn.
  std::uint32_t whole = 0;     // The last epoch in which all were welcome.
  for (;; wait(crowd, fds)) {
    const Clock::time_point now = Clock::now();
    const bool sweep = now >= sweep_at;
    if (sweep) sweep_at = now + kSweepEvery;
    std::uint32_t earliest = std::numeric_limits<std::uint32_t>::max();
    for (std::size_t i = 0; i < crowd.size(); ++i) {
      if (sweep || fds[i].revents != 0) crowd[i].turn(encoder, now);
      earliest = std::min(earliest, crowd[i].epoch());
    }
    if (earliest == whole) continue;
    whole = earliest;
    fmt::print("epoch {}: {}\n", whole, crowd.size());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  auto keys = transport::load_keys(argv[3]);
  if (!keys) return 1;
  live(gather({.endpoint = argv[1], .server_key = argv[2], .keys = *std::move(keys)}, std::atoi(argv[4]), argv[5]));
}
