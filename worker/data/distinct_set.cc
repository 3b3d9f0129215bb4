#include "worker/data/distinct_set.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "storage/digest/digest.h"

namespace chappe::data {
namespace {

constexpr std::size_t kPlacesLeast = 64;
constexpr std::uint8_t kIsHash = 255;  // Else: the length and 1.

}  // namespace

DistinctSet::Key DistinctSet::key_of(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  if (text.size() < bytes.size()) {
    std::copy(text.begin(), text.end(), bytes.begin());
    bytes.back() = static_cast<std::uint8_t>(text.size() + 1);
  } else {
    const Sha256Bytes hash = sha256(text);
    std::copy_n(hash.begin(), bytes.size() - 1, bytes.begin());
    bytes.back() = kIsHash;
  }
  return std::bit_cast<Key>(bytes);
}

/// Where the key stands, or would stand. Requires: there is an empty place.
DistinctSet::Key& DistinctSet::place_of(const Key& key) {
  std::uint64_t mixed = (key[0] ^ std::rotl(key[1], 31)) * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9U;
  for (std::size_t at = mixed ^ (mixed >> 32);; ++at) {
    Key& place = places_[at & (places_.size() - 1)];
    if (place == key || place == Key{}) return place;
  }
}

DistinctSet::Seen DistinctSet::add(std::string_view text) {
  if (places_.size() < 2 * (count_ + 1)) grow();
  const Key key = key_of(text);
  Key& place = place_of(key);
  if (place == key) return Seen::kBefore;
  if (room_->left == 0) return Seen::kNoRoom;
  --room_->left;
  place = key;
  ++count_;
  return Seen::kNew;
}

void DistinctSet::grow() {
  const std::vector<Key> before = std::exchange(places_, std::vector<Key>(std::max(kPlacesLeast, 2 * places_.size())));
  for (const Key& key : before) {
    if (key != Key{}) place_of(key) = key;
  }
}

}  // namespace chappe::data
