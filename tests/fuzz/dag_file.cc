// DAG files: whatever the text, a verdict that is the same twice, complaints that stand in the file, and a DAG that
// keeps what the loader promises the engine.
#include <algorithm>
#include <string>

#include "dags/loader/loader.h"
#include "dags/loader/yaml_tree.h"
#include "engine/run/instances.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

static constexpr std::size_t kComplaintsMax = 100;
static constexpr std::int64_t kItemsLooked = 1'000;  // Longer fan-outs are within their bounds, and take their time.

static void check_place(const Diagnostic& one, std::size_t lines) {
  CHAPPE_ASSERT(!one.file.empty() && !one.message.empty() && one.message.size() < 8192);  // Or one that it includes.
  CHAPPE_ASSERT(one.line <= lines + 1);
  CHAPPE_ASSERT((one.line == 0) == (one.column == 0));
}

static void check_tree(const yaml::Node& node, std::size_t depth) {
  CHAPPE_ASSERT(depth <= yaml::kDepthMax);
  CHAPPE_ASSERT(node.is_scalar() ? node.children.empty() : node.text.empty());
  CHAPPE_ASSERT(!node.is_map() || node.children.size() % 2 == 0);
  for (const yaml::Node* child : node.children) check_tree(*child, depth + 1);
}

static bool is_small(const Dag& dag) {
  return std::all_of(dag.tasks.begin(), dag.tasks.end(), [](const Task& task) {
    return !task.foreach || !task.foreach->sequence || task.foreach->sequence->count <= kItemsLooked;
  });
}

static void check_instances(const DagPtr& dag) {
  const auto params = resolve_params(dag->params, Value());
  if (!params || !is_small(*dag)) return;
  const auto instances = Instances::expand(dag, *params);
  if (!instances) return check_error(instances.error());
  const std::uint32_t looked = std::min(instances->size(), 64U);
  for (std::uint32_t index = 0; index < looked; ++index) {
    CHAPPE_ASSERT(instances->find(instances->name_of(index)) == index);
  }
}

static void check_dag(const DagPtr& dag, std::string_view text) {
  // A bundle may hold files that nobody includes.
  CHAPPE_ASSERT(dag->source == text || text.starts_with("#chappe-bundle "));
  CHAPPE_ASSERT(dag->version.size() == 64 && load_dag(dag->source, "f.yaml").dag->version == dag->version);
  CHAPPE_ASSERT(!dag->tasks.empty());
  for (std::uint32_t i = 0; i < dag->tasks.size(); ++i) {
    const Task& task = dag->tasks[i];
    CHAPPE_ASSERT(dag->find(task.id) == i);
    for (const Dependency& on : task.depends_on) CHAPPE_ASSERT(on.task < dag->tasks.size() && on.task != i);
    const bool is_work = task.kind == TaskKind::kRun || task.kind == TaskKind::kNoop || task.kind == TaskKind::kHttp ||
                         task.kind == TaskKind::kDag || task.kind == TaskKind::kData;
    CHAPPE_ASSERT(is_work == (task.work != nullptr));
    CHAPPE_ASSERT((task.kind == TaskKind::kPromote) == task.promote.has_value());
    CHAPPE_ASSERT((task.kind == TaskKind::kWait) == (task.wait != nullptr));
    CHAPPE_ASSERT((task.kind == TaskKind::kHuman) == (task.human != nullptr));
  }
  check_instances(dag);
}

/// Each test's DAG loads, with the same tasks.
static void check_tests(const LoadedDag& loaded) {
  constexpr std::size_t kTestsLooked = 3;
  constexpr std::size_t kTextLooked = 64 * 1024;  // Past it a text that is written anew may be too long.
  if (loaded.dag->source.size() > kTextLooked) return;
  for (std::size_t i = 0; i < std::min(loaded.tests.size(), kTestsLooked); ++i) {
    const DagTest& test = loaded.tests[i];
    CHAPPE_ASSERT(!test.name.empty());
    const LoadedDag tested = load_dag(dag_under_test(loaded.dag->source, *loaded.dag, test, {.folder = "/f"}), "t");
    CHAPPE_ASSERT(tested.dag != nullptr && tested.dag->tasks.size() == loaded.dag->tasks.size());
  }
}

FUZZ_TARGET(dag_file) {
  const yaml::Tree tree = yaml::parse(input);
  if (tree.root != nullptr && tree.problems.empty() && tree.root->size < 10'000) check_tree(*tree.root, 0);
  const LoadedDag loaded = load_dag(input, "f.yaml");
  const LoadedDag again = load_dag(input, "f.yaml");
  const auto lines = static_cast<std::size_t>(std::count(input.begin(), input.end(), '\n')) + 1;
  CHAPPE_ASSERT(loaded.diagnostics.size() <= kComplaintsMax);
  CHAPPE_ASSERT(loaded.diagnostics.size() == again.diagnostics.size());
  bool is_refused = false;
  for (std::size_t i = 0; i < loaded.diagnostics.size(); ++i) {
    const Diagnostic& one = loaded.diagnostics[i];
    check_place(one, lines);
    CHAPPE_ASSERT(one.text() == again.diagnostics[i].text());
    is_refused = is_refused || !one.warning;
  }
  CHAPPE_ASSERT(is_refused == (loaded.dag == nullptr));
  CHAPPE_ASSERT(is_refused == (again.dag == nullptr));
  if (is_refused) return;
  CHAPPE_ASSERT(loaded.dag->version == again.dag->version);
  check_dag(loaded.dag, input);
  check_tests(loaded);
}

}  // namespace chappe::fuzz
