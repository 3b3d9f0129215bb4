// Values that outlive runs, over the API.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

class ApiStates : public ApiWorld {
 protected:
  static StateRow row(const std::string& scope, const std::string& name) {
    return {.scope = scope,
            .name = name,
            .value = Value(7),
            .version = 1,
            .fence = {3},
            .by_task = {},
            .by_attempt = {},
            .by = "ann",
            .at = {1'780'000'000'000'000}};
  }
};

TEST_F(ApiStates, AreListedPageByPageAndShown) {
  commit({.states = {row("dag:a", "x"), row("dag:a", "y"), row("namespace:default", "x")}});
  Value page = get("/api/v1/state?limit=2").json();
  EXPECT_EQ(page.find("items")->as_list()->size(), 2U);
  EXPECT_EQ(to_text(*page.find("next")), "dag:a y");
  page = get("/api/v1/state?limit=2&after=dag:a%20y").json();
  EXPECT_EQ(page.find("items")->as_list()->size(), 1U);
  EXPECT_TRUE(page.find("next")->is_null());
  EXPECT_EQ(
      to_json(get("/api/v1/state/dag:a/x").json()),
      R"({"scope":"dag:a","name":"x","value":7,"version":1,"changed_by":"ann","changed_at":"2026-05-28T20:26:40.000000Z"})");
  EXPECT_EQ(get("/api/v1/state/dag:a/z").status, 404);
}

TEST_F(ApiStates, ACheckedValueReachesTheEngine) {
  backend_->answer = [](const Event&) -> Result<Value> { return Value(ValueMap{{"version", 2}}); };
  EXPECT_EQ(call("PUT", "/api/v1/state/dag:a/x", R"({"value":{"at":1},"expected_version":1})").status, 200);
  const auto asked = std::get<StateSetRequested>(backend_->requests().at(0));
  EXPECT_EQ(asked.scope, "dag:a");
  EXPECT_EQ(asked.name, "x");
  EXPECT_EQ(to_json(asked.value), R"({"at":1})");
  EXPECT_EQ(asked.expect_version, 1U);
  EXPECT_EQ(asked.requested_by, "admin");
  EXPECT_EQ(call("PUT", "/api/v1/state/dag:a/x", R"({"value":null})").status, 200);
  EXPECT_EQ(std::get<StateSetRequested>(backend_->requests().at(1)).expect_version, std::nullopt);
}

TEST_F(ApiStates, WhatIsNoStateIsRefused) {
  const auto status = [&](const std::string& path, const std::string& body) {
    return call("PUT", "/api/v1/state/" + path, body).status;
  };
  EXPECT_EQ(status("dag:a/x", "{}"), 400);
  EXPECT_EQ(status("dag:a/x", R"({"value":1,"version":1})"), 400);
  EXPECT_EQ(status("dag:a/x", R"({"value":1,"expected_version":-1})"), 422);
  for (const char* path : {"a/x", "run:a/x", "dag:/x", "dag:a%20b/x", "dag:a/x%20y"}) {
    EXPECT_EQ(status(path, R"({"value":1})"), 422) << path;
  }
  EXPECT_EQ(status("dag:a/x", fmt::format(R"({{"value":"{}"}})", std::string(64 * 1024 - 2, 'x'))), 200);
  EXPECT_EQ(status("dag:a/x", fmt::format(R"({{"value":"{}"}})", std::string(64 * 1024 - 1, 'x'))), 422);
}

}  // namespace
}  // namespace chappe::api
