#include "scheduler/api/target.h"

#include <gtest/gtest.h>

namespace chappe::api {
namespace {

std::vector<std::string> segments(std::string_view text) {
  const auto target = parse_target(text);
  return target ? target->segments : std::vector<std::string>{"refused: " + target.error().message};
}

bool is_refused(std::string_view text) { return !parse_target(text); }

TEST(Target, UndoesPercentEncodingOnceAndAfterTheCut) {
  EXPECT_EQ(segments("/runs/a%2Fb/%2541"), (std::vector<std::string>{"runs", "a/b", "%41"}));
  EXPECT_EQ(segments("/"), std::vector<std::string>{});
  EXPECT_EQ(segments("/t%C3%A9l%C3%A9graphe/train%5Ba%20b%5D"),
            (std::vector<std::string>{"t\xc3\xa9l\xc3\xa9graphe", "train[a b]"}));
}

TEST(Target, RefusesEverySecondSpellingOfAPath) {
  for (const char* path : {"", "runs", "//runs", "/runs/", "/runs//x", "/./runs", "/runs/..", "/%2e%2e/etc",
                           "/runs/%2E", "http://host/runs", "*", "/a\x01"}) {
    EXPECT_TRUE(is_refused(path)) << path;
  }
}

TEST(Target, RefusesWhatIsNoText) {
  for (const char* path : {"/%", "/%4", "/%zz", "/%00", "/%0a", "/%1b[2J", "/%c2%9b2J", "/%ff", "/%c0%af", "/%ed%a0%80",
                           "/%f5%80%80%80", "/runs?a=%00", "/runs?%ff"}) {
    EXPECT_TRUE(is_refused(path)) << path;
  }
}

TEST(Target, ReadsTheQueryInOrder) {
  const auto target = parse_target("/runs?dag=a+b%2B&flag&x=1=2&&x=3");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->query, (TextPairs{{"dag", "a b+"}, {"flag", ""}, {"x", "1=2"}, {"x", "3"}}));
}

TEST(Target, BoundsSegmentsAndParameters) {
  std::string path, query = "/a?x";
  for (int i = 0; i < 16; ++i) path += "/a";
  EXPECT_FALSE(is_refused(path));
  EXPECT_TRUE(is_refused(path + "/a"));
  for (int i = 1; i < 32; ++i) query += "&x";
  EXPECT_FALSE(is_refused(query));
  EXPECT_TRUE(is_refused(query + "&x"));
}

TEST(Match, TakesVariablesOutOfThePath) {
  EXPECT_EQ(match("/runs/{run}/tasks/{task}", {"runs", "01", "tasks", "a/b"}),
            (TextPairs{{"run", "01"}, {"task", "a/b"}}));
  EXPECT_EQ(match("/runs", {"runs"}), TextPairs{});
}

TEST(Match, NeedsTheWholePath) {
  EXPECT_EQ(match("/runs/{run}", {"runs"}), std::nullopt);
  EXPECT_EQ(match("/runs", {"runs", "x"}), std::nullopt);
  EXPECT_EQ(match("/runs", {"Runs"}), std::nullopt);
  EXPECT_EQ(match("/runs", {}), std::nullopt);
}

}  // namespace
}  // namespace chappe::api
