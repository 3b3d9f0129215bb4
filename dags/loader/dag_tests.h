/// \file
/// A DAG's own tests, as its file tells them: what stands in for tasks and assets, and what must come of a run.
///
/// Nothing of it is part of the DAG: tests do not change its version, and no run knows of them. Who runs them sends
/// the text of dag_under_test(), which is a DAG like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dags/loader/yaml_tree.h"
#include "engine/expr/expression.h"
#include "engine/model/dag.h"

namespace chappe {

inline constexpr std::size_t kTestsMax = 1'000;  ///< Of one file.

/// The content of a file, as a test gives or expects it.
struct TestContent {
  enum class As : std::uint8_t {
    kText,      ///< `text`, byte by byte.
    kJson,      ///< `json`: equal as a value, whatever the spelling.
    kFile,      ///< As the file (or, in a fixture, the folder) `text`, from the folder of the DAG file on.
    kContains,  ///< `text` is a part of it. Expected only.
    kAbsent,    ///< It was not left. Expected only.
  } as = As::kText;
  std::string text;
  Value json;
  yaml::Place place;
};
using NamedContents = std::vector<std::pair<std::string, TestContent>>;

/// Stands in for a task, or for one instance of it: what it does is not done, and this is what it comes to.
struct TaskFixture {
  std::string name;  ///< "train" or "train[KEY]".
  std::uint32_t task = 0;
  TaskState end = TaskState::kSuccess;  ///< Or kFailed, or kSkipped.
  std::int32_t exit_code = 1;           ///< With kFailed.
  ValueMap values;                      ///< Metrics, too.
  NamedContents artifacts;
};

/// A version of an asset that is there before the run.
struct AssetFixture {
  std::string asset;  ///< URI or short name.
  std::string alias;  ///< That names the version; "": none.
  TestContent content;
};

struct ExpectedValue {
  std::string name;
  Value value;
  yaml::Place place;
};

/// What a task, or one instance of it, must have come to.
struct TaskExpectation {
  std::string name;
  std::uint32_t task = 0;
  std::optional<TaskState> state;
  std::optional<Reason> reason;
  std::vector<ExpectedValue> values;
  NamedContents artifacts;
  yaml::Place place;
};

struct ExpectedCondition {
  expr::Expression expression;
  yaml::Place place;
};

struct DagTest {
  std::string name;  ///< Unique in its file.
  std::string description;
  ValueMap params;  ///< Those that are given.
  WallTime logical_time;
  Duration timeout = std::chrono::minutes(5);  ///< Of the whole run.
  std::vector<TaskFixture> tasks;
  std::vector<AssetFixture> assets;
  RunState state = RunState::kSuccess;
  std::vector<TaskExpectation> expected;
  std::vector<ExpectedValue> published;  ///< Values that the run publishes.
  NamedContents published_artifacts;
  std::vector<ExpectedCondition> conditions;
  yaml::Place place;        ///< Of its name.
  yaml::Place state_place;  ///< Of the expected state; that of the name where none is written.
};

/// Where what fixtures give lies as files, beneath `folder`. Positions count from 0 in DagTest.
struct FixtureFiles {
  std::string folder;  ///< Absolute.
  std::string artifact(std::size_t fixture, std::size_t artifact) const;
  std::string values(std::size_t fixture) const;  ///< A JSON object.
  std::string asset(std::size_t fixture) const;
};

/// The URI that `uri` has in a test: one of S3 ("s3://BUCKET/KEY") is a name beneath the object store there.
std::string uri_under_test(std::string_view uri);

/// The DAG as `test` runs it: tasks with a fixture copy the files of `files` into place, or fail, instead of what they
/// do; nobody is told of anything; S3 is not written to; and everything runs on the one worker there is. `text` is that
/// of a file which loads as `dag`.
std::string dag_under_test(std::string_view text, const Dag& dag, const DagTest& test, const FixtureFiles& files);

/// A DAG that publishes the assets of the fixtures; "" where there are none. Its task `asset_N` publishes fixture N.
std::string dag_of_assets(const DagTest& test, const FixtureFiles& files);

}  // namespace chappe
