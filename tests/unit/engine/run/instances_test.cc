#include "engine/run/instances.h"

#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

using support::DagBuilder;

std::function<void(Task&)> over_items(ValueList items, const std::string& key = "") {
  return [=](Task& task) {
    task.foreach.emplace();
    task.foreach->items = items;
    if (!key.empty()) task.foreach->key = expr::Template::parse(key).value();
  };
}

std::function<void(Task&)> counting(std::int64_t start, std::int64_t count, std::int64_t step) {
  return [=](Task& task) {
    task.foreach.emplace();
    task.foreach->sequence = ForEach::Sequence{start, count, step};
  };
}

Instances expand(const DagPtr& dag, const ValueMap& params = {}) {
  auto expanded = Instances::expand(dag, params);
  EXPECT_TRUE(expanded) << expanded.error().message;
  return std::move(*expanded);
}

std::vector<std::string> names(const Instances& instances) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < instances.size(); ++i) out.push_back(instances.name_of(i));
  return out;
}

TEST(Instances, StandInTheOrderOfTheFileMappedOnesSideBySide) {
  const Instances instances = expand(DagBuilder("d").task("a").task("b", {}, over_items({"x", "y"})).task("c").build());
  EXPECT_EQ(names(instances), (std::vector<std::string>{"a", "b[x]", "b[y]", "c"}));
  for (std::uint32_t i = 0; i < instances.size(); ++i) EXPECT_EQ(instances.find(instances.name_of(i)), i);
  EXPECT_EQ(instances.task_of(2), 1u);
  EXPECT_EQ(instances.item_of(2), Value("y"));
  EXPECT_TRUE(instances.item_of(0).is_null());
}

TEST(Instances, AFanOutOverNothingHasOneThatStandsForIt) {
  const Instances instances =
      expand(DagBuilder("d").task("a", {}, over_items({})).task("b", {}, counting(0, 0, 1)).build());
  EXPECT_EQ(names(instances), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(instances.mapped(0));
  EXPECT_EQ(instances.key_of(0), "");
}

TEST(Instances, ShortScalarsThatDifferAreTheirOwnKeysAnythingElseGoesByPosition) {
  EXPECT_EQ(names(expand(DagBuilder("d").task("a", {}, over_items({1, "x", 2.5})).build())),
            (std::vector<std::string>{"a[1]", "a[x]", "a[2.5]"}));
  EXPECT_EQ(names(expand(DagBuilder("d").task("a", {}, over_items({"x", "x"})).build())),
            (std::vector<std::string>{"a[0]", "a[1]"}));
  EXPECT_EQ(names(expand(DagBuilder("d").task("a", {}, over_items({ValueList{1}})).build())),
            (std::vector<std::string>{"a[0]"}));
  EXPECT_EQ(names(expand(DagBuilder("d").task("a", {}, over_items({std::string(65, 'x')})).build())),
            (std::vector<std::string>{"a[0]"}));
}

TEST(Instances, SequencesCountWithTheirStepAndFindOnlyTheirOwn) {
  const Instances instances = expand(DagBuilder("d").task("a", {}, counting(10, 3, -5)).build());
  EXPECT_EQ(names(instances), (std::vector<std::string>{"a[10]", "a[5]", "a[0]"}));
  EXPECT_EQ(instances.find("a[5]"), 1u);
  for (const char* name : {"a", "a[]", "a[7]", "a[-5]", "a[15]", "a[5", "a[5]]", "a[x]", "b"}) {
    EXPECT_EQ(instances.find(name), std::nullopt) << name;
  }
}

TEST(Instances, AKeyMustBeOneAndOnlyOnesOwn) {
  const auto error = [](const DagPtr& dag) { return Instances::expand(dag, {}).error().message; };
  EXPECT_EQ(error(DagBuilder("d").task("a", {}, over_items({"x", "y"}, "same")).build()),
            "key of task 'a', item 1: 'same' names another item already");
  EXPECT_EQ(error(DagBuilder("d").task("a", {}, over_items({""}, "${{ item }}")).build()),
            "key of task 'a', item 0: '' must have 1 to 200 bytes");
}

TEST(Instances, AFanOutOverAParameterNeedsAList) {
  const DagPtr dag = DagBuilder("d")
                         .task("a", {},
                               [](Task& task) {
                                 task.foreach.emplace();
                                 task.foreach->expression = expr::Template::parse("${{ params.days }}").value();
                               })
                         .build();
  EXPECT_EQ(names(expand(dag, {{"days", ValueList{"mon", "tue"}}})), (std::vector<std::string>{"a[mon]", "a[tue]"}));
  const auto refused = Instances::expand(dag, {{"days", 3}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
}

TEST(Instances, KeepToTheirBounds) {
  const std::int64_t most = kItemsMax;
  EXPECT_EQ(expand(DagBuilder("d").task("a", {}, counting(0, most, 1)).build()).size(), kItemsMax);
  EXPECT_FALSE(Instances::expand(DagBuilder("d").task("a", {}, counting(0, most + 1, 1)).build(), {}));
  DagBuilder many("d");
  for (int i = 0; i < 4; ++i) many.task("t" + std::to_string(i), {}, counting(0, most, 1));
  EXPECT_EQ(expand(many.build()).size(), kInstancesMax);
  EXPECT_FALSE(Instances::expand(many.task("one_more").build(), {}));
}

}  // namespace
}  // namespace chappe
