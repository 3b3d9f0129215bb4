// What yaml-cpp 0.7 is known to hang on, to swallow, or to take minutes for, and each bound of the loader at its edge.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "dags/loader/loader.h"
#include "dags/loader/yaml_tree.h"

namespace chappe {
namespace {

using testing::HasSubstr;

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

/// The first complaint; "" where there is none.
std::string complaint(std::string_view text) {
  const yaml::Tree tree = yaml::parse(text);
  return tree.problems.empty() ? "" : tree.problems[0].message;
}

TEST(HostileYaml, AStrayCommaEndsAtOnce) {
  EXPECT_NE(complaint(","), "");
  EXPECT_NE(complaint("[a],"), "");
  EXPECT_NE(complaint("name: x\n,"), "");
}

TEST(HostileYaml, WhatFollowsTheDocumentIsRefused) {
  EXPECT_NE(complaint("a: 1\n---\nb: 2\n"), "");
  EXPECT_NE(complaint("[a]]"), "");
  EXPECT_NE(complaint("a: 1\n}"), "");
  EXPECT_NE(complaint("{a: 1}\nb: 2"), "");
  EXPECT_EQ(complaint("---\na: 1\n...\n"), "");
}

TEST(HostileYaml, DepthIsBounded) {
  EXPECT_EQ(complaint(repeat("[", yaml::kDepthMax) + repeat("]", yaml::kDepthMax)), "");
  EXPECT_THAT(complaint(repeat("[", yaml::kDepthMax + 1) + repeat("]", yaml::kDepthMax + 1)), HasSubstr("deeper"));
  EXPECT_NE(complaint(repeat("[", 100'000)), "");
  EXPECT_NE(complaint(repeat("{", 100'000)), "");
  EXPECT_NE(complaint(repeat("- ", 100'000)), "");
  EXPECT_NE(complaint(repeat("? ", 10'000)), "");
}

TEST(HostileYaml, AnAliasMayNotHoldItself) {
  EXPECT_THAT(complaint("&a [*a]"), HasSubstr("alias"));
  EXPECT_THAT(complaint("a: &x {b: *x}"), HasSubstr("alias"));
  EXPECT_NE(complaint("a: *nobody"), "");
}

TEST(HostileYaml, AnAliasBombIsDefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += fmt::format("a{0}: &a{0} [{1}*a{2}]\n", i, repeat(fmt::format("*a{}, ", i - 1), 8), i - 1);
  }
  EXPECT_THAT(complaint(bomb), HasSubstr("aliases stand for more than"));
}

TEST(HostileYaml, AliasesWithinTheBudgetAreFine) {
  // A list of 99 is 100 values; a thousand aliases of it reach the budget exactly.
  const std::string list = "a: &a [" + repeat("x,", 99) + "]\nb: [";
  EXPECT_EQ(complaint(list + repeat("*a,", 1000) + "]"), "");
  EXPECT_THAT(complaint(list + repeat("*a,", 1001) + "]"), HasSubstr("aliases stand for"));
}

TEST(HostileYaml, SizesAreBounded) {
  EXPECT_EQ(complaint("a: " + repeat("x", yaml::kScalarBytesMax)), "");
  EXPECT_THAT(complaint("a: " + repeat("x", yaml::kScalarBytesMax + 1)), HasSubstr("a text of more than"));
  EXPECT_THAT(complaint(repeat("#", yaml::kTextBytesMax + 1)), HasSubstr("the file has more than"));
  EXPECT_THAT(complaint("[" + repeat("a,", yaml::kNodesMax) + "]"), HasSubstr("values"));
}

TEST(HostileYaml, OnlyUtf8IsText) {
  EXPECT_THAT(complaint("a: \xff\xfe"), HasSubstr("UTF-8"));
  EXPECT_THAT(complaint("a: \xc0\xaf"), HasSubstr("UTF-8"));      // Overlong.
  EXPECT_THAT(complaint("a: \xed\xa0\x80"), HasSubstr("UTF-8"));  // Half of a surrogate pair.
  EXPECT_THAT(complaint(std::string_view("a: \0b", 5)), HasSubstr("NUL"));
  EXPECT_EQ(complaint("a: \xc3\xa9t\xc3\xa9 \xf0\x9f\x8c\x8d"), "");
}

TEST(HostileYaml, KeysAreScalarsAndUnique) {
  EXPECT_NE(complaint("{a: 1}: 2"), "");
  EXPECT_NE(complaint("? [a]\n: b"), "");
  EXPECT_THAT(complaint("a: 1\n'a': 2"), HasSubstr("twice"));
  EXPECT_THAT(complaint("a: &x {b: 1}\nc: {<<: *x}"), HasSubstr("merge keys"));
}

TEST(HostileYaml, UnknownTagsAreRefusedAndStrMakesAText) {
  EXPECT_THAT(complaint("a: !ruby/object 1"), HasSubstr("tag"));
  EXPECT_THAT(complaint("a: !!binary aGVsbG8="), HasSubstr("tag"));
  const yaml::Tree tree = yaml::parse("a: !!str 12\nb: 12\nc: '12'");
  EXPECT_FALSE(tree.root->value(0).plain);
  EXPECT_TRUE(tree.root->value(1).plain);
  EXPECT_FALSE(tree.root->value(2).plain);
}

TEST(HostileYaml, NoTextAtAllIsNoDag) {
  for (const std::string_view text :
       {"",   "\n", "~",  "[]",    "text", "1",  "...", "---", "--- !", "%YAML 1.2\n---\n",
        "\t", "&a", "*a", "!!map", "? ",   ": ", "- ",  "\"",  "'",     "|",
        ">",  "{",  "[",  "@",     "`"}) {
    EXPECT_EQ(load_dag(text, "x").dag, nullptr) << text;
    EXPECT_FALSE(load_dag(text, "x").diagnostics.empty()) << text;
  }
}

TEST(HostileYaml, ComplaintsAreBoundedToo) {
  std::string text = "name: x\ntasks:\n";
  for (int i = 0; i < 20'000; ++i) text += fmt::format("  - {{id: t{}, rnu: echo, depends_on: [x{}]}}\n", i, i);
  const LoadedDag loaded = load_dag(text, "x.yaml");
  ASSERT_EQ(loaded.diagnostics.size(), 100U);
  EXPECT_THAT(loaded.diagnostics.back().message, HasSubstr("more like these"));
}

TEST(HostileYaml, DefaultsThatAreWrongAreToldOnce) {
  std::string text = "name: x\ndefaults: {timeout: 5}\ntasks:\n";
  for (int i = 0; i < 50; ++i) text += fmt::format("  - {{id: t{}, run: echo}}\n", i);
  EXPECT_EQ(load_dag(text, "x.yaml").diagnostics.size(), 1U);
}

}  // namespace
}  // namespace chappe
