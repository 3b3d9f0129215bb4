/// \file
/// How an object is cut into parts. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace chappe::s3 {

inline constexpr std::size_t kPartBytesMin = std::size_t{8} << 20;
inline constexpr std::uint32_t kPartsMax = 10'000;  ///< S3's bound.

/// Size of part `number` (from 1). With a hint: the least multiple of 1 MiB, from kPartBytesMin, by which 9,000 parts
/// hold the object. Without: kPartBytesMin, doubled after every 1,250 parts, which lets 10,000 parts hold 2.4 TiB.
std::size_t part_bytes(std::uint32_t number, std::uint64_t size_hint);

/// How many parts of that size are sent at once, so that their buffers stay within 24 MiB; at least one.
std::size_t parts_in_flight(std::size_t bytes);

}  // namespace chappe::s3
