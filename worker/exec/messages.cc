#include "worker/exec/messages.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace chappe::exec {

bool send_all(int fd, const void* data, std::size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = ::send(fd, next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    next += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int fd, void* data, std::size_t size) {
  char* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::recv(fd, next, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    next += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool Inbox::fill(int fd) {
  constexpr std::size_t kPieceBytes = std::size_t{32} << 10;
  const std::span<const char> left = bytes();
  std::copy(left.begin(), left.end(), room_.begin());
  taken_ = 0;
  size_ = left.size();
  if (room_.size() < size_ + kPieceBytes) room_.resize(size_ + kPieceBytes);  // It stays: what is resized is cleared.
  const ssize_t got = ::recv(fd, room_.data() + size_, kPieceBytes, MSG_DONTWAIT);
  if (got > 0) size_ += static_cast<std::size_t>(got);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

namespace {

using Descriptors = std::array<int, 1 + kPipes>;

struct Ancillary {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(Descriptors))> bytes{};
};

msghdr message_of(iovec& byte, Ancillary& ancillary) {
  msghdr message{};
  message.msg_iov = &byte;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.bytes.data();
  message.msg_controllen = ancillary.bytes.size();
  return message;
}

}  // namespace

bool send_ends(int fd, SupervisorEnds ends) {
  char payload = 1;
  iovec byte{&payload, 1};
  Ancillary ancillary;
  msghdr message = message_of(byte, ancillary);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(Descriptors));
  const Descriptors fds{ends.socket, ends.outputs[0], ends.outputs[1]};
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == 1;
}

bool receive_ends(int fd, SupervisorEnds& ends) {
  char payload = 0;
  iovec byte{&payload, 1};
  Ancillary ancillary;
  msghdr message = message_of(byte, ancillary);
  ssize_t got = -1;
  do got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (got != 1 || payload != 1 || header == nullptr || header->cmsg_len != CMSG_LEN(sizeof(Descriptors))) return false;
  Descriptors fds{};
  std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
  ends = {fds[0], {fds[1], fds[2]}};
  return true;
}

}  // namespace chappe::exec
