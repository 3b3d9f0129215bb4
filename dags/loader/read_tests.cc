#include "dags/loader/read_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "dags/loader/check_references.h"
#include "dags/loader/keys_of_tests.h"
#include "dags/loader/names.h"
#include "engine/model/waits.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr TaskState kEnds[] = {TaskState::kSuccess, TaskState::kFailed, TaskState::kSkipped, TaskState::kUpstreamFailed,
                               TaskState::kCancelled};
constexpr RunState kRunEnds[] = {RunState::kSuccess, RunState::kFailed, RunState::kCancelled};

template <typename States>
std::vector<std::string> names_of(const States& states) {
  std::vector<std::string> out;
  for (const auto state : states) out.emplace_back(name_of(state));
  return out;
}

std::vector<std::string> names_of_reasons() {
  std::vector<std::string> out;
  for (int i = 1; i <= static_cast<int>(Reason::kUpstream); ++i) out.emplace_back(name_of(static_cast<Reason>(i)));
  return out;
}

bool is_given(const ValueMap& values, const std::string& name) {
  return std::ranges::find(values, name, &ValueMap::value_type::first) != values.end();
}
bool is_given(const NamedContents& contents, const std::string& name) {
  return std::ranges::find(contents, name, &NamedContents::value_type::first) != contents.end();
}

/// What is declared as a metric is a number.
bool is_metric(const Task& task, const std::string& name) {
  if (task.work == nullptr) return false;
  const auto& values = task.work->values;
  return std::any_of(values.begin(), values.end(),
                     [&](const OutputValue& value) { return value.name == name && value.metric; });
}

class TestsReader {
 public:
  TestsReader(Reader& reader, const Dag& dag)
      : reader_(reader), complaints_(reader.complaints()), dag_(dag), names_(reader, dag) {
    names_.enter_task(std::numeric_limits<std::uint32_t>::max(), nullptr);  // No task's own.
  }

  std::vector<DagTest> read(const Node& node) {
    std::vector<DagTest> out;
    if (!reader_.is_list(node, "tests", "[{name: it works, expect: {state: success}}]")) return out;
    if (node.children.size() > kTestsMax) complaints_.error(node, fmt::format("more than {} tests", kTestsMax));
    for (const Node* each : node.children) {
      if (reader_.check_keys(*each, keys::kTest)) out.push_back(read_test(*each));
    }
    check_mentions(complaints_, dag_, names_);
    return out;
  }

 private:
  DagTest read_test(const Node& node) {
    DagTest test;
    read_name(test, node);
    reader_.take_text(node, "description", test.description);
    reader_.take_duration(node, "timeout", test.timeout);
    if (const Node* time = node.find("logical_time")) read_time(test, *time);
    read_test_params(test, node);
    if (const Node* fixtures = node.find("fixtures"); fixtures != nullptr && fixtures->is_map()) {
      read_fixtures(test, *fixtures);
    } else if (fixtures != nullptr) {
      (void)reader_.check_keys(*fixtures, keys::kFixtures);
    }
    test.state_place = test.place;
    const Node* expect = node.find("expect");
    if (expect != nullptr && reader_.check_keys(*expect, keys::kExpect)) read_expect(test, *expect);
    return test;
  }

  void read_name(DagTest& test, const Node& node) {
    const Node* name = node.find("name");
    test.place = name != nullptr ? name->place : node.place;
    reader_.take_text(node, "name", test.name);
    if (test.name.empty()) return complaints_.error(test.place, "a test needs a 'name': what it shows, in a sentence");
    if (!seen_.insert(test.name).second) {
      complaints_.error(test.place, fmt::format("two tests are called '{}'", test.name));
    }
  }

  void read_time(DagTest& test, const Node& node) {
    const auto text = reader_.text(node, "logical_time");
    const auto time = text ? parse_iso8601(*text) : Result<WallTime>(WallTime{});
    if (!time) return complaints_.error(node, time.error().message);
    test.logical_time = *time;
  }

  /// As for a run: typed, complete, and no others than the DAG's.
  void read_test_params(DagTest& test, const Node& node) {
    const Node* given = node.find("params");
    if (given != nullptr && !given->is_map()) {
      return complaints_.error(*given, fmt::format("'params' is a map of parameters, not {}", Reader::shown(*given)));
    }
    if (auto value = given == nullptr ? std::nullopt : reader_.value(*given)) test.params = *value->as_map();
    if (const auto checked = resolve_params(dag_.params, test.params); !checked) {
      complaints_.error(given != nullptr ? given->place : test.place, checked.error().message);
    }
  }

  // ---- Fixtures ----

  void read_fixtures(DagTest& test, const Node& node) {
    if (!reader_.check_keys(node, keys::kFixtures)) return;
    const auto each = [&](std::string_view key, const auto& read) {
      const Node* map = node.find(key);
      if (map == nullptr) return;
      if (!map->is_map())
        return complaints_.error(*map, fmt::format("'{}' is a map, not {}", key, Reader::shown(*map)));
      for (std::size_t i = 0; i < map->members(); ++i) read(map->key(i), map->value(i));
    };
    each("tasks", [&](const Node& name, const Node& value) { read_task_fixture(test, name, value); });
    each("assets", [&](const Node& name, const Node& value) { read_asset_fixture(test, name, value); });
  }

  void read_task_fixture(DagTest& test, const Node& name, const Node& node) {
    const auto task = task_named(name);
    if (!task || !reader_.check_keys(node, keys::kTaskFixture)) return;
    if (const auto& wait = dag_.tasks[*task].wait; wait != nullptr && wait->what == WaitSpec::For::kObjects) {
      return complaints_.error(
          name, fmt::format("'{}' lists the test's own store: give what it finds as 'assets'", name.text));
    }
    TaskFixture fixture{.name = name.text, .task = *task, .values = {}, .artifacts = {}};
    if (const Node* state = node.find("state")) {
      const std::vector<std::string> ends = names_of(std::span(kEnds).first(3));
      fixture.end = kEnds[reader_.choice(*state, "state", ends).value_or(0)];
      if (fixture.end == TaskState::kSkipped && name.text != dag_.tasks[*task].id) {
        complaints_.error(*state, "a fixture skips all instances of a task, or none");
      }
    }
    if (const Node* code = node.find("exit_code"); code != nullptr && fixture.end != TaskState::kFailed) {
      complaints_.error(*code, "'exit_code' goes with 'state: failed'");
    }
    reader_.take_integer(node, "exit_code", 1, 255, fixture.exit_code);
    if (const Node* values = node.find("values")) read_given_values(fixture, *values);
    if (const Node* artifacts = node.find("artifacts")) {
      fixture.artifacts = read_contents(outputs_of(dag_.tasks[*task]), *artifacts, keys::kContent);
    }
    if (fixture.end == TaskState::kSuccess) check_complete(fixture, name);
    test.tasks.push_back(std::move(fixture));
  }

  void read_given_values(TaskFixture& fixture, const Node& node) {
    const Task& task = dag_.tasks[fixture.task];
    each_value(outputs_of(task), node, [&](const Node& name, Value value) {
      if (is_metric(task, name.text) && !value.is_number()) {
        complaints_.error(name, fmt::format("the metric '{}' is a number", name.text));
      }
      fixture.values.emplace_back(name.text, std::move(value));
    });
  }

  /// A success leaves what the task promises.
  void check_complete(const TaskFixture& fixture, const Node& name) {
    const Task& task = dag_.tasks[fixture.task];
    std::vector<std::string> missing;
    if (task.work == nullptr) return;
    for (const OutputValue& value : task.work->values) {
      if (!value.default_value && !is_given(fixture.values, value.name)) missing.push_back(value.name);
    }
    for (const OutputArtifact& output : task.work->outputs) {
      if (output.required && !is_given(fixture.artifacts, output.name)) missing.push_back(output.name);
    }
    if (missing.empty()) return;
    complaints_.error(name, fmt::format("'{}' ends well only with all its outputs, and the fixture lacks {}", task.id,
                                        fmt::join(missing, ", ")));
  }

  void read_asset_fixture(DagTest& test, const Node& name, const Node& node) {
    AssetFixture fixture;
    const std::size_t at = name.text.rfind('@');
    fixture.asset = name.text.substr(0, at);
    if (at != std::string::npos) fixture.alias = name.text.substr(at + 1);
    if (fixture.asset.empty() || (at != std::string::npos && fixture.alias.empty())) {
      return complaints_.error(name, "an asset is a URI, URI@ALIAS or NAME@ALIAS, as 'inputs' name it");
    }
    if (auto content = read_content(node, name.text, keys::kContent)) {
      fixture.content = std::move(*content);
      test.assets.push_back(std::move(fixture));
    }
  }

  // ---- Expectations ----

  void read_expect(DagTest& test, const Node& node) {
    if (const Node* state = node.find("state")) {
      test.state = kRunEnds[reader_.choice(*state, "state", names_of(kRunEnds)).value_or(0)];
      test.state_place = state->place;
    }
    if (const Node* tasks = node.find("tasks")) {
      if (!tasks->is_map()) {
        complaints_.error(*tasks,
                          fmt::format("'tasks' is a map such as {{load: skipped}}, not {}", Reader::shown(*tasks)));
      }
      for (std::size_t i = 0; tasks->is_map() && i < tasks->members(); ++i) {
        read_task_expectation(test, tasks->key(i), tasks->value(i));
      }
    }
    const Node* outputs = node.find("outputs");
    if (outputs != nullptr && reader_.check_keys(*outputs, keys::kOutputsExpect)) read_published(test, *outputs);
    const Node* conditions = node.find("conditions");
    if (conditions == nullptr || !reader_.is_list(*conditions, "conditions", "[tasks.load.outputs.rows > 0]")) return;
    for (const Node* each : conditions->children) {
      if (auto parsed = names_.parse_expression(*each, site::kTest, "conditions")) {
        test.conditions.push_back({std::move(*parsed), each->place});
      }
    }
  }

  /// Of the run as a whole, by the DAG's `outputs`.
  void read_published(DagTest& test, const Node& node) {
    const Outputs known = outputs_of_run();
    if (const Node* values = node.find("values")) test.published = read_values(known, *values);
    if (const Node* artifacts = node.find("artifacts")) {
      test.published_artifacts = read_contents(known, *artifacts, keys::kExpectedContent);
    }
  }

  /// A state, or a map.
  void read_task_expectation(DagTest& test, const Node& name, const Node& node) {
    const auto task = task_named(name);
    if (!task) return;
    TaskExpectation out{.name = name.text, .task = *task, .values = {}, .artifacts = {}, .place = name.place};
    if (node.is_scalar()) {
      take_state(out, node);
    } else if (reader_.check_keys(node, keys::kTaskExpect)) {
      if (const Node* state = node.find("state")) take_state(out, *state);
      const std::vector<std::string> reasons = names_of_reasons();
      const Node* reason = node.find("reason");
      const auto found = reason == nullptr ? std::nullopt : reader_.choice(*reason, "reason", reasons);
      if (found) out.reason = static_cast<Reason>(*found + 1);
      if (const Node* values = node.find("values")) {
        out.values = read_values(outputs_of(dag_.tasks[*task]), *values);
      }
      if (const Node* artifacts = node.find("artifacts")) {
        out.artifacts = read_contents(outputs_of(dag_.tasks[*task]), *artifacts, keys::kExpectedContent);
      }
    }
    test.expected.push_back(std::move(out));
  }

  void take_state(TaskExpectation& out, const Node& node) {
    if (const auto found = reader_.choice(node, "state", names_of(kEnds))) out.state = kEnds[*found];
  }

  // ---- Both ----

  /// "train" or "train[KEY]".
  std::optional<std::uint32_t> task_named(const Node& name) {
    const std::size_t bracket = name.text.find('[');
    const std::string id = name.text.substr(0, bracket);
    const auto task = dag_.find(id);
    if (!task) {
      std::vector<std::string> ids;
      for (const Task& each : dag_.tasks) ids.push_back(each.id);
      complaints_.error(name, fmt::format("there is no task '{}'{}", id, Reader::suggestion(id, ids)));
      return std::nullopt;
    }
    const bool instance = bracket != std::string::npos;
    if (instance && (!dag_.tasks[*task].foreach || !name.text.ends_with(']'))) {
      complaints_.error(name, dag_.tasks[*task].foreach
                                  ? fmt::format("an instance is written as {}[KEY]", id)
                                  : fmt::format("task '{}' has no 'foreach', and so no instances", id));
      return std::nullopt;
    }
    return task;
  }

  struct Outputs {
    std::string owner;  ///< "task 'load'"
    std::vector<std::string> values;
    std::vector<std::string> artifacts;
  };

  static Outputs outputs_of(const Task& task) {
    Outputs out{fmt::format("task '{}'", task.id), names_of_values(task), {}};
    if (task.work == nullptr) return out;
    for (const OutputArtifact& each : task.work->outputs) out.artifacts.push_back(each.name);
    return out;
  }

  Outputs outputs_of_run() const {
    Outputs out{"the DAG", {}, {}};
    for (const auto& [name, value] : dag_.outputs.values) out.values.push_back(name);
    for (const RunOutputs::Artifact& each : dag_.outputs.artifacts) out.artifacts.push_back(each.name);
    return out;
  }

  std::vector<ExpectedValue> read_values(const Outputs& known, const Node& node) {
    std::vector<ExpectedValue> out;
    each_value(known, node, [&](const Node& key, Value value) {
      out.push_back({key.text, std::move(value), key.place});
    });
    return out;
  }

  template <typename Take>
  void each_value(const Outputs& known, const Node& node, const Take& take) {
    if (!node.is_map()) {
      return complaints_.error(node, fmt::format("'values' is a map of names and values, not {}", Reader::shown(node)));
    }
    for (std::size_t i = 0; i < node.members(); ++i) {
      const Node& name = node.key(i);
      if (std::ranges::find(known.values, name.text) == known.values.end()) {
        complaints_.error(name, fmt::format("{} has no output value '{}'{}", known.owner, name.text,
                                            Reader::suggestion(name.text, known.values)));
      } else if (auto value = reader_.value(node.value(i))) {
        take(name, std::move(*value));
      }
    }
  }

  NamedContents read_contents(const Outputs& known, const Node& node, const KeySet& keys) {
    NamedContents out;
    if (!node.is_map()) {
      complaints_.error(node, fmt::format("'artifacts' is a map of names and contents, not {}", Reader::shown(node)));
      return out;
    }
    for (std::size_t i = 0; i < node.members(); ++i) {
      const Node& name = node.key(i);
      if (std::ranges::find(known.artifacts, name.text) == known.artifacts.end()) {
        complaints_.error(name, fmt::format("{} has no output artifact '{}'{}", known.owner, name.text,
                                            Reader::suggestion(name.text, known.artifacts)));
      } else if (auto content = read_content(node.value(i), name.text, keys)) {
        content->place = name.place;
        out.emplace_back(name.text, std::move(*content));
      }
    }
    return out;
  }

  /// A text, or a map with one key that says what it is.
  std::optional<TestContent> read_content(const Node& node, const std::string& name, const KeySet& keys) {
    TestContent out{.text = {}, .json = {}, .place = node.place};
    if (node.is_scalar()) {
      out.text = reader_.text(node, name).value_or("");
      return out;
    }
    if (!reader_.check_keys(node, keys)) return std::nullopt;
    if (node.members() != 1) {
      complaints_.error(node, fmt::format("give one of {}", fmt::join(keys.known, ", ")));
      return std::nullopt;
    }
    const Node& value = node.value(0);
    const std::string& key = node.key(0).text;
    if (key == "text" || key == "contains") {
      out.as = key == "text" ? TestContent::As::kText : TestContent::As::kContains;
      out.text = value.is_scalar() ? value.text : reader_.text(value, key).value_or("");
    } else if (key == "json") {
      out.as = TestContent::As::kJson;
      out.json = reader_.value(value).value_or(Value());
    } else if (key == "file") {
      out.as = TestContent::As::kFile;
      out.text = beneath_the_file(value);
    } else {
      out.as = TestContent::As::kAbsent;
      if (!reader_.boolean(value, key).value_or(true)) {
        complaints_.error(value, "to expect that it is there, say what is in it: contains: \"\"");
      }
    }
    return out;
  }

  std::string beneath_the_file(const Node& node) {
    const bool outside = node.is_scalar() && (node.text.starts_with('/') ||
                                              fmt::format("/{}/", node.text).find("/../") != std::string::npos);
    if (outside) {
      complaints_.error(node, "'file' is a path from the folder of the DAG file on, and beneath it");
      return "";
    }
    return reader_.path(node, "file").value_or("");
  }

  Reader& reader_;
  Complaints& complaints_;
  const Dag& dag_;
  Names names_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<DagTest> read_tests(Reader& reader, const Dag& dag, const Node& node) {
  return TestsReader(reader, dag).read(node);
}

}  // namespace chappe
