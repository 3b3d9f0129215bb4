#include "proto/transport/context.h"

#include <fmt/core.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "engine/base/assert.h"
#include "proto/transport/keys.h"
#include "proto/wire/wire.h"

namespace chappe::transport {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";  // Source: RFC 27.
constexpr const char* kStopEndpoint = "inproc://chappe.gate.stop";
constexpr std::size_t kKeyBytes = 32;
constexpr int kQueueMax = 256;       // Messages to or from one peer.
constexpr int kSilentMaxMs = 8'000;  // What was sent and stays unanswered for so long ends a connection.

/// All frames of the next message. Source: RFC 27: version, request id, domain, address, identity, mechanism,
/// credentials.
std::vector<std::string> receive_frames(zmq::socket_t& socket) {
  std::vector<std::string> frames;
  zmq::message_t frame;
  do {
    (void)socket.recv(frame);  // Blocks; nothing to tell but the frame.
    frames.push_back(frame.to_string());
  } while (frame.more());
  return frames;
}

std::string to_z85(const std::string& key) {
  std::array<char, kKeyText + 1> text{};
  zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(key.data()), kKeyBytes);
  return text.data();
}

/// True for "tcp://127.0.0.1:*"; names and "tcp://*:9431" mean both families.
bool is_ipv4(const std::string& endpoint) {
  return endpoint.find('.') != std::string::npos &&
         endpoint.find_first_not_of("tcp:/0123456789.*") == std::string::npos;
}

}  // namespace

Gate::Gate(zmq::context_t& context) : context_(context), stop_(context, zmq::socket_type::pair) {
  stop_.bind(kStopEndpoint);
  // Bound before any server socket is: requests that find no handler are refused.
  auto requests = std::make_shared<zmq::socket_t>(context_, zmq::socket_type::rep);
  requests->set(zmq::sockopt::linger, 0);
  requests->bind(kZapEndpoint);
  auto stopped = std::make_shared<zmq::socket_t>(context_, zmq::socket_type::pair);
  stopped->connect(kStopEndpoint);
  // Its waits must not end early: the process's signals are for other threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, requests, stopped] {
    std::array<zmq::pollitem_t, 2> items{
        {{requests->handle(), 0, ZMQ_POLLIN, 0}, {stopped->handle(), 0, ZMQ_POLLIN, 0}}};
    while (zmq_poll(items.data(), static_cast<int>(items.size()), -1) >= 0) {
      if (items[1].revents != 0) return;
      if (items[0].revents != 0) answer(*requests);
    }
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Gate::~Gate() {
  (void)stop_.send(zmq::str_buffer("stop"), zmq::send_flags::none);
  thread_.join();
}

std::string Gate::open(std::set<std::string> keys) {
  const std::lock_guard lock(mutex_);
  std::string name = fmt::format("workers-{}", ++opened_);
  domains_[name].keys = std::move(keys);
  return name;
}

void Gate::set_keys(const std::string& domain, std::set<std::string> keys) {
  const std::lock_guard lock(mutex_);
  if (const auto at = domains_.find(domain); at != domains_.end()) at->second.keys = std::move(keys);
}

void Gate::close(const std::string& domain) {
  const std::lock_guard lock(mutex_);
  domains_.erase(domain);
}

void Gate::admit(const std::string& domain, const std::string& key) {
  const std::lock_guard lock(mutex_);
  domains_[domain].admitted.insert(key);
}

void Gate::dismiss(const std::string& domain, const std::string& key) {
  const std::lock_guard lock(mutex_);
  domains_[domain].admitted.erase(key);
}

std::uint64_t Gate::refused(const std::string& domain) const {
  const std::lock_guard lock(mutex_);
  const auto at = domains_.find(domain);
  return at == domains_.end() ? 0 : at->second.refused;
}

bool Gate::admits(const std::string& domain, const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto at = domains_.find(domain);
  if (at == domains_.end()) return false;
  if (at->second.keys.contains(key) || at->second.admitted.contains(key)) return true;
  ++at->second.refused;
  return false;
}

void Gate::answer(zmq::socket_t& requests) {
  const std::vector<std::string> frames = receive_frames(requests);
  const bool whole = frames.size() == 7 && frames[0] == "1.0" && frames[5] == "CURVE" && frames[6].size() == kKeyBytes;
  const std::string key = whole ? to_z85(frames[6]) : "";
  const bool admitted = whole && admits(frames[2], key);
  const std::string request_id = frames.size() > 1 ? frames[1] : "";
  const std::array<std::string_view, 6> reply{
      "1.0", request_id, admitted ? "200" : "400", admitted ? "OK" : "key is not authorized", key, ""};
  for (std::size_t i = 0; i < reply.size(); ++i) {
    const bool last = i + 1 == reply.size();
    (void)requests.send(zmq::buffer(reply[i]), last ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

std::shared_ptr<Context> Context::shared() {
  static std::mutex mutex;
  static std::weak_ptr<Context> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Context> context = current.lock();
  if (context == nullptr) {
    context = std::make_shared<Context>();
    current = context;
  }
  return context;
}

Gate& Context::gate() {
  const std::lock_guard lock(mutex_);
  if (gate_ == nullptr) gate_ = std::make_unique<Gate>(zmq_);
  return *gate_;
}

bool receive_now(zmq::socket_t& socket, zmq::message_t& frame) {
  while (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (zmq_errno() == EAGAIN) return false;
    CHAPPE_ASSERT(zmq_errno() == EINTR);
  }
  return true;
}

bool send_now(zmq::socket_t& socket, std::string_view frame, int flags) {
  while (zmq_send(socket.handle(), frame.data(), frame.size(), flags | ZMQ_DONTWAIT) < 0) {
    if (zmq_errno() == EAGAIN || zmq_errno() == EHOSTUNREACH) return false;
    CHAPPE_ASSERT(zmq_errno() == EINTR);
  }
  return true;
}

void set_wire_options(zmq::socket_t& socket, const std::string& endpoint) {
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(wire::kMessageMax));
  socket.set(zmq::sockopt::sndhwm, kQueueMax);
  socket.set(zmq::sockopt::rcvhwm, kQueueMax);
  socket.set(zmq::sockopt::tcp_maxrt, kSilentMaxMs);
  socket.set(zmq::sockopt::ipv6, !is_ipv4(endpoint));  // With it on, IPv4 addresses would be shown as IPv6 ones.
}

}  // namespace chappe::transport
