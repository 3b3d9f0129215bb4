// A good file, key by key; and what YAML leaves to the reader: defaults, references, versions, shared work.
#include "dags/loader/loader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

std::string read_file(const std::string& path) {
  std::ifstream in(CHAPPE_SOURCE_DIR "/" + path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The DAG; a test failure with all complaints where there are any.
DagPtr load(std::string_view text) {
  LoadedDag loaded = load_dag(text, "dag.yaml");
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  return loaded.dag;
}

/// A DAG of these tasks, written as a flow list.
DagPtr load_tasks(std::string_view tasks) { return load(fmt::format("name: test\ntasks: {}\n", tasks)); }

/// The first complaint about a DAG of these tasks.
std::string complaint(std::string_view tasks) {
  const LoadedDag loaded = load_dag(fmt::format("name: test\ntasks: {}\n", tasks), "dag.yaml");
  return loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].text();
}

std::string env_of(const Task& task, std::string_view name) {
  for (const auto& [key, text] : task.work->env) {
    if (key == name) return text.text();
  }
  return "(none)";
}

class Everything : public testing::Test {
 protected:
  const LoadedDag loaded = load_dag(read_file("tests/unit/dags/good/everything.yaml"), "everything.yaml");
  const Dag& dag() const { return *loaded.dag; }
  const Task& task(std::string_view id) const { return dag().tasks[*dag().find(id)]; }
};

TEST_F(Everything, LoadsWithoutAComplaint) {
  for (const Diagnostic& diagnostic : loaded.diagnostics) ADD_FAILURE() << diagnostic.text();
  ASSERT_NE(loaded.dag, nullptr);
  EXPECT_EQ(dag().tasks.size(), 20U);
}

TEST_F(Everything, KeepsWhatIsSaidOfTheWhole) {
  EXPECT_EQ(dag().name, "everything");
  EXPECT_EQ(dag().description, "All of the language");
  EXPECT_EQ(dag().owner, "statistics");
  EXPECT_EQ(dag().namespace_name, "research");
  EXPECT_THAT(dag().labels, ElementsAre(std::pair<std::string, std::string>("team", "nomenclatures"),
                                        std::pair<std::string, std::string>("level", "2")));
  EXPECT_EQ(dag().timeout, 6h);
  EXPECT_EQ(dag().fail_fast, FailFast::kOff);
  EXPECT_EQ(dag().max_active_tasks, 100U);
  EXPECT_EQ(dag().weight, 3U);
  EXPECT_EQ(dag().max_runs, 2U);
  EXPECT_EQ(dag().group.text(), "year_${{ params.year }}_${{ run.date }}");
}

TEST_F(Everything, KeepsWhatItsRunsPublish) {
  const RunOutputs& outputs = dag().outputs;
  ASSERT_EQ(outputs.values.size(), 3U);
  EXPECT_EQ(outputs.values[0].second.expression.text(), "${{ tasks.extract.outputs.rows ?? 0 }}");
  EXPECT_EQ(outputs.values[2].second.value, Value(ValueList{1, ValueMap{{"two", 3}}}));
  EXPECT_THAT(outputs.artifacts,
              ElementsAre(RunOutputs::Artifact{.name = "raw", .task = *dag().find("extract"), .artifact = "raw"},
                          RunOutputs::Artifact{.name = "child", .task = *dag().find("nested"), .artifact = "part"}));
}

TEST_F(Everything, ReadsParameters) {
  ASSERT_EQ(dag().params.size(), 6U);
  EXPECT_EQ(dag().params[0].type, ParamType::kInteger);
  EXPECT_EQ(dag().params[0].default_value, Value(2026));
  EXPECT_EQ(dag().params[1].type, ParamType::kArray);
  EXPECT_EQ(dag().params[2].maximum, 1);
  EXPECT_EQ(dag().params[3].type, ParamType::kString);
  EXPECT_THAT(dag().params[3].enumeration, ElementsAre(Value("fast"), Value("full")));
  EXPECT_TRUE(dag().params[4].required);
  EXPECT_EQ(dag().params[4].pattern, "^\\d{4}$");
  EXPECT_EQ(dag().params[4].min_length, 4U);
  EXPECT_TRUE(dag().params[5].secret);
}

TEST_F(Everything, ReadsAScriptAndItsEnvironment) {
  const Task& extract = task("extract");
  EXPECT_EQ(extract.kind, TaskKind::kRun);
  EXPECT_THAT(extract.work->script.literal_text(), HasSubstr("'${{ kept as it is }}'"));
  EXPECT_EQ(extract.work->shell, "bash -eu");
  // The DAG's, then the defaults', then its own; texts stay as they are written.
  EXPECT_EQ(env_of(extract, "STAGE"), "own");
  EXPECT_EQ(env_of(task("regional"), "STAGE"), "default");
  EXPECT_EQ(env_of(extract, "RUN"), "${{ run.id }}");
  EXPECT_EQ(env_of(extract, "LEVEL"), "1");
  EXPECT_EQ(env_of(extract, "EMPTY"), "");
  EXPECT_EQ(env_of(extract, "DAY"), "01");
  EXPECT_EQ(dag().env.size(), 2U);
}

TEST_F(Everything, TakesTheNearestOfSecretsWithTheSameName) {
  using Source = SecretRef::Source;
  const SecretRef api{.name = "API", .source = Source::kEnv, .place = "API_TOKEN"};
  const SecretRef db{.name = "DB", .source = Source::kFile, .place = "db/password", .as_file = true};
  EXPECT_THAT(task("extract").work->secrets, ElementsAre(api, db));
  EXPECT_TRUE(task("extract").work->store_credentials);
  const SecretRef own{.name = "API", .source = Source::kKubernetes, .place = "api.tokens", .key = "token.txt"};
  const SecretRef key{.name = "KEY", .source = Source::kVault, .place = "team/ml", .key = "a key", .mount = "kv"};
  EXPECT_THAT(task("train").work->secrets, ElementsAre(own, db, key));
  EXPECT_FALSE(task("train").work->store_credentials);
  EXPECT_TRUE(task("used_again").work->secrets.empty()) << "a no-op has no use for them";
}

TEST_F(Everything, ReadsOutputs) {
  const WorkSpec& work = *task("extract").work;
  ASSERT_EQ(work.outputs.size(), 3U);
  EXPECT_EQ(work.outputs[0].asset.text(), "s3://bronze/raw/${{ params.date }}.tsv");
  EXPECT_EQ(work.outputs[0].asset_name, "raw");
  EXPECT_TRUE(work.outputs[0].immutable && work.outputs[0].non_empty && work.outputs[0].required);
  EXPECT_EQ(work.outputs[0].pack, Pack::kNone);
  EXPECT_FALSE(work.outputs[1].required);
  EXPECT_EQ(work.outputs[1].asset.text(), "extras/extra");
  EXPECT_EQ(work.outputs[1].retention, Duration(0));
  EXPECT_EQ(work.outputs[2].retention, Duration(std::chrono::hours(12)));
  EXPECT_EQ(work.outputs[2].sha256.text(), "${{ params.date }}");
  ASSERT_EQ(work.values.size(), 2U);
  EXPECT_EQ(work.values[0], (OutputValue{"rows", "rows.txt", "", Value(0), false}));
  EXPECT_EQ(work.values[1], (OutputValue{"share", "metrics.json", "$.a[0].share", std::nullopt, true}));
  EXPECT_EQ(task("train").work->values[0].json_path, "$");
}

TEST_F(Everything, ReadsHowInputsLie) {
  const std::vector<InputArtifact>& inputs = task("train").work->inputs;
  EXPECT_EQ(inputs[0].mode, 0440U);
  EXPECT_EQ(inputs[0].unpack, Unpack::kNever);
  EXPECT_EQ(inputs[1].mode, std::nullopt);
  EXPECT_EQ(inputs[1].unpack, Unpack::kAuto);
}

TEST_F(Everything, ReadsHowLongArtifactsAreKept) {
  EXPECT_EQ(dag().retention.on_success, Duration(std::chrono::hours(24 * 30)));
  EXPECT_EQ(dag().retention.on_failure, kForever);
  EXPECT_EQ(dag().retention.keep_last, 3U);
}

TEST_F(Everything, MergesPoliciesWithTheDefaults) {
  const Task& extract = task("extract");
  EXPECT_EQ(extract.retry.limit, 5);
  EXPECT_THAT(extract.retry.on, ElementsAre(Reason::kExitCode, Reason::kOom));
  EXPECT_THAT(extract.retry.exit_codes, ElementsAre(75, 76));
  EXPECT_EQ(extract.retry.backoff, (Backoff{.initial = 1s, .factor = 3, .max = 1min, .jitter = 0.1}));
  EXPECT_EQ(extract.retry.max_elapsed, 1h);
  EXPECT_TRUE(extract.retry.avoid_same_worker);
  EXPECT_EQ(extract.retry.scale, (RetryScale{.cpu = 2, .memory = 1.5}));
  EXPECT_EQ(extract.infra_retry.limit, 9);
  EXPECT_EQ(extract.infra_retry.backoff.initial, 2s);
  EXPECT_EQ(extract.work->timeout, 90min);
  EXPECT_EQ(extract.queue_timeout, 24h);
  EXPECT_EQ(extract.work->kill_grace, 0s);
  EXPECT_EQ(extract.work->image.text(), "registry.example.org/tools/extract:${{ params.mode }}");
  EXPECT_EQ(extract.work->container, (ContainerOptions{.user = "1000:100",
                                                       .network = ContainerOptions::Network::kBridge,
                                                       .pull = ContainerOptions::Pull::kAlways,
                                                       .read_only = false}));
  EXPECT_TRUE(extract.where.container);
  EXPECT_EQ(extract.work->resources, (Resources{.cpu_milli = 500, .memory_bytes = std::uint64_t{2} << 30, .gpus = 1}));
  EXPECT_EQ(extract.pool, "gpu-large");
  EXPECT_EQ(extract.slots, 2);
  EXPECT_EQ(extract.priority, -5);
  EXPECT_EQ(extract.group, "sources");
  // `retries` is the limit of the merged policy.
  EXPECT_EQ(task("train").retry.limit, 1);
  EXPECT_EQ(task("train").retry.backoff.factor, 3);
  EXPECT_EQ(task("train").infra_retry.limit, 0);
  EXPECT_THAT(task("train").allow_failure.exit_codes, ElementsAre(3));
  EXPECT_EQ(task("regional").group, "all");
}

TEST_F(Everything, ReadsFanOuts) {
  const ForEach& matrix = *task("train").foreach;
  ASSERT_EQ(matrix.items.size(), 4U);
  EXPECT_EQ(matrix.items[1], Value(ValueMap{{"depth", 4}, {"rate", 0.01}}));
  EXPECT_EQ(matrix.as, "setting");
  EXPECT_EQ(matrix.key.text(), "${{ setting.depth }}_${{ setting.rate }}");
  EXPECT_EQ(matrix.max_parallel, 2U);
  EXPECT_EQ(matrix.on_empty, ForEach::OnEmpty::kFail);
  EXPECT_EQ(task("regional").foreach->expression.text(), "${{ params.regions }}");
  EXPECT_FALSE(task("regional").foreach->late);
  const ForEach& found = *task("found").foreach;
  EXPECT_TRUE(found.late);
  ASSERT_EQ(found.matrix.size(), 2U);
  EXPECT_EQ(found.matrix[0].expression.text(), "${{ range(0, tasks.extract.outputs.rows) }}");
  EXPECT_EQ(found.matrix[1].values.size(), 2U);
  EXPECT_EQ(found.max_items, 500U);
  EXPECT_EQ(found.min_share, 0.9);
  const ForEach& counted = *task("counted").foreach;
  EXPECT_FALSE(counted.late);
  EXPECT_EQ(counted.counted.count.text(), "${{ len(params.regions) }}");
  EXPECT_EQ(counted.sequence->start, 1);
  EXPECT_EQ(counted.min_success, 1U);
  EXPECT_EQ(task("numbered").foreach->sequence, (ForEach::Sequence{.start = 10, .count = 3, .step = -5}));
}

TEST_F(Everything, ReadsLoops) {
  const auto& loop = task("drained").loop;
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->until.text(), "outputs.rest == 0 || iteration == 50");
  EXPECT_EQ(loop->max_iterations, 60U);
  EXPECT_EQ(loop->interval, std::chrono::seconds(30));
  EXPECT_FALSE(task("numbered").loop);
}

TEST_F(Everything, ReadsTemplatesGroupsAndTeardowns) {
  const Task& used = task("used");
  EXPECT_EQ(used.work->command.size(), 2U);
  EXPECT_EQ(used.retry.limit, 2);
  const auto level = std::find_if(used.work->env.begin(), used.work->env.end(),
                                  [](const auto& each) { return each.first == "LEVEL"; });
  EXPECT_EQ(level->second.text(), "high");
  const std::uint32_t up = *dag().find("up"), use = *dag().find("used"), again = *dag().find("used_again");
  const Task& down = task("down");
  EXPECT_THAT(down.teardown_of, ElementsAre(up));
  EXPECT_TRUE(down.allow_failure.always);
  ASSERT_EQ(down.depends_on.size(), 4U);  // All that needs what it tears down.
  EXPECT_EQ(down.depends_on[1].task, use);
  EXPECT_EQ(down.depends_on[2].task, again);
  const auto& edges = task("after_sources").depends_on;
  ASSERT_EQ(edges.size(), 2U);
  EXPECT_EQ(edges[0], (Dependency{*dag().find("extract"), false, true, true, true}));
  EXPECT_EQ(edges[1], (Dependency{again, false, true, true, true}));
}

TEST_F(Everything, ReadsRunsOfOtherDags) {
  const auto& nested = task("nested").subdag;
  ASSERT_TRUE(nested);
  EXPECT_EQ(nested->dag, "child");
  EXPECT_TRUE(nested->wait);
  ASSERT_EQ(nested->params.size(), 3U);
  EXPECT_EQ(nested->params[0].second.value, Value(2026));
  EXPECT_EQ(nested->params[1].second.expression.text(), "${{ tasks.extract.outputs.rows }}");
  ASSERT_EQ(nested->outputs.size(), 2U);
  EXPECT_EQ(nested->outputs[0], (SubDagSpec::Output{"sum", "total", "sum"}));
  EXPECT_EQ(nested->outputs[1], (SubDagSpec::Output{"rows", "", "rows"}));
  EXPECT_THAT(nested->artifacts, ElementsAre(SubDagSpec::Artifact{"part", "best"}));
  EXPECT_EQ(task("later").subdag->dag, "child");
}

TEST_F(Everything, ReadsDependenciesAndInputs) {
  const std::uint32_t extract = *dag().find("extract"), train = *dag().find("train");
  const auto& edges = task("regional").depends_on;
  ASSERT_EQ(edges.size(), 2U);
  EXPECT_EQ(edges[0], (Dependency{extract, false, true, true, true}));
  EXPECT_EQ(edges[1], (Dependency{train, false, true, true, true}));
  EXPECT_EQ(task("regional").trigger_rule, TriggerRule::kAllDone);
  EXPECT_TRUE(task("later").latest_only);
  EXPECT_FALSE(task("nested").latest_only);
  EXPECT_TRUE(task("in_order").depends_on_past);
  EXPECT_FALSE(task("later").depends_on_past);
  EXPECT_EQ(task("later").deadline, std::chrono::hours(2));
  EXPECT_EQ(dag().deadline, (Deadline{Deadline::From::kLogicalTime, std::chrono::hours(5), true}));
  const auto& inputs = task("train").work->inputs;
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(inputs[0].from_task, extract);
  EXPECT_EQ(inputs[0].from_artifact, "raw");
  EXPECT_TRUE(inputs[1].optional);
  EXPECT_EQ(inputs[2].asset.text(), "model@champion");
  EXPECT_EQ(task("train").work->command.size(), 6U);
  EXPECT_EQ(task("train").work->command[5].text(), "1.50");
}

TEST_F(Everything, WhatIsReadComesFirstUnasked) {
  // 'best' reads from 'train', 'deploy' promotes what 'best' left: neither says so in depends_on.
  const auto depends = [&](std::string_view task_id, std::string_view on) {
    const auto& edges = task(task_id).depends_on;
    return std::any_of(edges.begin(), edges.end(), [&](const auto& e) { return e.plain && e.task == dag().find(on); });
  };
  EXPECT_TRUE(depends("best", "train"));
  EXPECT_TRUE(depends("deploy", "best"));
  EXPECT_EQ(task("best").work->inputs[0].select, (Select{Select::By::kMax, "auc"}));
}

TEST_F(Everything, ReadsChecksAndPromotions) {
  const auto& checks = task("gate").checks;
  ASSERT_EQ(checks.size(), 2U);
  EXPECT_EQ(checks[0].name, "good");
  EXPECT_EQ(checks[0].message, "not good enough");
  EXPECT_EQ(checks[1].expression.text(), "tasks.train.status == 'success'");
  EXPECT_EQ(task("gate").kind, TaskKind::kCheck);
  EXPECT_EQ(task("gate").work, nullptr);
  EXPECT_EQ(task("deploy").promote->model, "model");
  EXPECT_EQ(task("deploy").promote->from_task, dag().find("best"));
  EXPECT_TRUE(task("deploy").promote->keep_previous);
}

TEST(Loader, ReadsEveryExample) {
  for (const std::string_view name :
       {"hello.yaml", "branches.yaml", "fan_out.yaml", "retries.yaml", "section_coder/dag.yaml"}) {
    EXPECT_NE(load(read_file(fmt::format("dags/examples/{}", name))), nullptr) << name;
  }
}

TEST(Loader, TasksMayBeAMapInTheOrderOfTheFile) {
  const DagPtr dag = load("name: x\ntasks:\n  zebra: {noop: {}}\n  ant: {depends_on: [zebra], noop: {}}\n");
  ASSERT_EQ(dag->tasks.size(), 2U);
  EXPECT_EQ(dag->tasks[0].id, "zebra");
  EXPECT_EQ(dag->tasks[1].depends_on[0].task, 0U);
}

TEST(Loader, EqualWorkIsOneObject) {
  const DagPtr dag = load_tasks(
      "[{id: a, noop: {}}, {id: b, noop: {}, priority: 3}, {id: c, run: echo}, {id: d, run: echo}, {id: e, run: ls}]");
  EXPECT_EQ(dag->tasks[0].work, dag->tasks[1].work);
  EXPECT_EQ(dag->tasks[2].work, dag->tasks[3].work);
  EXPECT_NE(dag->tasks[2].work, dag->tasks[4].work);
}

TEST(Loader, TenThousandNoOpsShareOneSpec) {
  std::string text = "name: wide\ntasks:\n  - {id: start, noop: {}}\n";
  for (int i = 0; i < 10'000; ++i) text += fmt::format("  - {{id: t{}, depends_on: [start], noop: {{}}}}\n", i);
  const DagPtr dag = load(text);
  std::set<const WorkSpec*> specs;
  for (const Task& task : dag->tasks) specs.insert(task.work.get());
  EXPECT_EQ(specs.size(), 1U);
}

TEST(Loader, Yaml12KeepsTextsThatYaml11Changed) {
  const DagPtr dag = load(
      "name: x\nparams: {a: yes, b: 12:30, c: 0o17, d: 0x1f, e: 1_000, f: on, g: .5, h: True, i: ~x, j: 1e3}\n"
      "tasks: [{id: t, noop: {}}]\n");
  const auto value = [&](std::size_t i) { return *dag->params[i].default_value; };
  EXPECT_EQ(value(0), Value("yes"));
  EXPECT_EQ(value(1), Value("12:30"));
  EXPECT_EQ(value(2), Value(15));
  EXPECT_EQ(value(3), Value(31));
  EXPECT_EQ(value(4), Value("1_000"));
  EXPECT_EQ(value(5), Value("on"));
  EXPECT_EQ(value(6), Value(0.5));
  EXPECT_EQ(value(7), Value(true));
  EXPECT_EQ(value(8), Value("~x"));
  EXPECT_EQ(value(9), Value(1000.0));
  EXPECT_EQ(dag->params[9].type, ParamType::kNumber);
}

TEST(Loader, WarnsOfNumbersThatLookLikeTexts) {
  const LoadedDag loaded = load_dag("name: x\nparams: {code: 01}\ntasks: [{id: t, noop: {}}]\n", "dag.yaml");
  ASSERT_EQ(loaded.diagnostics.size(), 1U);
  EXPECT_EQ(loaded.diagnostics[0].text(),
            "dag.yaml:2:16: warning: 01 is the number 1 to YAML; quote it to keep a text");
  EXPECT_NE(loaded.dag, nullptr);
}

TEST(Loader, WarnsOfTheTemplatesOfAirflow) {
  const auto warnings = [](const std::string& task) {
    const LoadedDag loaded = load_dag("name: x\nparams: {n: 1}\ntasks:\n  - id: t\n    " + task + "\n", "dag.yaml");
    EXPECT_NE(loaded.dag, nullptr) << task;
    std::string out;
    for (const Diagnostic& one : loaded.diagnostics) out += one.text() + "\n";
    return out;
  };
  EXPECT_EQ(warnings(R"(run: echo "{{ ds }}")"),
            "dag.yaml:5:16: warning: '{{ ds }}' is no expression here: write ${{ run.date }}\n");
  EXPECT_EQ(
      warnings("run: |\n      set -e\n      echo {{ params.n }}"),
      "dag.yaml:7:12: warning: '{{ params.n }}' is no expression here: pass it through env: {VALUE: \"${{ params.n "
      "}}\"}, and write \"$VALUE\"\n");
  EXPECT_EQ(
      warnings("command: [echo, '{{ ti.xcom_pull() }}']"),
      "dag.yaml:5:22: warning: '{{ ti.xcom_pull() }}' is no expression here: write ${{ tasks.ID.outputs.NAME }}\n");
  EXPECT_EQ(warnings("run: docker ps --format '{{.Names}}' '{{ dsx }}' '{{' '{{}}' '{{ ds'"), "");
  EXPECT_EQ(warnings("run: echo '$${{ ds }}' ${{ '{{ ds }}' }} {{{ds}}}"), "");
  std::string many = "run: echo ";
  for (int i = 0; i < 1000; ++i) many += "{{ds}}";
  const std::string told = warnings(many);
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 20);
}

TEST(Loader, WarnsOfConditionsThatNoParameterMakesRight) {
  const auto warning = [](const std::string& when) {
    const LoadedDag loaded = load_dag(
        "name: x\nparams: {n: 1, s: a, flag: true, mode: {type: string, enum: [full, delta]}}\n"
        "tasks:\n  - id: t\n    noop: {}\n    when: " +
            when + "\n",
        "dag.yaml");
    EXPECT_NE(loaded.dag, nullptr) << when;
    return loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].text();
  };
  EXPECT_EQ(warning("params.n"),
            "dag.yaml:6:11: warning: a condition is true or false, and 'params.n' is of type integer");
  EXPECT_EQ(warning("params.flag && !params.n"),
            "dag.yaml:6:11: warning: a condition is true or false, and 'params.n' is of type integer");
  EXPECT_EQ(warning("params.s > 2"),
            "dag.yaml:6:11: warning: '>' needs two numbers or two texts; 'params.s' is of type string, '2' of type "
            "integer");
  EXPECT_EQ(warning("${{ params.n == '1' }}"),
            "dag.yaml:6:14: warning: 'params.n' is of type integer, and '1' of type string: they are never equal");
  EXPECT_EQ(warning("params.flag || params.mode == 'fulll'"),
            "dag.yaml:6:11: warning: 'params.mode' is never 'fulll': its 'enum' does not have it");
  for (const char* right : {"params.flag", "params.n > 1.5", "params.s == null", "params.mode != 'full'",
                            "(params.n ?? 2) > 1", "params.n + 1 == 2", "len(params.s) > 2", "params.s < 'b'"}) {
    EXPECT_EQ(warning(right), "");
  }
}

TEST(Loader, ColumnsCountCharacters) {
  EXPECT_EQ(complaint("[{id: a, description: \"\xc3\xa9t\xc3\xa9\", rnu: x}]"),
            "dag.yaml:2:37: error: unknown key 'rnu' in a task; did you mean 'run'?");
}

TEST(Loader, SelectOnATaskWithoutItemsIsAllowed) {
  const DagPtr dag = load_tasks(
      "[{id: a, run: x, outputs: {artifacts: [{name: m, path: m}], metrics: {auc: {file: f}}}},"
      " {id: b, run: y, inputs: {artifacts: [{name: m, from: a.m, select: {min: auc}, path: m}]}}]");
  EXPECT_EQ(dag->tasks[1].work->inputs[0].select->by, Select::By::kMin);
}

TEST(Loader, AnOutputIsThereWhereEveryTaskOnTheWayDemandsSuccess) {
  const std::string start = "[{id: a, run: x, outputs: {values: {v: {file: v}}}}, ";
  const std::string use = "{id: c, depends_on: [b], env: {V: \"${{ tasks.a.outputs.v }}\"}, run: y}]";
  EXPECT_EQ(complaint(start + "{id: b, noop: {}, depends_on: [a]}, " + use), "");
  EXPECT_EQ(complaint(start + "{id: b, noop: {}, depends_on: [{task: a, on: [succeeded]}]}, " + use), "");
  EXPECT_THAT(complaint(start + "{id: b, noop: {}, depends_on: [{task: a, on: [done]}]}, " + use), HasSubstr("?? ..."));
  EXPECT_THAT(complaint(start + "{id: b, noop: {}, depends_on: [a], trigger_rule: all_done}, " + use),
              HasSubstr("?? ..."));
  EXPECT_THAT(complaint(start + "{id: b, noop: {}}, " + use), HasSubstr("not upstream"));
}

TEST(Loader, AnswersAboutFarAncestorsBeyondOneSweep) {
  // 200 far ancestors are more than the 64 of one pass.
  std::string text = "name: x\ntasks:\n";
  for (int i = 0; i < 400; ++i) {
    text += fmt::format("  - {{id: t{0}, run: x, outputs: {{values: {{v: {{file: v}}}}}}", i);
    if (i > 0) text += fmt::format(", depends_on: [t{}]", i - 1);
    if (i >= 200) text += fmt::format(", env: {{V: \"${{{{ tasks.t{}.outputs.v }}}}\"}}", i - 200);
    text += "}\n";
  }
  EXPECT_NE(load(text), nullptr);
  // And one that points down instead.
  text += "  - {id: last, run: x, env: {V: \"${{ tasks.t399.outputs.v }}\"}}\n";
  const LoadedDag loaded = load_dag(text, "dag.yaml");
  ASSERT_EQ(loaded.diagnostics.size(), 1U);
  EXPECT_THAT(loaded.diagnostics[0].message, HasSubstr("'t399' is not upstream of 'last'"));
}

TEST(Loader, SecretsGoThroughTheEnvironmentOnly) {
  const auto with = [](std::string_view task) {
    const LoadedDag loaded = load_dag(
        fmt::format("name: x\nparams: {{t: {{type: string, secret: true}}}}\ntasks: [{}]\n", task), "dag.yaml");
    return loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].message;
  };
  EXPECT_EQ(with("{id: a, run: x, env: {T: '${{ params.t }}'}}"), "");
  EXPECT_THAT(with("{id: a, command: [x, '${{ params.t }}']}"), HasSubstr("secret"));
  EXPECT_THAT(with("{id: a, command: [x, '${{ to_json(params) }}']}"), HasSubstr("secret"));
  EXPECT_THAT(with("{id: a, foreach: {items: '${{ split(params.t, 1) }}'}, run: x}"), HasSubstr("secret"));
}

TEST(Loader, SecretsStayInTheEnvironmentWhenTheyGoThroughTheDagsOwn) {
  const auto with = [](std::string_view task) {
    const LoadedDag loaded =
        load_dag(fmt::format("name: x\nparams: {{t: {{type: string, secret: true}}, u: {{type: string, default: v}}}}\n"
                             "env: {{T: '-${{{{ params.t }}}}', U: '${{{{ params.u }}}}'}}\ntasks: [{}]\n",
                             task),
                 "dag.yaml");
    return loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].message;
  };
  EXPECT_EQ(with("{id: a, command: [x, '${{ env.U }}']}"), "");
  EXPECT_EQ(with("{id: a, run: x, env: {V: '${{ env.T }}'}}"), "");
  EXPECT_THAT(with("{id: a, command: [x, '${{ env.T }}']}"), HasSubstr("'env.T' holds a secret parameter"));
  EXPECT_THAT(with("{id: a, command: [x, '${{ to_json(env) }}']}"), HasSubstr("secret"));
  EXPECT_THAT(with("{id: a, run: x, outputs: {artifacts: [{name: o, path: o, asset: 'm/${{ env.T }}'}]}}"),
              HasSubstr("secret"));
}

TEST(Version, IsOfTheMeaningNotOfTheText) {
  const std::string version = load("name: x\nparams: {a: 1, b: [1, 2]}\ntasks: [{id: t, run: echo}]\n")->version;
  EXPECT_EQ(version.size(), 64U);
  EXPECT_EQ(version, load("# A comment\n\nparams:\n  b:\n  - 1\n  - 2\n  a: 1\nname: 'x'\ntasks:\n- run: \"echo\"\n"
                          "  id: t\n")
                         ->version);
  EXPECT_NE(version, load("name: x\nparams: {a: '1', b: [1, 2]}\ntasks: [{id: t, run: echo}]\n")->version);
  EXPECT_NE(version, load("name: x\nparams: {a: 1, b: [2, 1]}\ntasks: [{id: t, run: echo}]\n")->version);
}

TEST(Version, FollowsAliases) {
  EXPECT_EQ(load("name: x\ntasks: [{id: a, run: s, env: &e {A: b}}, {id: b, run: s, env: *e}]\n")->version,
            load("name: x\ntasks: [{id: a, run: s, env: {A: b}}, {id: b, run: s, env: {A: b}}]\n")->version);
}

TEST(Version, KeepsAnOrderThatNumbersInstances) {
  // Runs are pinned to a version and number their instances by its order: another order must be another version.
  EXPECT_NE(load("name: x\ntasks: {a: {noop: {}}, b: {noop: {}}}\n")->version,
            load("name: x\ntasks: {b: {noop: {}}, a: {noop: {}}}\n")->version);
  EXPECT_NE(load("name: x\ntasks: [{id: a, foreach: {matrix: {p: [1, 2], q: [3, 4]}}, noop: {}}]\n")->version,
            load("name: x\ntasks: [{id: a, foreach: {matrix: {q: [3, 4], p: [1, 2]}}, noop: {}}]\n")->version);
}

TEST(Version, TellsSpellingsApartThatATaskCanSee) {
  const auto with = [](std::string_view text) {
    return load(fmt::format("name: x\ntasks: [{{id: a, run: s, env: {{A: {}}}}}]\n", text))->version;
  };
  EXPECT_NE(with("0x10"), with("16"));
  EXPECT_NE(with("True"), with("true"));
  EXPECT_EQ(with("~"), with("null"));
}

TEST(Schema, IsEmbedded) {
  EXPECT_EQ(dag_schema(), read_file("dags/schema/dag.schema.json"));
  EXPECT_THAT(std::string(dag_schema()), HasSubstr("https://json-schema.org/draft/2020-12/schema"));
}

}  // namespace
}  // namespace chappe
