// Each workflow in workflows/ becomes the DAG file NAME.dag and gets the notes NAME.notes beside it; what it becomes
// loads, or a note says what is to be finished. To accept new ones: CHAPPE_BLESS=1 build/dev/tests/unit_argo, and read
// the diff.
#include "dags/argo/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<fs::path> workflows() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(CHAPPE_SOURCE_DIR "/tests/unit/argo/workflows")) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void expect_file(const std::string& text, fs::path path, const char* extension) {
  path.replace_extension(extension);
  if (std::getenv("CHAPPE_BLESS") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(text, read_file(path)) << path;
}

class Workflows : public testing::TestWithParam<fs::path> {};

TEST_P(Workflows, BecomeTheirDagFiles) {
  const auto imported = import_argo(read_file(GetParam()), GetParam().filename().string());
  ASSERT_TRUE(imported) << imported.error().message;
  expect_file(imported->dag_file, GetParam(), ".dag");
  std::string notes;
  bool to_finish = false;
  for (const ImportNote& note : imported->notes) {
    // Those are the loader's words.
    const bool of_loader = note.message.find("is to be finished by hand") != std::string::npos;
    to_finish |= of_loader;
    if (!of_loader) notes += note.text() + "\n";
  }
  expect_file(notes, GetParam(), ".notes");
  EXPECT_NE(load_dag(imported->dag_file, "imported").dag != nullptr, to_finish);
}

INSTANTIATE_TEST_SUITE_P(All, Workflows, testing::ValuesIn(workflows()),
                         [](const auto& instance) { return instance.param.stem().string(); });

std::string refusal(std::string_view text) {
  const auto imported = import_argo(text, "w.yaml");
  return imported ? "" : imported.error().message;
}

TEST(ImportOfArgo, RefusesWhatIsNoWorkflow) {
  EXPECT_THAT(refusal("kind: Pod\n"), HasSubstr("w.yaml:1:1: error: this is no Argo Workflow"));
  EXPECT_EQ(refusal(""), "w.yaml: error: this is no Argo Workflow");
  EXPECT_EQ(refusal("a: [1"), refusal("a: [1"));
  EXPECT_THAT(refusal("a: [1"), HasSubstr("error: not YAML"));
  const std::string head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n";
  EXPECT_EQ(refusal(head), "w.yaml:1:1: error: the workflow has no 'spec'");
  EXPECT_EQ(refusal(head + "spec: {a: b}\n"), "w.yaml:3:7: error: the workflow has no 'entrypoint'");
  EXPECT_EQ(refusal(head + "spec: {entrypoint: x}\n"), "w.yaml:3:20: error: there is no template 'x' in this file");
  EXPECT_EQ(refusal(head + "spec: {workflowTemplateRef: {name: job}}\n"),
            "w.yaml:3:29: error: the templates stand in another file ('job'): import that one");
}

/// A DAG of so many tasks, each after the one before.
std::string chain(std::size_t tasks) {
  std::string out =
      "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  entrypoint: m\n  templates:\n    - {name: t, "
      "container: "
      "{command: [echo]}}\n    - name: m\n      dag:\n        tasks:\n";
  for (std::size_t i = 0; i < tasks; ++i) {
    out += "          - {name: t" + std::to_string(i) + ", template: t" +
           (i > 0 ? ", depends: t" + std::to_string(i - 1) : std::string()) + "}\n";
  }
  return out;
}

TEST(ImportOfArgo, TakesSoManyTasksAndNoMore) {
  const auto most = import_argo(chain(kImportedTasksMax), "w.yaml");
  ASSERT_TRUE(most);
  EXPECT_TRUE(most->notes.empty()) << most->notes[0].text();
  const auto more = import_argo(chain(kImportedTasksMax + 1), "w.yaml");
  ASSERT_TRUE(more);
  ASSERT_EQ(more->notes.size(), 1U);
  EXPECT_THAT(more->notes[0].message, HasSubstr("more than 5000 tasks"));
}

TEST(ImportOfArgo, GivesUpWhereTextsDoubleAtEachLevel) {
  std::string text = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  entrypoint: t0\n  templates:\n";
  for (int i = 0; i < 30; ++i) {
    text += "    - {name: t" + std::to_string(i) +
            ", inputs: {parameters: [{name: a, value: xx}]}, steps: [[{name: s, " + "template: t" +
            std::to_string(i + 1) +
            ", arguments: {parameters: [{name: a, value: '{{inputs.parameters.a}}{{inputs.parameters.a}}'}]}}]]}\n";
  }
  text +=
      "    - {name: t30, inputs: {parameters: [{name: a}]}, container: {command: [echo, '{{inputs.parameters.a}}']}}\n";
  const auto imported = import_argo(text, "w.yaml");
  ASSERT_TRUE(imported);
  EXPECT_LT(imported->dag_file.size(), std::size_t{8} << 20);
  EXPECT_FALSE(imported->notes.empty());
}

TEST(ImportOfArgo, LetsATemplateFailWhereAnyOfItsTasksDoes) {
  const auto imported = import_argo(
      "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {entrypoint: m, templates: [{name: t, container: "
      "{command: "
      "[echo]}}, {name: in, steps: [[{name: a, template: t}], [{name: b, template: t}], [{name: c, template: t}]]}, "
      "{name: "
      "m, steps: [[{name: x, template: in, when: '1 < 2'}], [{name: y, template: t}]]}]}\n",
      "w.yaml");
  ASSERT_TRUE(imported);
  const DagPtr dag = load_dag(imported->dag_file, "d").dag;
  ASSERT_NE(dag, nullptr);
  std::vector<std::string> above;
  for (const Dependency& edge : dag->tasks[*dag->find("x")].depends_on) above.push_back(dag->tasks[edge.task].id);
  EXPECT_THAT(above, testing::UnorderedElementsAre("x_start", "x_a", "x_b", "x_c"));
  EXPECT_EQ(dag->tasks[*dag->find("x")].trigger_rule, TriggerRule::kNoneFailedMinOneSuccess);
}

TEST(ImportOfArgo, SaysOfCirclesThatTheyAreLeftOut) {
  const auto imported = import_argo(
      "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {entrypoint: m, templates: [{name: t, container: "
      "{command: "
      "[echo]}}, {name: m, dag: {tasks: [{name: a, depends: b, template: t}, {name: b, depends: a, template: t}, "
      "{name: c, "
      "template: t}]}}]}\n",
      "w.yaml");
  ASSERT_TRUE(imported);
  ASSERT_EQ(imported->notes.size(), 1U);
  EXPECT_THAT(imported->notes[0].message, HasSubstr("in a circle"));
  EXPECT_NE(load_dag(imported->dag_file, "d").dag, nullptr);
}

}  // namespace
}  // namespace chappe
