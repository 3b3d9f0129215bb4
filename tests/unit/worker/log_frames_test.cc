#include "worker/container/log_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace chappe::container {
namespace {

std::string frame(char stream, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string out{stream, 0, 0, 0};
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  return out + std::string(text);
}

/// What comes out of `bytes` in pieces of this size; "refused" where they are no frames.
std::string taken(std::string_view bytes, std::size_t piece) {
  LogFrames frames;
  std::string out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const std::string_view now = bytes.substr(0, piece);
    const bool good = frames.take(std::as_bytes(std::span(now)), [&](std::span<const std::byte> text) {
      out.append(reinterpret_cast<const char*>(text.data()), text.size());
    });
    if (!good) return "refused";
  }
  return out;
}

TEST(LogFrames, AreTakenApartHoweverTheyAreCut) {
  const std::string bytes = frame(1, "out\n") + frame(2, "err\n") + frame(1, "") + frame(1, std::string(70'000, 'x'));
  const std::string expected = "out\nerr\n" + std::string(70'000, 'x');
  for (const std::size_t piece : {1U, 2U, 7U, 8U, 9U, 4096U, 1'000'000U})
    EXPECT_EQ(taken(bytes, piece), expected) << piece;
}

TEST(LogFrames, WhatHasBegunIsHandedOnAtOnce) {
  EXPECT_EQ(taken(frame(1, "half a line").substr(0, 12), 100), "half");
  EXPECT_EQ(taken(frame(1, "x").substr(0, 7), 100), "");
}

TEST(LogFrames, AnythingElseIsRefused) {
  EXPECT_EQ(taken("plain text of a terminal", 100), "refused");
  EXPECT_EQ(taken(std::string("\1\0\0\1\0\0\0\1x", 9), 100), "refused");
}

}  // namespace
}  // namespace chappe::container
