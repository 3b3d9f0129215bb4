#include "worker/request/service.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "proto/http/client.h"

namespace chappe::request {
namespace {

using namespace std::chrono_literals;

constexpr char kHere[] = "127.0.0.1";

/// A descriptor that closes itself.
class Socket {
 public:
  Socket(int family, int type) : fd_(::socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in at(in_addr_t address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address);
  out.sin_port = htons(port);
  return out;
}

const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// Of this machine: an answer, or a refusal, comes at once.
bool takes_connections(std::uint16_t port) {
  const Socket socket(AF_INET, SOCK_STREAM);
  const sockaddr_in address = at(INADDR_LOOPBACK, port);
  return socket.fd() >= 0 && ::connect(socket.fd(), generic(address), sizeof address) == 0;
}

bool answers(const ServiceSpec& service, std::uint16_t port, const std::atomic<bool>& stopped) {
  http::Client client({.idle_max = 0});
  http::Request request{.url = fmt::format("http://{}:{}{}", kHere, port, service.ready_at)};
  request.connect_timeout = 1s;
  request.timeout = 5s;
  request.body_bytes_max = std::size_t{1} << 20;
  request.stopped = &stopped;
  const auto answer = client.stream(request, [](std::span<const std::byte>) { return false; });
  return answer && answer->status >= 200 && answer->status < 300;
}

/// "HOST:PORT" of "tcp://HOST:PORT", without brackets.
std::pair<std::string, std::string> parts_of(const std::string& endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  const std::size_t colon = endpoint.rfind(':');
  if (!endpoint.starts_with(kTcp) || colon < kTcp.size()) return {};
  std::string host = endpoint.substr(kTcp.size(), colon - kTcp.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, endpoint.substr(colon + 1)};
}

/// Connecting a datagram socket sends nothing: it asks the kernel for the way.
std::string own_address(const addrinfo& peer) {
  const Socket socket(peer.ai_family, SOCK_DGRAM);
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const bool known = socket.fd() >= 0 && ::connect(socket.fd(), peer.ai_addr, peer.ai_addrlen) == 0 &&
                     ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&own), &size) == 0;
  std::array<char, NI_MAXHOST> text{};
  if (!known || ::getnameinfo(reinterpret_cast<const sockaddr*>(&own), size, text.data(), text.size(), nullptr, 0,
                              NI_NUMERICHOST) != 0) {
    return "";
  }
  return own.ss_family == AF_INET6 ? fmt::format("[{}]", text.data()) : text.data();
}

}  // namespace

Result<std::uint16_t> free_port(std::uint16_t wanted) {
  const Socket socket(AF_INET, SOCK_STREAM);
  const int yes = 1;
  // What was closed a moment ago is in nobody's way.
  (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address = at(INADDR_ANY, wanted);
  socklen_t size = sizeof address;
  if (socket.fd() < 0 || ::bind(socket.fd(), generic(address), sizeof address) != 0 ||
      ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return fail(ErrorCode::kConflict, wanted == 0
                                          ? fmt::format("find a free port: {}", std::strerror(errno))
                                          : fmt::format("port {} of this machine: {}", wanted, std::strerror(errno)));
  }
  return ntohs(address.sin_port);
}

bool is_ready(const ServiceSpec& service, std::uint16_t port, const std::string& directory,
              const std::atomic<bool>& stopped) {
  struct stat info {};
  switch (service.ready) {
    case ServiceSpec::Ready::kPort:
      return takes_connections(port);
    case ServiceSpec::Ready::kHttp:
      return answers(service, port, stopped);
    case ServiceSpec::Ready::kFile:
      return ::lstat(fmt::format("{}/{}", directory, service.ready_at).c_str(), &info) == 0;
  }
  return false;
}

std::string address_towards(const std::string& endpoint) {
  const auto [host, port] = parts_of(endpoint);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (host.empty() || ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return kHere;
  std::string address;
  for (const addrinfo* each = found; each != nullptr && address.empty(); each = each->ai_next) {
    address = own_address(*each);
  }
  ::freeaddrinfo(found);
  return address.empty() ? kHere : address;
}

}  // namespace chappe::request
