#include "engine/base/ids.h"

#include <fmt/format.h>

namespace chappe {
namespace {

constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int crockford_digit(char letter) {
  const char upper = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  const auto at = kCrockford.find(upper);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

RunId RunId::make(WallTime now, const std::array<std::uint8_t, 10>& random) {
  RunId id;
  const auto ms = static_cast<std::uint64_t>(now.us / 1000);
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  for (std::size_t i = 0; i < random.size(); ++i) id.bytes[6 + i] = random[i];
  return id;
}

// 128 bits are 26 digits of 5 bits, the first of which holds only 3: bit 0 of the text is bit -2 of the bytes.
std::string RunId::text() const {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t i = 0; i < 8; ++i) high = high << 8 | bytes[i];
  for (std::size_t i = 8; i < 16; ++i) low = low << 8 | bytes[i];
  std::string out(26, '0');
  for (std::size_t digit = out.size(); digit-- > 0;) {
    out[digit] = kCrockford[low & 31];
    low = low >> 5 | high << 59;
    high >>= 5;
  }
  return out;
}

std::optional<RunId> RunId::parse(std::string_view text) {
  if (text.size() != 26) return std::nullopt;
  RunId id;
  for (int digit = 0; digit < 26; ++digit) {
    const int value = crockford_digit(text[static_cast<std::size_t>(digit)]);
    if (value < 0 || (digit == 0 && value > 7)) return std::nullopt;
    for (int i = 0; i < 5; ++i) {
      const int bit = digit * 5 - 2 + i;
      if (bit < 0) continue;
      const int one = (value >> (4 - i)) & 1;
      id.bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(one << (7 - bit % 8));
    }
  }
  return id;
}

std::string to_text(AttemptId attempt) { return fmt::format("{:016x}", attempt.value); }

std::optional<AttemptId> parse_attempt_id(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  AttemptId id;
  for (const char letter : text) {
    int digit = -1;
    if (letter >= '0' && letter <= '9') digit = letter - '0';
    if (letter >= 'a' && letter <= 'f') digit = letter - 'a' + 10;
    if (digit < 0) return std::nullopt;
    id.value = id.value << 4 | static_cast<std::uint64_t>(digit);
  }
  return id;
}

}  // namespace chappe
