// The parts of an import: YAML for people, conditions, variables in scripts.
#include <gtest/gtest.h>

#include "dags/argo/condition.h"
#include "dags/argo/workflow.h"
#include "dags/argo/yaml_writer.h"

namespace chappe::argo {
namespace {

TEST(YamlWriter, QuotesOnlyWhatWouldBeReadAsSomethingElse) {
  EXPECT_EQ(yaml_scalar("train.py", false), "train.py");
  EXPECT_EQ(yaml_scalar("two words", false), "two words");
  for (const char* text :
       {"", " x", "1", "true", "null", "~", "0o7", "1e3", "a: b", "a #b", "- x", "x:", "${{ a }}", "*a"}) {
    EXPECT_EQ(yaml_scalar(text, false).front(), '"') << text;
  }
  EXPECT_EQ(yaml_scalar("a, b", false), "a, b");
  EXPECT_EQ(yaml_scalar("a, b", true), "\"a, b\"");
  EXPECT_EQ(yaml_scalar("a\"b\\\x01\n", false), "\"a\\\"b\\\\\\x01\\n\"");
}

TEST(YamlWriter, WritesShortThingsInOneLineAndScriptsAsBlocks) {
  Yaml task = Yaml::map().block();
  task.set("id", Yaml::text("a")).set("run", Yaml::text("one\ntwo\n"));
  task.set("on", Yaml::list().add(Yaml::text("x")).add(Yaml::number(2)));
  task.comment("image: b");
  Yaml whole = Yaml::map().set("tasks", Yaml::list().add(task).block());
  EXPECT_EQ(whole.write(), "tasks:\n  # image: b\n  - id: a\n    run: |\n      one\n      two\n    on: [x, 2]\n");
}

std::string shown(const Condition& condition) {
  if (condition.kind == Condition::Kind::kTrue) return "true";
  if (condition.kind == Condition::Kind::kTerm)
    return std::to_string(condition.task) + ":" + std::to_string(condition.ends);
  std::string out;
  for (const Condition& part : condition.parts) {
    out += (out.empty() ? "" : condition.kind == Condition::Kind::kAnd ? " & " : " | ") + shown(part);
  }
  return "(" + out + ")";
}

std::string parsed(std::string_view text) {
  std::string problem;
  const auto find = [](std::string_view name) -> std::optional<std::size_t> {
    return name == "a" ? std::optional<std::size_t>(0) : name == "b-1" ? std::optional<std::size_t>(1) : std::nullopt;
  };
  const auto condition = parse_depends(text, find, problem);
  return condition ? shown(*condition) : problem;
}

TEST(Depends, PushesNegationsDownToTheEnds) {
  EXPECT_EQ(parsed("a"), "0:37");
  EXPECT_EQ(parsed("a && b-1.Failed"), "(0:37 & 1:2)");
  EXPECT_EQ(parsed("a.Succeeded || (b-1.Failed || a.Skipped)"), "(0:5 | 1:2)");
  EXPECT_EQ(parsed("a && !a.Skipped"), "0:33");
  EXPECT_EQ(parsed("!(a.Succeeded && !b-1.Failed)"), "(0:62 | 1:2)");
}

TEST(Depends, SaysWhatItDoesNotUnderstand) {
  EXPECT_EQ(parsed("c"), "there is no task 'c'");
  EXPECT_EQ(parsed("a.Happy"), "'Happy' is no result of a task");
  EXPECT_EQ(parsed("(a"), "a ')' is missing");
  EXPECT_EQ(parsed("a a"), "'a' is too much");
  EXPECT_EQ(parsed("a &&"), "a task is missing");
  EXPECT_EQ(parsed(std::string(100, '(')), "it is nested too deep");
}

TEST(ShellVariables, AreQuotedAsTheirPlaceNeedsIt) {
  EXPECT_EQ(place_in_shell({"echo ", "X", "\n"}).text, "echo \"$X\"\n");
  EXPECT_EQ(place_in_shell({"echo \"a ", "X", " b\""}).text, "echo \"a ${X} b\"");
  EXPECT_EQ(place_in_shell({"echo 'a ", "X", " b'"}).text, "echo 'a '\"$X\"' b'");
  EXPECT_EQ(place_in_shell({"echo '", "X", "'"}).text, "echo \"$X\"");
  EXPECT_EQ(place_in_shell({"echo $((", "X", " + 1))"}).text, "echo $((${X} + 1))");
  EXPECT_EQ(place_in_shell({"echo \"$(cat ", "X", ")\" ", "Y", ""}).text, "echo \"$(cat \"$X\")\" \"$Y\"");
  EXPECT_EQ(place_in_shell({"cat <<E\na ", "X", "\nE\necho ", "Y", ""}).text, "cat <<E\na ${X}\nE\necho \"$Y\"");
}

TEST(ShellVariables, AreToldWhereTheShellReplacesNothing) {
  EXPECT_TRUE(place_in_shell({"cat <<'E'\na ", "X", "\nE\n"}).literal);
  EXPECT_FALSE(place_in_shell({"cat <<E\na ", "X", "\nE\n"}).literal);
}

}  // namespace
}  // namespace chappe::argo
