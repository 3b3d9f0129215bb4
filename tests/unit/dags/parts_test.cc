#include <gtest/gtest.h>

#include <map>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

std::map<std::string, std::string> parts(const char* text) {
  std::map<std::string, std::string> out;
  for (DagPart& part : dag_parts(text)) out[part.name] = part.canonical;
  return out;
}

TEST(DagParts, AreEqualWhereTheySayTheSameAndDifferWhereTheyDoNot) {
  const auto list = parts("name: d\nschedule: '@daily'\ntasks:\n  - {id: a, run: echo}\n  - {id: b, noop: true}\n");
  const auto again = parts(
      "name: d\n# The same, written otherwise.\nschedule: \"@daily\"\ntasks: [{run: 'echo', id: a}, "
      "{id: b, noop: {}}]\n");
  EXPECT_EQ(list.size(), 4u);
  EXPECT_EQ(list.at("schedule"), again.at("schedule"));
  EXPECT_EQ(list.at("task a"), again.at("task a"));
  EXPECT_NE(list.at("task b"), again.at("task b"));
  EXPECT_TRUE(parts("tasks: {a: {run: echo}}").contains("task a"));
  EXPECT_TRUE(dag_parts("- no\n- DAG").empty());
}

}  // namespace
}  // namespace chappe
