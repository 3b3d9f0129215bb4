#include "cli/test_verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/state_dir.h"
#include "proto/json/json.h"
#include "storage/digest/digest.h"
#include "worker/artifacts/pack.h"

namespace chappe::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownMax = 200;

std::string shortened(std::string text) {
  text = printable(text);
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  return text;
}

/// Texts in quotes, so that "1" and 1 differ.
std::string shown_value(const Value& value) { return shortened(to_json(value)); }

/// Where two texts begin to differ: "line 3 is 'b', expected 'c'".
std::string first_difference(std::string_view found, std::string_view wanted) {
  for (std::size_t line = 1;; ++line) {
    const std::string_view a = found.substr(0, found.find('\n'));
    const std::string_view b = wanted.substr(0, wanted.find('\n'));
    const bool ends_a = a.size() == found.size();
    const bool ends_b = b.size() == wanted.size();
    if (a != b)
      return fmt::format("line {} is '{}', expected '{}'", line, shortened(std::string(a)), shortened(std::string(b)));
    if (ends_a || ends_b) {
      const bool only_newline = found.size() + wanted.size() == a.size() + b.size() + 1;
      if (only_newline)
        return ends_a ? "its last line has no end, expected one" : "its last line has an end, expected none";
      return ends_a ? fmt::format("it ends after line {}, expected more", line)
                    : fmt::format("it goes on after line {}, expected its end", line);
    }
    found.remove_prefix(a.size() + 1);
    wanted.remove_prefix(b.size() + 1);
  }
}

/// A directory as tasks leave it: equal content is equal bytes.
Result<std::string> packed_hash(const fs::path& folder) {
  const auto opened = artifacts::Folder::open(folder.string());
  if (!opened) return fail(opened.error());
  Sha256 hash;
  const auto packed = artifacts::pack(*opened, [&](std::span<const std::byte> bytes) -> Result<void> {
    hash.update(bytes);
    return {};
  });
  if (!packed) return fail(packed.error());
  return to_hex(hash.finish());
}

/// What the conditions of a test may name.
class TestScope : public expr::Scope {
 public:
  TestScope(const Dag& dag, const ValueMap& params, const TestedRun& run) : dag_(dag), params_(params), run_(run) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == "params") return Value(params_);
    if (path[0] != "tasks" || path.size() < 3) return std::nullopt;
    std::optional<Value> found;
    if (path[2] == "status") {
      found = status_of(path[1]);
      if (found) return Value(ValueMap{{path[1], ValueMap{{"status", *found}}}});
    } else if (path.size() > 3) {
      found = output_of(path[1], path[3]);
      if (found) return Value(ValueMap{{path[1], ValueMap{{"outputs", ValueMap{{path[3], *found}}}}}});
    }
    return std::nullopt;
  }
  const calendar::Zone& zone() const override { return *dag_.zone; }

 private:
  /// Of a fan-out the worst of its instances, as expressions in a run know it.
  std::optional<Value> status_of(const std::string& id) const {
    std::optional<Value> found;
    for (const std::string_view state : {"failed", "upstream_failed", "cancelled", "success", "skipped"}) {
      for (const Value& task : run_.tasks) {
        if (!found && text_of(task, "task") == id && text_of(task, "state") == state) found = Value(state);
      }
    }
    return found;
  }

  /// Of a fan-out the list of what its instances left, in their order.
  std::optional<Value> output_of(const std::string& id, const std::string& name) const {
    ValueList all;
    for (const Value& task : run_.tasks) {
      if (text_of(task, "task") != id) continue;
      for (const Value& value : run_.values) {
        const bool is_it = text_of(value, "task_name") == text_of(task, "name") && text_of(value, "name") == name;
        if (is_it && value.find("value") != nullptr) all.push_back(*value.find("value"));
      }
    }
    if (all.empty()) return std::nullopt;
    const auto position = dag_.find(id);
    return position && dag_.tasks[*position].foreach ? Value(std::move(all)) : std::move(all[0]);
  }

  const Dag& dag_;
  const ValueMap& params_;
  const TestedRun& run_;
};

class Judge {
 public:
  Judge(const DagFile& file, const DagTest& test, const TestedRun& run, const TestEvidence& evidence)
      : file_(file), test_(test), run_(run), evidence_(evidence) {}

  std::vector<Finding> judge() {
    if (run_.timed_out) {
      find(test_.place, fmt::format("it had not ended after {}: {}", to_text(test_.timeout), run_.waits));
      return std::move(out_);
    }
    judge_run();
    for (const TaskExpectation& expected : test_.expected) judge_task(expected);
    for (const ExpectedValue& expected : test_.published) judge_published(expected);
    for (const auto& [name, content] : test_.published_artifacts) judge_published(name, content);
    judge_conditions();
    return std::move(out_);
  }

 private:
  void find(yaml::Place place, std::string message) { out_.push_back({place, std::move(message), {}}); }

  const Value* instance(const std::string& name) const {
    const auto found = std::ranges::find_if(run_.tasks, [&](const Value& one) { return text_of(one, "name") == name; });
    return found == run_.tasks.end() ? nullptr : &*found;
  }

  void judge_run() {
    const std::string state = text_of(run_.run, "state");
    if (state == name_of(test_.state)) return;
    const std::string why = failures();
    find(test_.state_place,
         fmt::format("the run is {}{}, expected {}", state, why.empty() ? "" : " (" + why + ")", name_of(test_.state)));
    for (const Value& task : run_.tasks) {
      if (text_of(task, "state") != "failed" || is_expected_to_fail(text_of(task, "name"))) continue;
      out_.back().log = evidence_.end_of_log(text_of(task, "name"));
      if (!out_.back().log.empty()) return;
    }
  }

  /// Why it ended so: "count failed, gate failed"; or what the run says itself.
  std::string failures() const {
    constexpr std::size_t kNamesMax = 3;
    std::string told = shortened(text_of(run_.run, "message"));
    std::size_t count = 0;
    for (const Value& task : run_.tasks) {
      const bool failed = text_of(task, "state") == "failed" && text_of(task, "allowed") != "true";
      if (!failed || ++count > kNamesMax) continue;
      told += fmt::format("{}{} failed", told.empty() ? "" : ", ", text_of(task, "name"));
    }
    return count > kNamesMax ? fmt::format("{} and {} more", told, count - kNamesMax) : told;
  }

  bool is_expected_to_fail(const std::string& name) const {
    return std::any_of(test_.expected.begin(), test_.expected.end(), [&](const TaskExpectation& expected) {
      return expected.name == name && expected.state == TaskState::kFailed;
    });
  }

  void judge_task(const TaskExpectation& expected) {
    const Value* task = instance(expected.name);
    if (task == nullptr) return find(expected.place, fmt::format("the run has no {}", expected.name));
    const std::string state = text_of(*task, "state");
    if (expected.state && state != name_of(*expected.state)) {
      const std::string reason = reason_of(*task);
      find(expected.place, fmt::format("{} is {}{}, expected {}", expected.name, state,
                                       reason.empty() ? "" : " (" + shortened(reason) + ")", name_of(*expected.state)));
      if (state == "failed") out_.back().log = evidence_.end_of_log(expected.name);
    }
    if (expected.reason && text_of(*task, "reason") != name_of(*expected.reason)) {
      const std::string reason = text_of(*task, "reason");
      find(expected.place, fmt::format("the reason of {} is {}, expected {}", expected.name,
                                       reason.empty() ? "none" : reason, name_of(*expected.reason)));
    }
    for (const ExpectedValue& value : expected.values) judge_value(expected.name, value);
    for (const auto& [name, content] : expected.artifacts) judge_artifact(expected.name, name, content);
  }

  void judge_value(const std::string& task, const ExpectedValue& expected) {
    for (const Value& one : run_.values) {
      if (text_of(one, "task_name") != task || text_of(one, "name") != expected.name) continue;
      const Value* found = one.find("value");
      if (found != nullptr && *found == expected.value) return;
      return find(expected.place,
                  fmt::format("{} of {} is {}, expected {}", expected.name, task,
                              found == nullptr ? "nothing" : shown_value(*found), shown_value(expected.value)));
    }
    find(expected.place, fmt::format("{} left no {}, expected {}", task, expected.name, shown_value(expected.value)));
  }

  void judge_artifact(const std::string& task, const std::string& name, const TestContent& expected) {
    const auto found = std::ranges::find_if(run_.outputs, [&](const Value& one) {
      return text_of(one, "task_name") == task && text_of(one, "name") == name;
    });
    judge_content(found == run_.outputs.end() ? nullptr : &*found, task, name, expected);
  }

  void judge_content(const Value* found, const std::string& whose, const std::string& name,
                     const TestContent& expected) {
    if (found == nullptr || expected.as == TestContent::As::kAbsent) {
      if ((found == nullptr) == (expected.as == TestContent::As::kAbsent)) return;
      return find(expected.place, found == nullptr ? fmt::format("{} left no {}", whose, name)
                                                   : fmt::format("{} left {}, expected none", whose, name));
    }
    const std::string what =
        text_of(*found, "packed") == "true" ? folder_problem(*found, expected) : file_problem(*found, expected);
    if (!what.empty()) find(expected.place, fmt::format("{} of {}: {}", name, whose, what));
  }

  /// A member of what the run publishes; null where it is absent.
  const Value* published(std::string_view kind, const std::string& name) const {
    const Value* outputs = run_.run.find("outputs");
    const Value* members = outputs == nullptr ? nullptr : outputs->find(kind);
    return members == nullptr ? nullptr : members->find(name);
  }

  void judge_published(const ExpectedValue& expected) {
    const Value* found = published("values", expected.name);
    if (found != nullptr && *found == expected.value) return;
    const Value* why = published("absent", expected.name);
    const std::string is = found != nullptr ? "is " + shown_value(*found)
                           : why != nullptr ? "is absent (" + shortened(to_text(*why)) + ")"
                                            : "is not published";
    find(expected.place, fmt::format("{} of the run {}, expected {}", expected.name, is, shown_value(expected.value)));
  }

  void judge_published(const std::string& name, const TestContent& expected) {
    judge_content(published("artifacts", name), "the run", name, expected);
  }

  std::string folder_problem(const Value& artifact, const TestContent& expected) const {
    if (expected.as != TestContent::As::kFile) return "it is a folder, expected a file";
    const fs::path folder = fs::path(file_.file).parent_path() / expected.text;
    const auto wanted = packed_hash(folder);
    if (!wanted) return wanted.error().message;
    return *wanted == text_of(artifact, "sha256") ? "" : fmt::format("it is another folder than {}", folder.string());
  }

  std::string file_problem(const Value& artifact, const TestContent& expected) const {
    const auto found = evidence_.read_object(text_of(artifact, "object"));
    if (!found) return found.error().message;
    if (expected.as == TestContent::As::kContains) {
      return found->find(expected.text) != std::string::npos
                 ? ""
                 : fmt::format("it is '{}', expected '{}' in it", shortened(*found), shortened(expected.text));
    }
    if (expected.as == TestContent::As::kJson) {
      const auto value = parse_json(*found);
      if (!value) return fmt::format("it is no JSON: {}", value.error().message);
      return *value == expected.json
                 ? ""
                 : fmt::format("it is {}, expected {}", shown_value(*value), shown_value(expected.json));
    }
    std::string wanted = expected.text;
    if (expected.as == TestContent::As::kFile) {
      auto read = read_file(fs::path(file_.file).parent_path() / expected.text, TestBed::kContentMax);
      if (!read) return read.error().message;
      wanted = *std::move(read);
    }
    return *found == wanted ? "" : first_difference(*found, wanted);
  }

  void judge_conditions() {
    const auto params = resolve_params(file_.dag->params, test_.params);
    if (!params) return find(test_.place, params.error().message);
    const TestScope scope(*file_.dag, *params, run_);
    for (const ExpectedCondition& condition : test_.conditions) {
      const auto holds = condition.expression.evaluate_condition(scope);
      if (holds && *holds) continue;
      const std::string told = holds ? values_in(condition.expression, scope) : holds.error().message;
      find(condition.place,
           fmt::format("{} is false{}", shortened(condition.expression.text()), told.empty() ? "" : ": " + told));
    }
  }

  /// "tasks.total.outputs.letters is 18, ..."
  static std::string values_in(const expr::Expression& expression, const TestScope& scope) {
    std::string told;
    for (const expr::Reference& reference : expression.references()) {
      const std::string name = fmt::format("{}", fmt::join(reference.path, "."));
      const auto alone = expr::Expression::parse(name);
      const auto value = alone ? alone->evaluate(scope) : Result<Value>(Value());
      const std::string one = fmt::format("{} is {}", name, value ? shown_value(*value) : "absent");
      if (told.find(one) == std::string::npos) told += (told.empty() ? "" : ", ") + one;
    }
    return told;
  }

  const DagFile& file_;
  const DagTest& test_;
  const TestedRun& run_;
  const TestEvidence& evidence_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge(const DagFile& file, const DagTest& test, const TestedRun& run,
                           const TestEvidence& evidence) {
  return Judge(file, test, run, evidence).judge();
}

}  // namespace chappe::cli
