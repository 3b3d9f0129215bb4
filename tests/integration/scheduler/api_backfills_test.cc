// The routes that do things again: backfills, marks, reruns, and how far a retry reaches.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

using testing::HasSubstr;

constexpr const char* kBerlinDaily = R"({name: demo, schedule: "@daily", timezone: Europe/Berlin,
  params: {year: {type: integer, default: 2026}, key: {type: string, secret: true, required: false}},
  tasks: [{id: load, noop: true}, {id: use, noop: true, depends_on: [load]}]})";

class ApiBackfills : public ApiWorld {
 protected:
  static std::string stretch(const std::string& more = "") {
    return fmt::format(R"({{"dag":"demo","from":"2026-03-28","to":"2026-03-30"{}}})", more);
  }
  Reply create(const std::string& body) { return call("POST", "/api/v1/backfills", body); }
  std::string detail(const Reply& reply) { return to_text(*reply.json().find("detail")); }
};

TEST_F(ApiBackfills, DatesAreThoseOfTheZoneOfTheDagAndTheLastOneCountsToItsEnd) {
  add_run(kBerlinDaily);
  EXPECT_EQ(create(stretch(R"(,"reprocess":"failed","order":"newest","max_active":4,"tasks":["load"],)"
                           R"("params":{"year":1999})"))
                .status,
            200);
  const auto asked = std::get<BackfillRequested>(backend_->requests().at(0));
  EXPECT_EQ(to_iso8601(asked.spec.from), "2026-03-27T23:00:00.000000Z");
  EXPECT_EQ(to_iso8601(asked.spec.to), "2026-03-30T21:59:59.999999Z") << "the clocks went forward in between";
  EXPECT_EQ(asked.spec.reprocess, Reprocess::kFailed);
  EXPECT_TRUE(asked.spec.newest_first);
  EXPECT_EQ(asked.spec.max_active, 4U);
  EXPECT_EQ(asked.spec.tasks, std::vector<std::string>{"load"});
  EXPECT_EQ(asked.total, 3U);
  EXPECT_EQ(to_json(Value(asked.params)), R"({"year":1999})");
  EXPECT_EQ(asked.requested_by, "admin");
}

TEST_F(ApiBackfills, ADryRunSaysDateByDateWhatItWouldDo) {
  RunRow run = add_run(kBerlinDaily, RunState::kFailed);
  run.seq = {++last_run_};
  run.id = RunId::make({1}, {9});
  run.logical_time = *parse_iso8601("2026-03-28T23:00:00Z");
  commit({.runs = {run}});
  const Value told = create(stretch(R"(,"dry_run":true)")).json();
  EXPECT_EQ(*told.find("total"), Value(3));
  EXPECT_EQ(*told.find("made"), Value(2));
  EXPECT_EQ(to_json(told.find("dates")->as_list()->at(1)),
            R"({"logical_time":"2026-03-28T23:00:00.000000Z","run":false,"why_not":"its run ended: failed"})");
  EXPECT_EQ(*create(stretch(R"(,"dry_run":true,"reprocess":"failed")")).json().find("made"), Value(3));
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiBackfills, MistakesAreRefusedBeforeTheEngineHearsOfThem) {
  add_run(kBerlinDaily);
  for (const auto& [body, status, why] : std::vector<std::tuple<std::string, int, std::string>>{
           {R"({"dag":"demo","to":"2026-03-30"})", 422, "'from' is needed"},
           {R"({"dag":"demo","from":"x","to":"2026-03-30"})", 422, "from: 'x' is no date or time"},
           {R"({"dag":"nobody","from":"2026-03-28","to":"2026-03-30"})", 404, "nobody"},
           {stretch(R"(,"reprocess":"all")"), 422, "reprocess is none, failed or completed, not 'all'"},
           {stretch(R"(,"order":"random")"), 422, "order is oldest or newest"},
           {stretch(R"(,"max_active":0)"), 422, "max_active is 1 to 1000"},
           {stretch(R"(,"max_active":-7)"), 422, "max_active is 1 to 1000"},
           {stretch(R"(,"tasks":["loads"])"), 422, "did you mean 'load'?"},
           {stretch(R"(,"params":{"yaer":1})"), 422, "yaer"},
           {stretch(R"(,"params":{"key":"s3cret"})"), 422, "'key' is secret, and a backfill would have to keep it"}}) {
    const Reply reply = create(body);
    EXPECT_EQ(reply.status, status) << body;
    EXPECT_THAT(detail(reply), HasSubstr(why));
  }
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiBackfills, AreListedShownAndChanged) {
  const RunRow run = add_run(kBerlinDaily);
  BackfillRow row{.id = {7}, .dag = "demo", .version = run.dag_version, .params_json = "{}", .total = 9};
  row.made = 2;
  row.skipped = 1;
  RunRow made = run;
  made.seq = {++last_run_};
  made.id = RunId::make({2}, {8});
  made.backfill = {7};
  commit({.runs = {made}, .backfills = {row}});
  EXPECT_EQ(*get("/api/v1/backfills?dag=demo").json().find("items")->as_list()->at(0).find("left"), Value(6));
  EXPECT_EQ(*get("/api/v1/backfills/7").json().find("runs")->find("running"), Value(1));
  EXPECT_EQ(get("/api/v1/runs?backfill=7").json().find("items")->as_list()->size(), 1U);
  EXPECT_EQ(get("/api/v1/backfills/8").status, 404);
  EXPECT_EQ(get("/api/v1/backfills/first").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/backfills/8/pause").status, 404);
  const std::vector<std::pair<std::string, BackfillState>> verbs{
      {"pause", BackfillState::kPaused}, {"resume", BackfillState::kRunning}, {"cancel", BackfillState::kCancelled}};
  for (const auto& [verb, state] : verbs) {
    EXPECT_EQ(call("POST", "/api/v1/backfills/7/" + verb).status, 200);
    const auto asked = std::get<BackfillChangeRequested>(backend_->requests().back());
    EXPECT_EQ(asked.backfill, BackfillId{7});
    EXPECT_EQ(asked.state, state);
  }
}

TEST_F(ApiBackfills, ARetryReachesAsFarAsItIsTold) {
  add_run(kBerlinDaily, RunState::kFailed);
  const auto reach = [&](const std::string& more) {
    EXPECT_EQ(call("POST", "/api/v1/runs/latest/retry", R"({"tasks":["load"])" + more + "}").status, 200);
    const auto asked = std::get<RetryRequested>(backend_->requests().back()).reach;
    return fmt::format("{}{}{}", asked.upstream ? "up " : "", asked.downstream ? "down " : "",
                       asked.only_failed ? "failed" : "");
  };
  EXPECT_EQ(reach(""), "down ");
  EXPECT_EQ(reach(R"(,"upstream":true)"), "up ");
  EXPECT_EQ(reach(R"(,"upstream":true,"downstream":true)"), "up down ");
  EXPECT_EQ(reach(R"(,"only_failed":true)"), "down failed");
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/retry", R"({"only_failed":true})").status, 400);
}

TEST_F(ApiBackfills, AMarkSaysOneOfThreeEnds) {
  const RunRow run = add_run(kBerlinDaily, RunState::kFailed);
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/tasks/load/mark", R"({"state":"success"})").status, 200);
  const auto asked = std::get<MarkRequested>(backend_->requests().at(0));
  EXPECT_EQ(asked.task, "load");
  EXPECT_EQ(asked.state, TaskState::kSuccess);
  ASSERT_NE(asked.stored, nullptr);
  EXPECT_EQ(asked.stored->row.id, run.id);
  for (const char* body : {R"({"state":"running"})", R"({"state":"done"})", "{}"}) {
    EXPECT_EQ(call("POST", "/api/v1/runs/latest/tasks/load/mark", body).status, 400);
  }
}

TEST_F(ApiBackfills, ARerunKeepsTimeAndParametersAndNamesTheRun) {
  RunRow run = add_run(kBerlinDaily, RunState::kFailed);
  run.seq = {++last_run_};
  run.id = RunId::make({3}, {7});
  run.logical_time = {5'000'000};
  run.interval_start = {4'000'000};
  run.interval_end = {5'000'000};
  run.params_json = R"({"year":1999,"key":null})";
  commit({.runs = {run}});
  const RunRow newer = add_run("{name: demo, params: {year: 1}, tasks: [{id: load, noop: true}]}", RunState::kSuccess);
  const std::string path = "/api/v1/runs/" + run.id.text() + "/rerun";
  EXPECT_EQ(call("POST", path, R"({"params":{"key":"again"}})").status, 201);
  auto asked = std::get<RunRequested>(backend_->requests().back());
  EXPECT_EQ(asked.dag->version, run.dag_version);
  EXPECT_EQ(to_json(Value(asked.params)), R"({"year":1999,"key":"again"})");
  EXPECT_EQ(asked.logical_time, run.logical_time);
  EXPECT_EQ(asked.interval_start, run.interval_start);
  EXPECT_EQ(asked.trigger, "rerun");
  EXPECT_EQ(asked.rerun_of, run.seq);
  EXPECT_EQ(call("POST", path, R"({"version":"latest"})").status, 201);
  asked = std::get<RunRequested>(backend_->requests().back());
  EXPECT_EQ(asked.dag->version, newer.dag_version);
  EXPECT_EQ(to_json(Value(asked.params)), R"({"year":1999})");
  EXPECT_EQ(call("POST", path, R"({"version":"0123456789"})").status, 404);
  RunRow again = newer;
  again.seq = {++last_run_};
  again.id = RunId::make({4}, {6});
  again.rerun_of = run.seq;
  commit({.runs = {again}});
  EXPECT_EQ(*get("/api/v1/runs/" + again.id.text()).json().find("rerun_of"), Value(run.id.text()));
}

}  // namespace
}  // namespace chappe::api
