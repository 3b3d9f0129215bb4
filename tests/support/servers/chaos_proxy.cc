#include "tests/support/servers/chaos_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/assert.h"

namespace chappe::testing {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

/// What is closed from now on is reset: neither waits for what was sent, nor says a proper goodbye.
void reset_on_close(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool send_all(int socket, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

ChaosProxy::ChaosProxy(int server_port) : server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  CHAPPE_ASSERT(::bind(listener_, generic, length) == 0 && ::listen(listener_, 64) == 0);
  CHAPPE_ASSERT(::getsockname(listener_, generic, &length) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

ChaosProxy::~ChaosProxy() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    for (Connection& connection : connections_) end(connection, Chaos::Then::kClose);
  }
  stopped_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (Connection& connection : connections_) {
    for (std::thread& pump : connection.pumps) pump.join();
    ::close(connection.client);
    ::close(connection.server);
  }
  ::close(listener_);
}

std::string ChaosProxy::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

void ChaosProxy::set(Way way, const Chaos& chaos) {
  const std::lock_guard lock(mutex_);
  chaos_[static_cast<std::size_t>(way)] = chaos;
}

void ChaosProxy::heal() {
  const std::lock_guard lock(mutex_);
  chaos_ = {};
  is_cut_off_ = false;
}

void ChaosProxy::cut_off() {
  const std::lock_guard lock(mutex_);
  is_cut_off_ = true;
  for (Connection& connection : connections_) end(connection, Chaos::Then::kReset);
}

int ChaosProxy::connections() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

void ChaosProxy::accept_all() {
  for (;;) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (stops_) {
      if (client >= 0) ::close(client);
      return;
    }
    if (client >= 0) welcome(client);
  }
}

void ChaosProxy::welcome(int client) {
  ++count_;
  const int server = is_cut_off_ ? -1 : connect_to(server_port_);
  if (server < 0) {
    reset_on_close(client);
    ::close(client);
    return;
  }
  Connection& connection = connections_.emplace_back();
  connection.client = client;
  connection.server = server;
  connection.chaos = chaos_;
  for (const Way way : {Way::kToServer, Way::kToClient}) {
    connection.pumps[static_cast<std::size_t>(way)] = std::thread([this, &connection, way] { pump(connection, way); });
  }
}

void ChaosProxy::pump(Connection& connection, Way way) {
  const int from = way == Way::kToServer ? connection.client : connection.server;
  const int to = way == Way::kToServer ? connection.server : connection.client;
  std::array<char, 65536> piece{};
  ssize_t size = 0;
  while ((size = ::recv(from, piece.data(), piece.size(), 0)) > 0) {
    if (!pass_on(connection, way, piece.data(), static_cast<std::size_t>(size))) return;
  }
  ::shutdown(to, SHUT_WR);
}

/// False: nothing more goes this way.
bool ChaosProxy::pass_on(Connection& connection, Way way, const char* bytes, std::size_t size) {
  Chaos& chaos = connection.chaos[static_cast<std::size_t>(way)];
  const int to = way == Way::kToServer ? connection.server : connection.client;
  if (!rest(chaos.delay)) return false;
  const std::size_t passed = std::min(size, chaos.pass.value_or(size));
  const std::size_t step = chaos.rate == 0 ? passed : std::max<std::size_t>(1, chaos.rate / 20);
  for (std::size_t at = 0; at < passed; at += step) {
    const std::size_t now = std::min(step, passed - at);
    if (!send_all(to, bytes + at, now)) return false;
    if (chaos.rate > 0 && !rest(std::chrono::microseconds(1'000'000 * now / chaos.rate))) return false;
  }
  if (!chaos.pass) return true;
  *chaos.pass -= passed;
  if (*chaos.pass > 0) return true;
  if (chaos.then == Chaos::Then::kSilence) return rest(std::chrono::hours(1)) && false;
  const std::lock_guard lock(mutex_);
  end(connection, chaos.then);
  return false;
}

/// Requires: mutex_ is held. Descriptors stay open until the proxy goes, so that no pump reads from a stranger's.
void ChaosProxy::end(Connection& connection, Chaos::Then how) {
  for (const int socket : {connection.client, connection.server}) {
    if (how == Chaos::Then::kReset) {
      sockaddr nobody{};
      nobody.sa_family = AF_UNSPEC;
      ::connect(socket, &nobody, sizeof nobody);  // Linux: dissolves the connection with a reset.
    } else {
      ::shutdown(socket, SHUT_RDWR);
    }
  }
}

/// False: the proxy ends.
bool ChaosProxy::rest(std::chrono::microseconds time) {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, time, [this] { return stops_; });
}

}  // namespace chappe::testing
