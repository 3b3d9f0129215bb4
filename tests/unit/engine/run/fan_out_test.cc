#include "engine/run/fan_out.h"

#include <gtest/gtest.h>

#include "engine/run/instances.h"
#include "tests/support/dag_builder.h"

namespace chappe {
namespace {

using support::DagBuilder;

class Found : public expr::Scope {
 public:
  explicit Found(Value value) : value_(std::move(value)) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] != "found") return std::nullopt;
    return value_;
  }

 private:
  Value value_;
};

const Value kNoParams = ValueMap{};
const KeyNames kNames{kNoParams, *calendar::Zone::utc()};

Task over(const std::string& expression) {
  Task task;
  task.id = "work";
  task.foreach.emplace();
  task.foreach->expression = expr::Template::parse(expression).value();
  task.foreach->late = true;
  return task;
}

std::string refusal(const Task& task, Value found) {
  const auto result = FanOut::evaluate(task, Found(std::move(found)), ValueMap{});
  return result ? "" : result.error().message;
}

TEST(FanOut, TellsOfItselfWhatMakesItAgain) {
  Task task = over("${{ found }}");
  const auto list = FanOut::evaluate(task, Found(ValueList{"a", ValueMap{{"n", 1}}}), ValueMap{});
  ASSERT_TRUE(list);
  EXPECT_EQ(FanOut::restore(task, list->told(), kNames), *list);
  task.foreach->sequence = ForEach::Sequence{.start = 5, .step = -2};
  task.foreach->counted.count = expr::Template::parse("${{ found }}").value();
  const auto sequence = FanOut::evaluate(task, Found(3), ValueMap{});
  ASSERT_TRUE(sequence);
  EXPECT_EQ(sequence->key(2), "1");
  EXPECT_EQ(FanOut::restore(task, sequence->told(), kNames), *sequence);
  EXPECT_FALSE(FanOut::restore(task, ValueMap{{"start", 1}}, kNames));
}

TEST(FanOut, TakesAsManyItemsAsAreAllowedAndNoMore) {
  Task task = over("${{ found }}");
  EXPECT_EQ(refusal(task, ValueList(kLateItemsMax, 1)), "");
  EXPECT_EQ(refusal(task, ValueList(kLateItemsMax + 1, 1)),
            "foreach of task 'work': there are 100001 items; at most 100000 are allowed (more with max_items)");
  task.foreach->max_items = 2;
  EXPECT_EQ(refusal(task, ValueList{1, 2}), "");
  EXPECT_EQ(refusal(task, ValueList{1, 2, 3}),
            "foreach of task 'work': there are 3 items; at most 2 are allowed (max_items)");
}

TEST(FanOut, TakesNoMoreBytesThanAStoreKeeps) {
  const Task task = over("${{ found }}");
  const std::size_t around = std::string_view("[\"\"]").size();
  EXPECT_EQ(refusal(task, ValueList{std::string(kFanOutBytesMax - around, 'x')}), "");
  EXPECT_NE(refusal(task, ValueList{std::string(kFanOutBytesMax - around + 1, 'x')}), "");
}

TEST(FanOut, LetsNoMatrixGrowPastItsBounds) {
  Task task = over("");
  const auto axis = [](const std::string& name) {
    return ForEach::Axis{.name = name, .values = {}, .expression = expr::Template::parse("${{ found }}").value()};
  };
  task.foreach->matrix = {axis("a"), axis("b")};
  EXPECT_EQ(refusal(task, ValueList(100, 1)), "");
  EXPECT_NE(refusal(task, ValueList(1000, 1)).find("there are 1000000 items"), std::string::npos);
  EXPECT_NE(refusal(task, ValueList(300, std::string(300, 'x'))).find("bytes"), std::string::npos);
  const auto nothing = FanOut::evaluate(task, Found(ValueList{}), ValueMap{});
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->size(), 0U);
}

TEST(FanOut, RefusesWhatIsNoListAndNoNumber) {
  Task task = over("${{ found }}");
  EXPECT_EQ(refusal(task, "abc"), "foreach of task 'work': '${{ found }}' is string, not a list");
  task.foreach->sequence.emplace();
  task.foreach->counted.count = expr::Template::parse("${{ found }}").value();
  EXPECT_EQ(refusal(task, 1.5), "foreach of task 'work': '${{ found }}' is 1.5, not a whole number");
  EXPECT_EQ(refusal(task, -4), "");
  task.foreach->min_success = 3;
  EXPECT_EQ(refusal(task, 2), "foreach of task 'work': there are 2 items, and min_success asks for 3");
}

TEST(ForEach, LeavesRoomForAsManyFailuresAsItsShareDoesNotNeed) {
  ForEach foreach;
  EXPECT_EQ(foreach.may_fail(10), 0U);
  foreach
    .min_share = 0.7;
  EXPECT_EQ(foreach.may_fail(10), 3U);
  EXPECT_EQ(foreach.may_fail(3), 0U);  // Of 3 items 2.1 must succeed.
  foreach
    .min_share = 0;
  foreach
    .min_success = 4;
  EXPECT_EQ(foreach.may_fail(10), 6U);
}

TEST(LateInstances, StandBehindAllThereAreAndKeepTheirPositionsWhenOthersFollow) {
  const auto late = [](Task& task) { task.foreach = over("${{ found }}").foreach; };
  const DagPtr dag = DagBuilder("d").task("list").task("work", {"list"}, late).task("join", {"work"}).build();
  Instances instances = Instances::expand(dag, {}).value();
  EXPECT_EQ(instances.size(), 3U);
  EXPECT_EQ(instances.name_of(1), "work");
  ASSERT_TRUE(instances.fan_out(1, ValueList{"a", "b"}, ValueMap{}));
  EXPECT_EQ(instances.size(), 5U);
  EXPECT_EQ(instances.first(1), 3U);
  EXPECT_EQ(instances.name_of(4), "work[b]");
  EXPECT_EQ(instances.item_of(4), Value("b"));
  EXPECT_EQ(instances.find("work"), 1U);
  EXPECT_EQ(instances.find("work[b]"), 4U);
  EXPECT_FALSE(instances.is_current(1));
  ASSERT_TRUE(instances.fan_out(1, ValueList{"b"}, ValueMap{}));
  EXPECT_EQ(instances.find("work[b]"), 5U);
  EXPECT_EQ(instances.find("work[a]"), std::nullopt);
  EXPECT_EQ(instances.name_of(3), "work[a]");
  EXPECT_TRUE(instances.is_retired(3));
  ASSERT_TRUE(instances.fan_out(1, ValueList{}, ValueMap{}));
  EXPECT_EQ(instances.size(), 6U);
  EXPECT_EQ(instances.first(1), 1U);
  EXPECT_TRUE(instances.is_current(1));
  EXPECT_TRUE(instances.is_retired(5));
  EXPECT_FALSE(instances.fan_out(0, ValueList{}, ValueMap{}));
}

}  // namespace
}  // namespace chappe
