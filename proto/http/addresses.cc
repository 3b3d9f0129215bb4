#include "proto/http/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace chappe::http {
namespace {

using V6 = std::array<std::uint8_t, 16>;

bool is_bad(std::uint32_t address) {
  constexpr std::uint32_t kLinkLocal = 0xA9FE0000;   // 169.254/16, with the metadata of most clouds.
  constexpr std::uint32_t kOthers[] = {0x646464C8,   // 100.100.100.200, Alibaba's.
                                       0xA83F8110,   // 168.63.129.16, Azure's.
                                       0xC00000C0};  // 192.0.0.192, Oracle's.
  return (address & 0xFFFF0000U) == kLinkLocal ||
         std::find(std::begin(kOthers), std::end(kOthers), address) != std::end(kOthers);
}

std::uint32_t last_four(const V6& address) {
  return std::uint32_t{address[12]} << 24 | std::uint32_t{address[13]} << 16 | std::uint32_t{address[14]} << 8 |
         std::uint32_t{address[15]};
}

bool starts_with(const V6& address, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), address.begin());
}

bool is_bad(const V6& address) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  const bool holds_v4 = std::equal(kMapped.begin(), kMapped.end(), address.begin()) ||
                        starts_with(address, {0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0}) ||  // NAT64.
                        starts_with(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  if (holds_v4 && is_bad(last_four(address))) return true;
  if (address[0] == 0xFE && (address[1] & 0xC0U) == 0x80U) return true;                               // fe80::/10
  return starts_with(address, {0xFD, 0x00, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}) ||  // Amazon's.
         starts_with(address, {0xFD, 0x20, 0x00, 0xCE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54});    // Google's.
}

}  // namespace

bool is_for_the_machine_alone(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return is_bad(ntohl(v4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return true;  // Nothing else is spoken over HTTP.
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  V6 bytes{};
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return is_bad(bytes);
}

bool names_the_machine_alone(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view host = url.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (const std::size_t user = host.rfind('@'); user != std::string_view::npos) host.remove_prefix(user + 1);
  if (host.starts_with('[')) {
    const std::string text(host.substr(1, host.find(']') - 1));
    V6 bytes{};
    return inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1 && is_bad(bytes);
  }
  const std::string text(host.substr(0, host.find(':')));
  in_addr v4{};
  // Also as one number, octal and the like: a proxy may read it so.
  return inet_aton(text.c_str(), &v4) != 0 && is_bad(ntohl(v4.s_addr));
}

}  // namespace chappe::http
