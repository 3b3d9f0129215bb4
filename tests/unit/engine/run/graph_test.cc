#include "engine/run/graph.h"

#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

TEST(Graph, NamesTheChildrenOfATaskAndWhichEdgeItIsToThem) {
  const DagPtr dag = support::DagBuilder("d").task("a").task("b").task("c", {"b", "a"}).task("d", {"a"}).build();
  const Graph graph(*dag);
  ASSERT_EQ(graph.children(0).size(), 2u);
  EXPECT_EQ(graph.children(0)[0].child, 2u);
  EXPECT_EQ(graph.children(0)[0].dependency, 1u);
  EXPECT_EQ(graph.children(0)[1].child, 3u);
  EXPECT_EQ(graph.children(1).size(), 1u);
  EXPECT_TRUE(graph.children(2).empty());
}

TEST(Graph, DescendantsAreReachedOnceThroughWhateverWay) {
  const DagPtr dag =
      support::DagBuilder("d").task("a").task("b", {"a"}).task("c", {"a"}).task("d", {"b", "c"}).task("e").build();
  const std::uint32_t roots[] = {1};
  EXPECT_EQ(Graph(*dag).with_descendants(roots), (std::vector<bool>{false, true, false, true, false}));
}

}  // namespace
}  // namespace chappe
