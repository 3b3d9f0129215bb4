// DAG files that include others, as a map from path to text.
#include "dags/loader/includes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

using Files = std::map<std::string, std::string>;

LoadedDag load(const std::string& text, const Files& files) {
  return load_dag(text, "dags/main.yaml", [&](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return fail(ErrorCode::kNotFound, fmt::format("cannot read '{}'", path));
    return found->second;
  });
}

std::string told(const LoadedDag& loaded) {
  std::string out;
  for (const Diagnostic& one : loaded.diagnostics) out += one.text() + "\n";
  return out;
}

std::string tasks_of(const LoadedDag& loaded) {
  std::string out;
  for (const Task& task : loaded.dag->tasks) out += (out.empty() ? "" : " ") + task.id;
  return out;
}

const std::string kMain = R"(name: main
include: [shared/_tools.yaml, _more.yaml]
defaults: {retries: 1}
tasks:
  - {id: own, uses: tool, args: [own], depends_on: [first]}
)";
const Files kFiles = {{"shared/_tools.yaml", R"(include: shared/_base.yaml
templates: {tool: {command: [./tool], env: {LEVEL: high}}}
)"},
                      {"shared/_base.yaml", R"(defaults: {retries: 5, timeout: 1h}
templates: {tool: {command: [./old], env: {LEVEL: low, KEPT: "1"}}}
)"},
                      {"_more.yaml", "tasks: [{id: first, noop: {}}]\nhandlers: {exit: {noop: {}}}\n"}};

TEST(Includes, AreMergedAndTheFileThatIncludesWins) {
  const LoadedDag loaded = load(kMain, kFiles);
  ASSERT_NE(loaded.dag, nullptr) << told(loaded);
  EXPECT_EQ(tasks_of(loaded), "first own on_exit");
  const Task& own = loaded.dag->tasks[1];
  EXPECT_EQ(own.retry.limit, 1);
  EXPECT_EQ(own.work->timeout, Duration(std::chrono::hours(1)));
  EXPECT_EQ(own.work->command[0].text(), "./tool");
  ASSERT_EQ(own.work->env.size(), 2U);
  EXPECT_EQ(own.work->env[0].second.text(), "high");
  EXPECT_EQ(loaded.included, (std::vector<std::string>{"shared/_tools.yaml", "shared/_base.yaml", "_more.yaml"}));
}

TEST(Includes, MakeTheVersionByWhatTheySay) {
  const std::string version = load(kMain, kFiles).dag->version;
  Files other = kFiles;
  other["shared/_base.yaml"] = "# spelled otherwise\n" + other["shared/_base.yaml"];
  EXPECT_EQ(load(kMain, other).dag->version, version);
  other["shared/_base.yaml"] = "defaults: {timeout: 2h}\n";
  EXPECT_NE(load(kMain, other).dag->version, version);
}

TEST(Includes, AreKeptInTheSource) {
  const LoadedDag loaded = load(kMain, kFiles);
  const LoadedDag again = load_dag(loaded.dag->source, "main");
  ASSERT_NE(again.dag, nullptr) << told(again);
  EXPECT_EQ(again.dag->version, loaded.dag->version);
  EXPECT_EQ(again.dag->source, loaded.dag->source);
  EXPECT_EQ(tasks_of(again), tasks_of(loaded));
  std::string parts;
  for (const DagPart& part : dag_parts(loaded.dag->source)) parts += part.name + ";";
  EXPECT_EQ(parts, "name;defaults;task first;task own;handlers;templates;");
}

TEST(Includes, AreNoPartOfTheSourceOfAFileWithout) {
  const std::string text = "name: d\ntasks: [{id: a, noop: {}}]\n";
  EXPECT_EQ(load(text, {}).dag->source, text);
}

TEST(Includes, AreComplainedOfWhereTheMistakeIs) {
  const LoadedDag loaded =
      load(R"(name: main
include: [_a.yaml, gone.yaml, ../up.yaml, /etc/passwd, _list.yaml]
tasks: [{id: a, noop: {}}]
)",
           {{"_a.yaml", "name: no\ntasks:\n  - {id: b, run: echo, retrys: 3}\n  - {id: a, noop: {}}\n"},
            {"_list.yaml", "[1]\n"}});
  EXPECT_EQ(told(loaded),
            "dags/main.yaml:2:20: error: cannot read 'gone.yaml'\n"
            "dags/main.yaml:2:31: error: 'include' must stay beneath the folder of the DAG file: '..' is not allowed: "
            "'../up.yaml'\n"
            "dags/main.yaml:2:43: error: 'include' must be relative to the folder of the DAG file: '/etc/passwd'\n"
            "dags/main.yaml:3:14: error: there are two tasks 'a'; the first is in line 4 of dags/_a.yaml\n"
            "dags/_a.yaml:1:1: error: unknown key 'name' in a file that is included; known are params, env, secrets, "
            "labels, image, "
            "defaults, templates, tasks, handlers, notify, include\n"
            "dags/_a.yaml:3:24: error: unknown key 'retrys' in a task; did you mean 'retry'?\n"
            "dags/_list.yaml:1:1: error: a file that is included is a map with keys such as 'params', not a list\n");
}

TEST(Includes, AreComplainedOfInABundleAsInTheFiles) {
  const Files wrong = {{"_a.yaml", "tasks:\n  - {id: b, run: echo \"é ${{ params.x }}\", retrys: 3}\n"}};
  const std::string main = "name: main\ninclude: _a.yaml\ntasks: [{id: a, nop: {}}]\n";
  const LoadedDag loaded = load(main, wrong);
  const std::string bundle = fmt::format("#chappe-bundle 1\n#chappe-file {} -\n{}\n#chappe-file {} _a.yaml\n{}\n",
                                         main.size(), main, wrong.at("_a.yaml").size(), wrong.at("_a.yaml"));
  EXPECT_EQ(told(load_dag(bundle, "dags/main.yaml")), told(loaded));
}

TEST(Includes, InACircleAreRefused) {
  const LoadedDag loaded = load("name: main\ninclude: a.yaml\ntasks: [{id: a, noop: {}}]\n",
                                {{"a.yaml", "include: [b.yaml]\n"}, {"b.yaml", "env: {A: a}\ninclude: [a.yaml]\n"}});
  EXPECT_EQ(told(loaded),
            "dags/b.yaml:2:11: error: files include each other in a circle: a.yaml -> b.yaml -> a.yaml\n");
}

TEST(Includes, OfTheSameFileTwiceCountOnce) {
  const LoadedDag loaded = load(
      "name: main\ninclude: [a.yaml, b.yaml]\ntasks: [{id: z, noop: {}}]\n",
      {{"a.yaml", "include: c.yaml\n"}, {"b.yaml", "include: c.yaml\n"}, {"c.yaml", "tasks: [{id: c, noop: {}}]\n"}});
  ASSERT_NE(loaded.dag, nullptr) << told(loaded);
  EXPECT_EQ(tasks_of(loaded), "c z");
}

TEST(Includes, OfListsAndMapsOfTasksDoNotMix) {
  const LoadedDag loaded =
      load("name: main\ninclude: a.yaml\ntasks: [{id: z, noop: {}}]\n", {{"a.yaml", "tasks: {a: {noop: {}}}\n"}});
  EXPECT_EQ(told(loaded),
            "dags/main.yaml:3:8: error: 'tasks' is a list here and a map in line 1 of dags/a.yaml: write both alike\n");
}

TEST(Includes, AreAtMostAHundredAndTenDeep) {
  Files files;
  std::string all = "name: main\ntasks: [{id: a, noop: {}}]\ninclude:\n";
  for (std::size_t i = 0; i < kIncludesMax; ++i) {
    files[fmt::format("f{}.yaml", i)] = "env: {A: a}\n";
    all += fmt::format("  - f{}.yaml\n", i);
  }
  EXPECT_NE(load(all, files).dag, nullptr);
  files["one_more.yaml"] = "env: {A: a}\n";
  EXPECT_EQ(told(load(all + "  - one_more.yaml\n", files)),
            "dags/main.yaml:104:5: error: a DAG includes at most 100 files\n");
  for (std::size_t i = 0; i < kIncludeDepthMax; ++i) {
    files[fmt::format("f{}.yaml", i)] = fmt::format("include: f{}.yaml\n", i + 1);
  }
  EXPECT_EQ(told(load("name: main\ninclude: f1.yaml\ntasks: [{id: a, noop: {}}]\n", files)), "");
  EXPECT_EQ(told(load("name: main\ninclude: f0.yaml\ntasks: [{id: a, noop: {}}]\n", files)),
            "dags/f9.yaml:1:10: error: files include each other more than 10 deep\n");
}

TEST(Includes, ThatAreNotThereAreNotLookedForByAScheduler) {
  EXPECT_EQ(told(load_dag("name: d\ninclude: /etc/passwd\ntasks: [{id: a, noop: {}}]\n", "d")).substr(0, 13),
            "d:2:10: error");
  EXPECT_EQ(
      told(load_dag("name: d\ninclude: a.yaml\ntasks: [{id: a, noop: {}}]\n", "d")),
      "d:2:10: error: 'a.yaml' did not come with this file: the chappe command sends what a DAG file includes along "
      "with it\n");
}

TEST(Includes, OfACutBundleAreRefused) {
  const std::string whole = load(kMain, kFiles).dag->source;
  for (std::size_t length = 17; length < whole.size(); ++length) {
    EXPECT_EQ(load_dag(std::string_view(whole).substr(0, length), "d").dag, nullptr) << length;
  }
}

}  // namespace
}  // namespace chappe
