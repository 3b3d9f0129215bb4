#include "storage/digest/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "engine/base/assert.h"

namespace chappe {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    CHAPPE_ASSERT(context != nullptr);
    CHAPPE_ASSERT(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  CHAPPE_ASSERT(state_ != nullptr);
  CHAPPE_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Sha256Bytes Sha256::finish() {
  CHAPPE_ASSERT(state_ != nullptr);
  Sha256Bytes out{};
  unsigned length = 0;
  CHAPPE_ASSERT(EVP_DigestFinal_ex(state_->context, out.data(), &length) == 1 && length == out.size());
  state_.reset();
  return out;
}

Sha256Bytes sha256(std::string_view text) {
  Sha256 digest;
  digest.update(text);
  return digest.finish();
}

Sha256Bytes hmac_sha256(std::span<const std::uint8_t> key, std::string_view text) {
  Sha256Bytes out{};
  unsigned length = 0;
  // EVP's parameter is a C `unsigned char`: libcrypto reads bytes, whatever C++ calls them.
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const auto* made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), out.data(), &length);
  CHAPPE_ASSERT(made != nullptr && length == out.size());
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
  std::string out((bytes.size() + 2) / 3 * 4, '\0');
  // EVP_EncodeBlock ends its text with a NUL, which lands on the one that every std::string ends with.
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  CHAPPE_ASSERT(static_cast<std::size_t>(length) == out.size());
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
