#include "worker/container/log_frames.h"

#include <algorithm>

namespace chappe::container {

bool LogFrames::take(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& sink) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const auto piece = bytes.first(std::min<std::size_t>(left_, bytes.size()));
      sink(piece);
      left_ -= static_cast<std::uint32_t>(piece.size());
      bytes = bytes.subspan(piece.size());
      continue;
    }
    head_[head_size_++] = bytes.front();
    bytes = bytes.subspan(1);
    if (head_size_ == head_.size() && !end_head()) return false;
  }
  return true;
}

bool LogFrames::end_head() {
  constexpr auto kStreamMax = std::byte{2};
  constexpr std::byte kZero{0};
  head_size_ = 0;
  if (head_[0] > kStreamMax || head_[1] != kZero || head_[2] != kZero || head_[3] != kZero) return false;
  for (std::size_t i = 4; i < head_.size(); ++i) left_ = left_ << 8 | std::to_integer<std::uint32_t>(head_[i]);
  return true;
}

}  // namespace chappe::container
