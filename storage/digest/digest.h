/// \file
/// SHA-256 and HMAC-SHA-256 of Nettle: it needs none of the 1 ms that libcrypto takes to load and to start.
#pragma once

#include <nettle/sha2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace chappe {

using Sha256Bytes = std::array<std::uint8_t, 32>;

/// Streaming SHA-256.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  Sha256Bytes finish();  ///< And begins anew.

 private:
  sha256_ctx state_;
};

Sha256Bytes sha256(std::string_view text);
Sha256Bytes hmac_sha256(std::span<const std::uint8_t> key, std::string_view text);
std::string to_hex(std::span<const std::uint8_t> bytes);  ///< Lower case.
std::string base64(std::span<const std::uint8_t> bytes);
/// Cryptographically strong random bytes, at most 256 a call, as hex: tokens, incarnations.
std::string random_hex(std::size_t bytes);
void random_bytes(std::span<std::uint8_t> out);

}  // namespace chappe
