#include "engine/model/circles.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A DAG that starts on any of `sources` and publishes `asset`, which may be "".
DagPtr dag_on(const std::string& name, const std::vector<EventSource>& sources, const std::string& asset) {
  return support::DagBuilder(name)
      .task("t", {},
            [&](Task& task) {
              WorkSpec work;
              if (!asset.empty()) {
                OutputArtifact& output = work.outputs.emplace_back();
                output.asset = expr::Template::parse(asset).value();
              }
              task.work = std::make_shared<const WorkSpec>(std::move(work));
            })
      .change([&](Dag& dag) {
        for (const EventSource& source : sources) dag.triggers.emplace_back().when.source = source;
      })
      .build();
}

ListenersOf among(const std::vector<DagPtr>& dags) {
  return [dags](const EventSource& source) {
    std::vector<DagPtr> out;
    for (const DagPtr& dag : dags) {
      const auto sources = sources_of(*dag);
      if (std::find(sources.begin(), sources.end(), source) != sources.end()) out.push_back(dag);
    }
    return out;
  };
}

EventSource asset(const std::string& name) { return {EventSource::Kind::kAsset, name}; }
EventSource end_of(const std::string& name) { return {EventSource::Kind::kDag, name}; }

TEST(Circles, LeadThroughAssetsAndEnds) {
  const std::vector<DagPtr> dags{dag_on("a", {asset("y")}, "x"), dag_on("b", {asset("x")}, ""),
                                 dag_on("c", {end_of("b")}, "y"), dag_on("d", {asset("x")}, "z")};
  const DagCircle circle = circle_through(*dags[0], among(dags));
  EXPECT_THAT(circle.dags, ElementsAre("a", "b", "c"));
  EXPECT_THAT(circle.warning, HasSubstr("in a circle (a, b on asset x, c, a on asset y)"));
  EXPECT_THAT(circle_through(*dags[3], among(dags)).dags, IsEmpty()) << "it hangs on a circle, and closes none";
}

TEST(Circles, ADagMayStartItself) {
  const std::vector<DagPtr> dags{dag_on("a", {asset("x")}, "x")};
  EXPECT_THAT(circle_through(*dags[0], among(dags)).dags, ElementsAre("a"));
}

TEST(Circles, AreToldOfWhatTheFileSaysOnly) {
  const std::vector<DagPtr> dags{dag_on("a", {asset("x-1")}, "x-${{ params.n }}")};
  EXPECT_THAT(circle_through(*dags[0], among(dags)).dags, IsEmpty());
}

TEST(Circles, EndWhereTooManyAreLookedAt) {
  std::vector<DagPtr> dags{dag_on("a0", {asset("x-last")}, "x0")};
  for (std::size_t i = 1; i <= kCircleLooked + 1; ++i) {
    dags.push_back(dag_on(fmt::format("a{}", i), {asset(fmt::format("x{}", i - 1))}, fmt::format("x{}", i)));
  }
  std::map<EventSource, std::vector<DagPtr>> by_source;
  std::size_t asked = 0;
  for (const DagPtr& dag : dags) by_source[sources_of(*dag)[0]].push_back(dag);
  const auto listeners = [&](const EventSource& source) {
    ++asked;
    return by_source[source];
  };
  EXPECT_THAT(circle_through(*dags[0], listeners).dags, IsEmpty());
  EXPECT_LE(asked, 2 * kCircleLooked + 2);
}

}  // namespace
}  // namespace chappe
