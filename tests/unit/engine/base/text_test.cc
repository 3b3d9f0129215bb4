#include "engine/base/text.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

TEST(Nearest, FindsASlipOfTheFinger) {
  const std::vector<std::string> known{"retries", "timeout", "depends_on"};
  EXPECT_EQ(nearest("retrys", known), "retries");
  EXPECT_EQ(nearest("tiemout", known), "timeout");
  EXPECT_EQ(nearest("dependson", known), "depends_on");
}

TEST(Nearest, SaysNothingRatherThanNonsense) {
  EXPECT_EQ(nearest("image", std::vector<std::string>{"retries", "timeout"}), std::nullopt);
  EXPECT_EQ(nearest("x", std::vector<std::string>{}), std::nullopt);
}

TEST(Identifier, IsAWordOfAtMostTwoHundredCharacters) {
  EXPECT_TRUE(is_identifier("_a1"));
  EXPECT_TRUE(is_identifier(std::string(200, 'a')));
  EXPECT_FALSE(is_identifier(std::string(201, 'a')));
  for (const char* text : {"", "1a", "a-b", "a b", "\xc3\xa9"}) EXPECT_FALSE(is_identifier(text)) << text;
}

}  // namespace
}  // namespace chappe
