#include "proto/transport/scheduler_link.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <system_error>
#include <utility>

#include "engine/base/assert.h"
#include "proto/transport/context.h"

namespace chappe::transport {
namespace {

constexpr int kLingerMs = 2'000;           // For the last report.
constexpr int kWelcomeMaxMs = 30'000;      // Thousands may stand before this one in the scheduler's backlog.
constexpr int kHeartbeatMs = 2'000;        // ZMTP's: between I/O threads. They ask for no answer within a time (TTL),
constexpr int kHeartbeatAnswerMs = 6'000;  // which would cost the scheduler a timer for each (worker_port.cc).
constexpr int kReconnectMs = 15;           // Doubles; libzmq adds as much again by chance.
constexpr int kReconnectMaxMs = 2'000;
constexpr int kWatched = ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                         ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

std::string unique_monitor_endpoint() {
  static std::atomic<std::uint64_t> count{0};
  return fmt::format("inproc://chappe.link.{}", ++count);
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category());
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// One descriptor that becomes readable when the socket's, the monitor's or the timer's does.
///
/// libzmq reconnects by itself when a connection is lost, with a rest that doubles; but a connection whose handshake
/// fails counts as one that stood, and would be tried again at once, for ever. So after a failed handshake the link
/// takes the endpoint away and gives it back when its own rest, which doubles too, is over.
class ZmqSchedulerLink final : public SchedulerLink {
 public:
  explicit ZmqSchedulerLink(const SchedulerLinkConfig& config)
      : context_(Context::shared()),
        endpoint_(config.endpoint),
        socket_(context_->zmq(), zmq::socket_type::dealer),
        monitor_(context_->zmq(), zmq::socket_type::pair),
        timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
        all_(epoll_create1(EPOLL_CLOEXEC)) {
    set_options(config);
    watch_connection();
    for (const int fd : {socket_.get(zmq::sockopt::fd), monitor_.get(zmq::sockopt::fd), timer_.get()}) add(fd);
    socket_.connect(endpoint_);
  }

  ~ZmqSchedulerLink() override { (void)zmq_socket_monitor(socket_.handle(), nullptr, 0); }

  int fd() const override { return all_.get(); }
  std::uint64_t malformed() const override { return malformed_; }
  std::string trouble() const override { return trouble_; }

  std::uint64_t connections() override {
    watch();
    return connections_;
  }

  std::optional<WorkerSend> receive() override {
    watch();
    zmq::message_t frame;
    while (receive_now(socket_, frame)) {
      const bool whole = !frame.more();
      while (frame.more()) (void)receive_now(socket_, frame);  // They came together.
      Result<WorkerSend> said = decode(frame);
      if (whole && said) return *std::move(said);
      ++malformed_;
    }
    return std::nullopt;
  }

  bool send(const std::string& message) override {
    watch();
    return send_now(socket_, message);
  }

 private:
  void set_options(const SchedulerLinkConfig& config) {
    set_wire_options(socket_, config.endpoint);
    socket_.set(zmq::sockopt::linger, kLingerMs);
    socket_.set(zmq::sockopt::handshake_ivl, kWelcomeMaxMs);
    socket_.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
    socket_.set(zmq::sockopt::heartbeat_timeout, kHeartbeatAnswerMs);
    socket_.set(zmq::sockopt::immediate, true);
    socket_.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    socket_.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
    socket_.set(zmq::sockopt::curve_serverkey, config.server_key);
    socket_.set(zmq::sockopt::curve_publickey, config.keys.public_key);
    socket_.set(zmq::sockopt::curve_secretkey, config.keys.secret_key);
  }

  void watch_connection() {
    const std::string endpoint = unique_monitor_endpoint();
    if (zmq_socket_monitor(socket_.handle(), endpoint.c_str(), kWatched) != 0) throw zmq::error_t();
    monitor_.set(zmq::sockopt::linger, 0);
    monitor_.connect(endpoint);
  }

  void add(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(all_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw std::system_error(errno, std::generic_category());
  }

  Result<WorkerSend> decode(const zmq::message_t& frame) {
    return decoder_.decode({static_cast<const std::byte*>(frame.data()), frame.size()});
  }

  /// Takes in what happened to the connection, and tries again where the rest is over.
  void watch() {
    zmq::message_t event;
    while (receive_now(monitor_, event)) {
      std::uint16_t what = 0;  // Source: zmq_socket_monitor(3): 16 bits of event, 32 of value, then an address frame.
      if (event.size() >= sizeof what) std::memcpy(&what, event.data(), sizeof what);
      while (event.more()) (void)receive_now(monitor_, event);  // They came together.
      on(what);
    }
    std::uint64_t passed = 0;
    if (read(timer_.get(), &passed, sizeof passed) != static_cast<ssize_t>(sizeof passed)) return;
    // It worked at the start with the same text: only a signal can be in the way.
    while (zmq_connect(socket_.handle(), endpoint_.c_str()) != 0) CHAPPE_ASSERT(zmq_errno() == EINTR);
  }

  void on(std::uint16_t event) {
    switch (event) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        ++connections_;
        failures_ = 0;
        trouble_.clear();
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        rest("the scheduler does not know this worker's key; add it to its authorized_workers");
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        rest("the other side ended the handshake: its key is not the configured one, or it is no scheduler");
        break;
      case ZMQ_EVENT_DISCONNECTED:
        if (trouble_.empty()) trouble_ = "the connection was lost";
        break;
      default:  // Being tried again.
        if (trouble_.empty()) trouble_ = "nobody answers at the address";
        break;
    }
  }

  void rest(std::string why) {
    trouble_ = fmt::format("{}: {}", endpoint_, why);
    (void)zmq_disconnect(socket_.handle(), endpoint_.c_str());  // It may be gone already.
    const int doubled = std::min(kReconnectMs << std::min(failures_, 10), kReconnectMaxMs);
    ++failures_;
    const int wait_ms = std::uniform_int_distribution(doubled / 2, doubled)(chance_);
    itimerspec timer{};
    timer.it_value.tv_sec = wait_ms / 1000;
    timer.it_value.tv_nsec = (wait_ms % 1000) * 1'000'000L;
    (void)timerfd_settime(timer_.get(), 0, &timer, nullptr);  // Fails only for arguments that these are not.
  }

  std::shared_ptr<Context> context_;
  std::string endpoint_;
  zmq::socket_t socket_;
  zmq::socket_t monitor_;
  Descriptor timer_;
  Descriptor all_;
  wire::SchedulerDecoder decoder_;
  std::minstd_rand chance_{std::random_device{}()};
  std::uint64_t connections_ = 0;
  std::uint64_t malformed_ = 0;
  int failures_ = 0;
  std::string trouble_ = "not connected yet";
};

}  // namespace

Result<std::unique_ptr<SchedulerLink>> SchedulerLink::connect(const SchedulerLinkConfig& config) {
  constexpr int kTriesMax = 1000;  // Each of its sockets' first calls may meet a signal.
  for (int tried = 1;; ++tried) {
    try {
      return std::make_unique<ZmqSchedulerLink>(config);
    } catch (const zmq::error_t& error) {
      if (error.num() == EINTR && tried < kTriesMax) continue;
      return fail(ErrorCode::kInvalidInput, fmt::format("connect to {}: {}", config.endpoint, error.what()));
    } catch (const std::exception& error) {
      return fail(ErrorCode::kInvalidInput, fmt::format("connect to {}: {}", config.endpoint, error.what()));
    }
  }
}

}  // namespace chappe::transport
