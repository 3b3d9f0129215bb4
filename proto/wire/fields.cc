#include "proto/wire/fields.h"

#include <google/protobuf/stubs/logging.h>

#include "engine/base/assert.h"
#include "engine/base/text.h"

namespace chappe::wire {
namespace {

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

void silence_protobuf_log() {
  static const bool done = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  (void)done;  // Only the first call has anything to do.
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) {
      out += '?';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

void set_held(v1::Held& out, const HeldAttempt& held) {
  out.set_row(static_cast<std::uint64_t>(held.key.row()));
  out.set_attempt(held.attempt.value);
}

HeldAttempt to_held(const v1::Held& held) {
  return {.key = InstanceKey::from_row(static_cast<std::int64_t>(held.row())), .attempt = {held.attempt()}};
}

bool is_held(const v1::Held& held) { return held.row() >> 32 != 0 && held.attempt() != 0; }

void set_resources(v1::Resources& out, const Resources& resources) {
  out.set_cpu_milli(resources.cpu_milli);
  out.set_memory_bytes(resources.memory_bytes);
  out.set_gpus(resources.gpus);
}

Resources to_resources(const v1::Resources& resources) {
  return {.cpu_milli = resources.cpu_milli(), .memory_bytes = resources.memory_bytes(), .gpus = resources.gpus()};
}

std::string sha256_bytes(std::string_view hex) {
  if (hex.size() != 64) return "";
  std::string bytes(32, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return "";
    bytes[i] = static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string sha256_hex(std::string_view bytes) {
  CHAPPE_ASSERT(bytes.size() == 32);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(64);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace chappe::wire
