#include "scheduler/quarantine/strikes.h"

#include <gtest/gtest.h>

namespace chappe::quarantine {
namespace {

TEST(Strikes, LeaveAloneWhatHasThree) {
  Strikes strikes("a");
  for (std::uint32_t i = 1; i <= kStrikesMax; ++i) {
    EXPECT_FALSE(strikes.are_enough(Kind::kRun, "7"));
    strikes.add(Kind::kRun, "7");
    EXPECT_EQ(strikes.of(Kind::kRun, "7"), i);
  }
  EXPECT_TRUE(strikes.are_enough(Kind::kRun, "7"));
  EXPECT_FALSE(strikes.are_enough(Kind::kRun, "8"));
  EXPECT_FALSE(strikes.are_enough(Kind::kDag, "7")) << "of another kind";
  EXPECT_EQ(strikes.left_alone(), 1U);
}

TEST(Strikes, OutliveTheProcess) {
  Strikes strikes("a");
  strikes.add(Kind::kDag, "nightly \"x\"", 2);
  strikes.add(Kind::kText, "00ff", kStrikesMax);
  const auto again = Strikes::parse(strikes.to_json(), "a");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), strikes.to_json());
  EXPECT_EQ(again->of(Kind::kDag, "nightly \"x\""), 2U);
  EXPECT_TRUE(again->are_enough(Kind::kText, "00ff"));
}

TEST(Strikes, AreForgottenByAnotherBuild) {
  Strikes strikes("a");
  strikes.add(Kind::kText, "00ff", kStrikesMax);
  const auto again = Strikes::parse(strikes.to_json(), "b");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->left_alone(), 0U);
}

TEST(Strikes, AreOfSoManyThingsOnly) {
  Strikes strikes("a");
  for (std::size_t i = 0; i < kThingsMax; ++i) strikes.add(Kind::kRun, std::to_string(i), kStrikesMax);
  strikes.add(Kind::kRun, "one more", kStrikesMax);
  EXPECT_EQ(strikes.left_alone(), kThingsMax);
  EXPECT_EQ(strikes.of(Kind::kRun, "one more"), 0U);
}

TEST(Strikes, SayWhereTheTextIsAnothers) {
  for (const char* text :
       {"", "[]", "{}", R"({"build": "a"})", R"({"build": 1, "things": []})", R"({"build": "a", "things": [1]})",
        R"({"build": "a", "things": [{"kind": "cat", "id": "1", "strikes": 1}]})",
        R"({"build": "a", "things": [{"kind": "run", "id": "1", "strikes": 0}]})"}) {
    const auto strikes = Strikes::parse(text, "a");
    ASSERT_FALSE(strikes) << text;
    EXPECT_EQ(strikes.error().code, ErrorCode::kCorrupt) << text;
  }
}

}  // namespace
}  // namespace chappe::quarantine
