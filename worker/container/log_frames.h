/// \file
/// What a container writes, as the Docker API tells it: frames of stdout and stderr in the order in which they came.
///
///   frame = stream (1 byte: 0 stdin, 1 stdout, 2 stderr), 0 0 0, length (4 bytes, big-endian), `length` bytes
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace chappe::container {

/// Takes the frames apart, however they are cut into pieces.
class LogFrames {
 public:
  /// Hands each piece of a payload to `sink`, without copying it. False: these are no frames.
  bool take(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& sink);

 private:
  bool end_head();

  std::array<std::byte, 8> head_{};
  std::size_t head_size_ = 0;
  std::uint32_t left_ = 0;  ///< Of the payload.
};

}  // namespace chappe::container
