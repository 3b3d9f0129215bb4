// The routes that deploy DAGs, and what of them a reader sees.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

constexpr const char* kDaily = "{name: demo, schedule: '@daily', tasks: [{id: t, noop: true}]}";

class ApiDeployments : public ApiWorld {
 protected:
  static std::string body(const std::string& dag) { return fmt::format(R"({{"dag_yaml":{}}})", to_json(Value(dag))); }
};

TEST_F(ApiDeployments, ACheckedFileIsHandedToTheEngine) {
  backend_->answer = [](const Event&) -> Result<Value> { return Value(ValueMap{{"dag", "demo"}, {"state", "new"}}); };
  const Reply reply = call("POST", "/api/v1/dags", body(kDaily));
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(to_json(reply.json()), R"({"dag":"demo","state":"new","warnings":[]})");
  const auto asked = std::get<DagDeployed>(backend_->requests().at(0));
  EXPECT_EQ(asked.dag->schedule.text(), "@daily");
  EXPECT_EQ(asked.requested_by, "admin");
  EXPECT_EQ(asked.source, "127.0.0.1");
}

TEST_F(ApiDeployments, AFileWithMistakesIsRefusedWithAllOfThem) {
  const Reply reply = call("POST", "/api/v1/dags", body("{name: demo, schedule: '61 * * * *', tasks: [{id: t}]}"));
  EXPECT_EQ(reply.status, 422);
  EXPECT_EQ(reply.json().find("diagnostics")->as_list()->size(), 2U) << reply.body;
  EXPECT_EQ(call("POST", "/api/v1/dags", "{}").status, 400);
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiDeployments, PauseUnpauseAndUndeployReachTheEngine) {
  backend_->answer = [](const Event&) -> Result<Value> { return Value(ValueMap{}); };
  EXPECT_EQ(call("POST", "/api/v1/dags/demo/pause").status, 200);
  EXPECT_EQ(call("POST", "/api/v1/dags/demo/unpause").status, 200);
  EXPECT_EQ(call("DELETE", "/api/v1/dags/demo").status, 200);
  EXPECT_TRUE(std::get<DagPauseRequested>(backend_->requests().at(0)).paused);
  EXPECT_FALSE(std::get<DagPauseRequested>(backend_->requests().at(1)).paused);
  EXPECT_EQ(std::get<DagRemoved>(backend_->requests().at(2)).dag, "demo");
}

TEST_F(ApiDeployments, WhatIsDeployedIsShownAndTriggered) {
  const RunRow old = add_run(kDaily);
  const RunRow newer = add_run("{name: demo, description: tried once, tasks: [{id: t, noop: true}]}");
  commit({.deployments = {{.dag = "demo",
                           .version = old.dag_version,
                           .schedule = "@daily",
                           .next_at = {1'790'000'000'000'000},
                           .deployed_by = "anna",
                           .deployed_at = {1'780'000'000'000'000},
                           .message = "it was missed"}}});
  const Value dag = get("/api/v1/dags").json().find("items")->as_list()->at(0);
  EXPECT_EQ(to_text(*dag.find("version")), old.dag_version);
  EXPECT_EQ(to_text(*dag.find("schedule")), "@daily");
  EXPECT_EQ(to_text(*dag.find("next_at")), "2026-09-21T14:13:20.000000Z");
  EXPECT_EQ(to_text(*dag.find("message")), "it was missed");
  EXPECT_EQ(to_text(*dag.find("last_run")->find("id")), newer.id.text());
  EXPECT_EQ(to_text(*get("/api/v1/dags/demo").json().find("source")), kDaily);
  backend_->answer = [](const Event&) -> Result<Value> { return Value(ValueMap{}); };
  EXPECT_EQ(call("POST", "/api/v1/dags/demo/runs").status, 201);
  EXPECT_EQ(std::get<RunRequested>(backend_->requests().at(0)).dag->version, old.dag_version);
}

}  // namespace
}  // namespace chappe::api
