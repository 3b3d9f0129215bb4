#include "cli/dag_file.h"

#include <gtest/gtest.h>

namespace chappe::cli {
namespace {

const DagPtr& demo() {
  static const DagPtr dag = load_dag(R"(
name: demo
params:
  year: {type: integer, required: true}
  rate: {type: number, default: 0.5}
  fast: {type: boolean, default: false}
  who: {type: string, default: me}
  tags: {type: array, default: []}
tasks: [{id: one, noop: true}]
)",
                                     "demo.yaml")
                                .dag;
  return dag;
}

std::string read(const std::vector<std::string>& given) {
  const auto params = read_params(demo().get(), "", given);
  return params ? to_json(*params) : params.error().message;
}

TEST(ReadParams, ReadsEachValueAsItsDeclaredType) {
  ASSERT_NE(demo(), nullptr);
  EXPECT_EQ(read({"year=2026", "rate=1", "fast=true", "who=007", "tags=[\"a\"]"}),
            R"({"year":2026,"rate":1,"fast":true,"who":"007","tags":["a"]})");
}

TEST(ReadParams, TakesTheLastOfTwo) { EXPECT_EQ(read({"year=1", "year=2"}), R"({"year":2})"); }

TEST(ReadParams, KeepsEqualsSignsInTheValue) { EXPECT_EQ(read({"year=1", "who=a=b"}), R"({"year":1,"who":"a=b"})"); }

TEST(ReadParams, ChecksAgainstTheDag) {
  EXPECT_NE(read({"yaer=1"}).find("did you mean 'year'?"), std::string::npos) << read({"yaer=1"});
  EXPECT_NE(read({"year=soon"}).find("integer"), std::string::npos) << read({"year=soon"});
  EXPECT_NE(read({}).find("year"), std::string::npos) << read({});
}

TEST(ReadParams, WantsNameAndValue) {
  EXPECT_EQ(read({"year"}), "--param year: write it as NAME=VALUE");
  EXPECT_EQ(read({"=1"}), "--param =1: write it as NAME=VALUE");
}

}  // namespace
}  // namespace chappe::cli
