#include "engine/base/text.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

TEST(Nearest, FindsASlipOfTheFinger) {
  const std::vector<std::string> known{"retries", "timeout", "depends_on"};
  EXPECT_EQ(nearest("retrys", known), "retries");
  EXPECT_EQ(nearest("tiemout", known), "timeout");
  EXPECT_EQ(nearest("TIMEOUT", known), "timeout");
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

TEST(Utf8, KnowsWellFormedText) {
  EXPECT_TRUE(is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* text : {"\x80", "\xc1\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xfe"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

TEST(MatchesPattern, IsAboutTheWholeTextAndAnyCharacters) {
  for (const auto* pattern : {"in/a.csv", "in/*", "*", "*.csv", "in/?.csv", "*a*", "i*/*.c?v", "in/a.csv*"}) {
    EXPECT_TRUE(matches_pattern("in/a.csv", pattern)) << pattern;
  }
  for (const auto* pattern : {"", "in/a.cs", "n/a.csv", "in/??.csv", "*.CSV", "in/*.csv.gz", "in/a.csv?"}) {
    EXPECT_FALSE(matches_pattern("in/a.csv", pattern)) << pattern;
  }
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_TRUE(matches_pattern("d\xc3\xa9", "d?")) << "a character, not a byte";
}

TEST(MatchesPattern, ManyStarsCostNoMoreThanTheirProduct) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  EXPECT_FALSE(matches_pattern(std::string(900, 'a'), pattern + "b"));
}

TEST(Printable, LetsNoTextForgeALineOrDriveATerminal) {
  EXPECT_EQ(printable("a\x1b[2J\nb\tc\x7f"), "a\\x1b[2J\\x0ab\tc\\x7f");
  EXPECT_EQ(printable("na\xc3\xafve \xc2\xa0\xf0\x9f\x98\x80"), "na\xc3\xafve \xc2\xa0\xf0\x9f\x98\x80");
}

TEST(Printable, KnowsTheControlCharactersOfLatin1) {
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");  // CSI in one character.
  EXPECT_EQ(printable("\x9b"
                      "2J\xff"),
            "\\x9b2J\\xff");
}

}  // namespace
}  // namespace chappe
