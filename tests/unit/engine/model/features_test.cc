#include "engine/model/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/dag.h"

namespace chappe {
namespace {

TEST(Features, EachIsFoundByItsName) {
  const Features all = Features::all();
  EXPECT_EQ(all.names().size(), static_cast<std::size_t>(Feature::kCount));
  for (const std::string_view name : all.names()) EXPECT_EQ(name_of(*parse_feature(name)), name);
  EXPECT_FALSE(parse_feature("time_travel"));
}

TEST(Features, WhatIsMissingIsNamed) {
  Features some;
  some.add(Feature::kInputModes);
  EXPECT_TRUE(some.without(Features::all()).empty());
  const auto missing = Features::all().without(some).names();
  EXPECT_EQ(missing.size(), Features::all().names().size() - 1);
  EXPECT_THAT(missing, testing::Not(testing::Contains("input_modes")));
}

TEST(Features, ATaskNeedsWhatItsKeysAskForAndNothingElse) {
  WorkSpec work;
  work.inputs.push_back({.name = "rows", .path = "in/rows"});
  work.outputs.push_back({.name = "sums", .path = "out/sums"});
  Task task{.id = "t", .kind = TaskKind::kRun};
  EXPECT_TRUE(needed_by(task).empty());
  const auto names = [&] {
    task.work = std::make_shared<const WorkSpec>(work);
    return needed_by(task).names();
  };
  EXPECT_TRUE(names().empty());
  work.inputs[0].mode = 0600;
  EXPECT_THAT(names(), testing::ElementsAre("input_modes"));
  work.inputs[0] = {.name = "rows", .path = "in/rows", .unpack = Unpack::kNever};
  work.outputs[0].sha256 = expr::Template::literal(std::string(64, 'a'));
  EXPECT_THAT(names(), testing::ElementsAre("input_modes", "output_checksum"));
  work.outputs[0] = {.name = "sums", .path = "out/sums.csv", .schema = std::make_shared<const DataExpectations>()};
  EXPECT_THAT(names(), testing::ElementsAre("input_modes", "data"));
  work.outputs.clear();
  task.kind = TaskKind::kData;
  EXPECT_THAT(names(), testing::ElementsAre("input_modes", "data"));
  task.kind = TaskKind::kHttp;
  EXPECT_THAT(names(), testing::Contains("http"));
}

}  // namespace
}  // namespace chappe
