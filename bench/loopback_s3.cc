#include "bench/loopback_s3.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

namespace chappe::bench {
namespace {

class Connection {
 public:
  Connection(int socket, const std::vector<char>& object) : socket_(socket), object_(object), buffer_(256 << 10) {}

  void serve() {
    while (serve_one()) {
    }
    ::close(socket_);
  }

 private:
  bool serve_one() {
    const auto head = read_head();
    if (!head) return false;
    if (!drop_body(number_after(*head, "Content-Length: ").value_or(0))) return false;
    return answer(*head);
  }

  std::optional<std::string> read_head() {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
      const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
      if (got <= 0) return std::nullopt;
      pending_.append(buffer_.data(), static_cast<std::size_t>(got));
    }
    std::string head = pending_.substr(0, end + 2);
    pending_.erase(0, end + 4);
    return head;
  }

  bool drop_body(std::size_t left) {
    const std::size_t here = std::min(left, pending_.size());
    pending_.erase(0, here);
    for (left -= here; left > 0;) {
      const ssize_t got = ::recv(socket_, buffer_.data(), std::min(left, buffer_.size()), 0);
      if (got <= 0) return false;
      left -= static_cast<std::size_t>(got);
    }
    return true;
  }

  bool answer(const std::string& head) {
    if (head.starts_with("GET ")) return answer_get(head);
    if (head.starts_with("HEAD "))
      return send_text(fmt::format("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {}\r\n\r\n", object_.size()));
    if (!head.starts_with("POST ")) return send_text("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n");
    const bool opens = head.find("?uploads=") != std::string::npos;
    const std::string body =
        opens ? "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
              : "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
    return send_text(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  }

  bool answer_get(const std::string& head) {
    const auto first = number_after(head, "range: bytes=");
    if (!first) {
      return send_text(fmt::format("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {}\r\n\r\n", object_.size())) &&
             send_all(object_.data(), object_.size());
    }
    const std::size_t dash = head.find('-', head.find("range: bytes="));
    const std::size_t last =
        std::min<std::size_t>(std::strtoull(head.c_str() + dash + 1, nullptr, 10), object_.size() - 1);
    const std::size_t length = last - *first + 1;
    return send_text(fmt::format("HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nContent-Range: bytes {}-{}/{}\r\n"
                                 "Content-Length: {}\r\n\r\n",
                                 *first, last, object_.size(), length)) &&
           send_all(object_.data() + *first, length);
  }

  static std::optional<std::size_t> number_after(const std::string& head, const std::string& name) {
    const std::size_t at = head.find(name);
    if (at == std::string::npos) return std::nullopt;
    return std::strtoull(head.c_str() + at + name.size(), nullptr, 10);
  }

  bool send_text(const std::string& text) { return send_all(text.data(), text.size()); }

  bool send_all(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t sent = ::send(socket_, data, std::min<std::size_t>(size, 1 << 20), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  int socket_;
  const std::vector<char>& object_;
  std::vector<char> buffer_;
  std::string pending_;
};

[[noreturn]] void serve_for_ever(int listener, std::size_t object_bytes) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::vector<char> object(object_bytes, '\0');
  for (;;) {
    const int socket = ::accept(listener, nullptr, nullptr);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::thread([socket, &object] { Connection(socket, object).serve(); }).detach();
  }
}

}  // namespace

LoopbackS3::LoopbackS3(std::size_t object_bytes) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, length) != 0 || ::listen(listener, 64) != 0 ||
      ::getsockname(listener, generic, &length) != 0) {
    std::abort();
  }
  endpoint_ = fmt::format("http://127.0.0.1:{}", ntohs(address.sin_port));
  process_ = ::fork();  // Before any thread: the child may do all that a process may.
  if (process_ == 0) serve_for_ever(listener, object_bytes);
  ::close(listener);
}

LoopbackS3::~LoopbackS3() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

}  // namespace chappe::bench
