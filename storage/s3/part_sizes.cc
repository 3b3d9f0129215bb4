#include "storage/s3/part_sizes.h"

#include <algorithm>

namespace chappe::s3 {

std::size_t part_bytes(std::uint32_t number, std::uint64_t size_hint) {
  constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
  constexpr std::uint32_t kPartsOfOneSize = 1'250;
  if (size_hint == 0) return kPartBytesMin << ((number - 1) / kPartsOfOneSize);
  const std::uint64_t needed = (size_hint / 9'000 + kMebibyte) / kMebibyte * kMebibyte;
  return std::max<std::uint64_t>(kPartBytesMin, needed);
}

std::size_t parts_in_flight(std::size_t bytes) {
  constexpr std::size_t kBytesInFlight = std::size_t{24} << 20;
  return std::max<std::size_t>(2, kBytesInFlight / bytes) - 1;  // One buffer is the one that fills.
}

}  // namespace chappe::s3
