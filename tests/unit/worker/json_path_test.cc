#include "worker/artifacts/json_path.h"

#include <gtest/gtest.h>

#include "proto/json/json.h"

namespace chappe::artifacts {
namespace {

std::string at(std::string_view path) {
  const Value document = *parse_json(R"({"a": {"b": [1, {"c": "x"}]}, "": 2, "n": null})");
  const Result<Value> value = value_at(document, path);
  return value ? to_json(*value) : value.error().message;
}

TEST(JsonPath, FindsMembersAndItems) {
  EXPECT_EQ(at("$.a.b[0]"), "1");
  EXPECT_EQ(at("$.a.b[1].c"), R"("x")");
  EXPECT_EQ(at("$.a.b[1]"), R"({"c":"x"})");
  EXPECT_EQ(at("$.n"), "null");
}

TEST(JsonPath, TakesTheWholeDocument) { EXPECT_EQ(at("$").front(), '{'); }

TEST(JsonPath, SaysWhichPartIsMissing) {
  EXPECT_EQ(at("$.a.x.y"), "there is no $.a.x");
  EXPECT_EQ(at("$.a.b[2]"), "there is no $.a.b[2]");
  EXPECT_EQ(at("$.a[0]"), "there is no $.a[0]");
  EXPECT_EQ(at("$.n.x"), "there is no $.n.x");
}

TEST(JsonPath, RefusesWhatIsNoPath) {
  for (const char* path : {"", "a", "$a", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$.a[1", "$.a[]", "$.a]",
                           "$.a[99999999999999999999]"}) {
    EXPECT_NE(at(path).find("is not a path"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace chappe::artifacts
