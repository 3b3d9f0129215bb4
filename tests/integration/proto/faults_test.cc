// The wire under a network that stops carrying, and under signals.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/integration/proto/wire_test.h"

namespace chappe::transport {
namespace {

using namespace std::chrono_literals;
using testing::SizeIs;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t port_of(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
}

/// Carries bytes between a worker and the scheduler, until told to keep all of them to itself. Connections stay open
/// then, as they do when a cable is pulled.
class Network {
 public:
  explicit Network(std::uint16_t to) : to_(to), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { carry(); });
  }
  ~Network() {
    stop_ = true;
    thread_.join();
    for (const auto& [a, b] : pairs_) close(a), close(b);
    close(listener_);
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  void fall_silent(bool silent) { silent_ = silent; }

 private:
  void carry() {
    while (!stop_) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}};
      for (const auto& [a, b] : pairs_) fds.insert(fds.end(), {{a, POLLIN, 0}, {b, POLLIN, 0}});
      if (poll(fds.data(), fds.size(), 5) <= 0 || silent_) continue;
      for (std::size_t i = 1; i < fds.size(); ++i) {
        const auto& [a, b] = pairs_[(i - 1) / 2];
        if (fds[i].revents != 0) pass_on(fds[i].fd, fds[i].fd == a ? b : a);
      }
      if (fds[0].revents != 0) accept_one();
    }
  }

  void accept_one() {
    const int worker = accept(listener_, nullptr, nullptr);
    const int scheduler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_);
    EXPECT_EQ(connect(scheduler, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    pairs_.emplace_back(worker, scheduler);
  }

  static void pass_on(int from, int to) {
    std::array<char, 65536> block{};
    const ssize_t count = recv(from, block.data(), block.size(), 0);
    if (count > 0) {
      (void)::send(to, block.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
    } else {
      shutdown(to, SHUT_RDWR);
    }
  }

  std::uint16_t to_;
  int listener_;
  std::string endpoint_;
  std::vector<std::pair<int, int>> pairs_;
  std::atomic<bool> silent_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class FaultsTest : public WireTest {};

TEST_F(FaultsTest, AWorkerNoticesANetworkThatFellSilentAndComesBack) {
  bind();
  Network network(port_of(port_->endpoint()));
  auto connected = SchedulerLink::connect(
      {.endpoint = network.endpoint(), .server_key = scheduler_keys_.public_key, .keys = worker_keys_});
  ASSERT_TRUE(connected.has_value());
  SchedulerLink& worker = **connected;
  send(worker, encoder_.hello(hello("w1")));
  serve_until({&worker}, [&] { return !said_.events.empty(); });
  const ConnectionId before = events<WorkerJoined>()[0].connection;

  network.fall_silent(true);
  serve_until({&worker}, [&] { return worker.trouble() != ""; });
  // What nobody can get is not queued.
  serve_until({&worker}, [&] { return !worker.send(encoder_.heartbeat(0, {})); });

  network.fall_silent(false);
  serve_until({&worker}, [&] { return worker.connections() >= 2; });
  send(worker, encoder_.hello(hello("w1")));
  serve_until({&worker}, [&] { return events<WorkerJoined>().size() >= 2; });
  EXPECT_NE(events<WorkerJoined>().back().connection, before);
}

/// True where the kernel's timer of a connection to the port is that of keep-alive.
bool is_kept_alive(std::uint16_t port) {
  std::ifstream table("/proc/net/tcp");
  const std::string local = fmt::format(":{:04X} ", port);
  for (std::string line; std::getline(table, line);) {
    // Source: proc(5): local address, remote address, state (01: established), queues, timer (02: keep-alive).
    const std::size_t at = line.find(local);
    if (at == std::string::npos || at > 20) continue;
    std::istringstream words(line.substr(at + local.size()));
    std::string remote, state, queues, timer;
    words >> remote >> state >> queues >> timer;
    if (state == "01" && timer.starts_with("02:")) return true;
  }
  return false;
}

// What comes of it is seen between two machines: tests/faults/network_test.py.
TEST_F(FaultsTest, TheKernelAsksForTheSchedulerWhetherAWorkerIsStillThere) {
  bind();
  const auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return is_kept_alive(port_of(port_->endpoint())); });
}

/// A signal every 50 microseconds, as long as it lives.
class SignalStorm {
 public:
  SignalStorm() {
    struct sigaction ignore {};
    ignore.sa_handler = [](int) {};
    sigaction(SIGALRM, &ignore, &before_);
    const itimerval often{.it_interval = {0, 50}, .it_value = {0, 50}};
    setitimer(ITIMER_REAL, &often, nullptr);
  }
  ~SignalStorm() {
    const itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before_, nullptr);
  }
  SignalStorm(const SignalStorm&) = delete;
  SignalStorm& operator=(const SignalStorm&) = delete;

 private:
  struct sigaction before_ {};
};

TEST_F(FaultsTest, SignalsLoseNothing) {
  const SignalStorm storm;
  bind();
  const auto worker = link();
  send(*worker, encoder_.hello(hello("w1")));
  serve_until({worker.get()}, [&] { return !said_.events.empty(); });
  const ConnectionId connection = events<WorkerJoined>()[0].connection;
  for (std::uint64_t batch = 1; batch <= 2'000; ++batch) {
    port_->send({.to = connection, .batch = batch});
    serve_until({worker.get()}, [&] { return told_.size() == batch; });
    send(*worker, encoder_.heartbeat(batch, {}));
  }
  serve_until({worker.get()}, [&] { return events<WorkerHeartbeat>().size() == 2'000; });
  const auto late = link();  // The gate was not disturbed either.
  send(*late, encoder_.hello(hello("w2")));
  serve_until({worker.get(), late.get()}, [&] { return events<WorkerJoined>().size() >= 2; });
}

}  // namespace
}  // namespace chappe::transport
