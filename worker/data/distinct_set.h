/// \file
/// Which texts were seen before. Exact: a text of up to 15 bytes stands for itself, a longer one for 120 bits of its
/// SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace chappe::data {

/// Of all columns of one file together: 16 bytes each, in tables that are at most half full.
inline constexpr std::size_t kDistinctMax = 10'000'000;

/// Shared by the sets of a file.
struct DistinctRoom {
  std::size_t left = kDistinctMax;
};

class DistinctSet {
 public:
  enum class Seen : std::uint8_t { kNew, kBefore, kNoRoom };
  /// `room`: outlives the set.
  explicit DistinctSet(DistinctRoom& room) : room_(&room) {}

  /// Once there was no room, the answer is kBefore or kNoRoom.
  Seen add(std::string_view text);
  std::uint64_t count() const { return count_; }

 private:
  using Key = std::array<std::uint64_t, 2>;  ///< Never {0, 0}, which is an empty place.
  static Key key_of(std::string_view text);
  Key& place_of(const Key& key);
  void grow();

  DistinctRoom* room_;
  std::vector<Key> places_;
  std::uint64_t count_ = 0;
};

}  // namespace chappe::data
