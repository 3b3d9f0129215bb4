#include "storage/digest/digest.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <unistd.h>

#include "engine/base/assert.h"

namespace chappe {

Sha256::Sha256() { sha256_init(&state_); }

void Sha256::update(std::span<const std::byte> bytes) {
  sha256_update(&state_, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Sha256Bytes Sha256::finish() {
  Sha256Bytes out{};
  sha256_digest(&state_, out.size(), out.data());
  return out;
}

Sha256Bytes sha256(std::string_view text) {
  Sha256 digest;
  digest.update(text);
  return digest.finish();
}

Sha256Bytes hmac_sha256(std::span<const std::uint8_t> key, std::string_view text) {
  hmac_sha256_ctx state{};
  hmac_sha256_set_key(&state, key.size(), key.data());
  hmac_sha256_update(&state, text.size(), reinterpret_cast<const std::uint8_t*>(text.data()));
  Sha256Bytes out{};
  hmac_sha256_digest(&state, out.size(), out.data());
  return out;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string out(BASE64_ENCODE_RAW_LENGTH(bytes.size()), '\0');
  base64_encode_raw(out.data(), bytes.size(), bytes.data());
  return out;
}

void random_bytes(std::span<std::uint8_t> out) { CHAPPE_ASSERT(::getentropy(out.data(), out.size()) == 0); }

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  const std::span<std::uint8_t> view(reinterpret_cast<std::uint8_t*>(raw.data()), raw.size());
  random_bytes(view);
  return to_hex(view);
}

}  // namespace chappe
