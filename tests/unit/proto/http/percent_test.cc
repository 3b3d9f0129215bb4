#include <gtest/gtest.h>

#include "proto/http/client.h"

namespace chappe::http {
namespace {

TEST(Percent, EncodesAllButTheUnreserved) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a b+c/é%"), "a%20b%2Bc%2F%C3%A9%25");
  EXPECT_EQ(percent_encode("a b/c", true), "a%20b/c");
}

TEST(Percent, ReadsBackWhatItWrote) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  EXPECT_EQ(percent_decode(percent_encode(every)).value_or(""), every);
}

TEST(Percent, RefusesHalfEscapes) {
  for (const std::string_view text : {"%", "a%4", "%zz", "%4g"}) EXPECT_FALSE(percent_decode(text).has_value()) << text;
  EXPECT_EQ(percent_decode("%41").value_or(""), "A");
}

}  // namespace
}  // namespace chappe::http
