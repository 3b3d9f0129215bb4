#include "tests/support/servers/loopback_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "engine/base/assert.h"

namespace chappe::testing {
namespace {

bool read_more(int connection, std::string& buffer) {
  std::array<char, 65536> piece{};
  const ssize_t length = ::recv(connection, piece.data(), piece.size(), 0);
  if (length <= 0) return false;
  buffer.append(piece.data(), static_cast<std::size_t>(length));
  return true;
}

std::size_t body_length(const std::string& head) {
  const std::size_t at = head.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::strtoull(head.c_str() + at + 16, nullptr, 10);
}

void send_all(int connection, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(connection, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += static_cast<std::size_t>(sent);
  }
}

}  // namespace

Reply reply(const std::string& status, const std::string& body, const std::string& headers) {
  return {"HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" +
          body};
}

LoopbackHttp::LoopbackHttp(std::function<Reply(const Received&)> answer) : answer_(std::move(answer)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  CHAPPE_ASSERT(::bind(listener_, generic, length) == 0 && ::listen(listener_, 64) == 0);
  CHAPPE_ASSERT(::getsockname(listener_, generic, &length) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

LoopbackHttp::~LoopbackHttp() {
  stops_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int connection : open_) ::shutdown(connection, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::string LoopbackHttp::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<Received> LoopbackHttp::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

void LoopbackHttp::accept_all() {
  while (!stops_) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.push_back(connection);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void LoopbackHttp::serve(int connection) {
  std::string buffer;
  while (!stops_ && serve_one(connection, buffer)) {
  }
  const std::lock_guard lock(mutex_);
  open_.remove(connection);
  ::close(connection);
}

bool LoopbackHttp::serve_one(int connection, std::string& buffer) {
  std::size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more(connection, buffer)) return false;
  }
  Received received;
  received.head = buffer.substr(0, end + 2);
  received.line = received.head.substr(0, received.head.find('\r'));
  const std::size_t length = body_length(received.head);
  while (buffer.size() < end + 4 + length) {
    if (!read_more(connection, buffer)) return false;
  }
  received.body = buffer.substr(end + 4, length);
  buffer.erase(0, end + 4 + length);
  Reply answer;
  {
    const std::lock_guard lock(mutex_);
    received_.push_back(received);
    answer = answer_(received);
  }
  send_all(connection, answer.bytes);
  return !answer.close;
}

}  // namespace chappe::testing
