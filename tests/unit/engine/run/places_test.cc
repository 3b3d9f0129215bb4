#include "engine/run/places.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

RunRow run(std::uint32_t seq, std::string dag = "a") { return {.seq = {seq}, .dag = std::move(dag)}; }

TEST(Places, AreTheDagsOwnUnlessTheRunHasAGroup) {
  Dag dag;
  dag.namespace_name = "team";
  RunRow row = run(1, "nightly");
  EXPECT_EQ(Places::group_of(row, dag), "nightly");
  row.group = "nightly";
  EXPECT_EQ(Places::group_of(row, dag), "team nightly");
}

TEST(Places, ARunHasOneWhileFewerThanItsBoundDoAndNobodyStandsBeforeIt) {
  Places places;
  EXPECT_TRUE(places.is_free("g", {1}, 1));
  places.take("g", {1});
  EXPECT_FALSE(places.is_free("g", {2}, 1));
  EXPECT_TRUE(places.is_free("g", {2}, 2));
  places.join_line("g", run(2));
  EXPECT_FALSE(places.is_free("g", {3}, 5)) << "it would overtake";
  EXPECT_TRUE(places.is_free("g", {1}, 2)) << "an older one";
  EXPECT_TRUE(places.is_free("other", {3}, 1));
}

TEST(Places, TheLineIsInTheOrderOfTheRuns) {
  Places places;
  for (const std::uint32_t seq : {7U, 3U, 5U}) places.join_line("g", run(seq, seq == 5 ? "b" : "a"));
  EXPECT_EQ(places.line("g"), (std::set<RunSeq>{{3}, {5}, {7}}));
  EXPECT_EQ(places.waiting(), 3U);
  EXPECT_EQ(places.waiting_of("a"), 2U);
  places.leave_line("g", run(3));
  places.leave_line("g", run(3));
  EXPECT_EQ(*places.line("g").begin(), RunSeq{5});
  EXPECT_EQ(places.waiting_of("a"), 1U);
  EXPECT_EQ(places.waiting_of("none"), 0U);
}

TEST(Places, NothingIsKeptOfAGroupWithoutRuns) {
  Places places;
  places.take("g", {1});
  places.join_line("g", run(2));
  places.give_back("g", {1});
  places.leave_line("g", run(2));
  EXPECT_EQ(places.groups(), 0U);
}

}  // namespace
}  // namespace chappe
