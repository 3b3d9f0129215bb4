// The routes about runs, tasks and logs, over a real metadata store.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "engine/lineage/objects.h"
#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

using std::chrono::milliseconds;

constexpr WallTime kStart{1'790'000'001'000'000}, kEnd{1'790'000'003'500'000};
constexpr const char* kDemo = R"(
name: demo
params: {year: {type: integer, default: 2026}, key: {type: string, secret: true}}
tasks:
  - {id: first, noop: true}
  - {id: train, noop: true, depends_on: [first], foreach: {items: [a, b/c, d], as: item}}
)";

class ApiRuns : public ApiWorld {
 protected:
  static std::string body(const std::string& dag, const std::string& more = "") {
    return fmt::format(R"({{"dag_yaml":{}{}}})", to_json(Value(dag)), more);
  }

  /// The latest attempt of an instance, in the store.
  TaskRow set_task(const RunRow& run, std::uint32_t index, TaskState state, AttemptEnd end = {}) {
    TaskRow row{.key = {run.seq, index},
                .state = state,
                .attempt = {100 + index},
                .attempt_no = 1,
                .ready_at = kStart,
                .queued_at = kStart,
                .end = std::move(end)};
    Persist changes;
    changes.tasks.push_back({.row = row});
    commit(changes);
    return row;
  }

  std::string log_path(const RunRow& run, const std::string& task, const std::string& attempt = "latest") {
    return fmt::format("/api/v1/runs/{}/tasks/{}/attempts/{}/log", run.id.text(), task, attempt);
  }
};

std::vector<std::string> names_in(const Value& page, std::string_view member) {
  std::vector<std::string> names;
  for (const Value& item : *page.find("items")->as_list()) names.push_back(to_text(*item.find(member)));
  return names;
}

TEST_F(ApiRuns, SubmitHandsACheckedDagToTheEngine) {
  const Reply reply = call("POST", "/api/v1/runs",
                           body(kDemo, R"(,"params":{"year":2020,"key":"s3cret"},"logical_time":"2026-01-01")"));
  EXPECT_EQ(reply.status, 201) << reply.body;
  ASSERT_EQ(backend_->requests().size(), 1U);
  const auto asked = std::get<RunRequested>(backend_->requests().front());
  EXPECT_EQ(asked.dag->name, "demo");
  EXPECT_EQ(asked.params, (ValueMap{{"year", 2020}, {"key", "s3cret"}}));
  EXPECT_EQ(to_iso8601(asked.logical_time), "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(asked.requested_by, "admin");
  EXPECT_EQ(*reply.json().find("id"), Value(asked.id.text()));
  EXPECT_NE(reply.head.find("Location: /api/v1/runs/" + asked.id.text()), std::string::npos);
}

TEST_F(ApiRuns, SubmitTellsEveryMistakeWithItsPlace) {
  const Reply reply = call("POST", "/api/v1/runs", body("name: x\ntaks: []\n", R"(,"file":"my.yaml")"));
  EXPECT_EQ(reply.status, 422);
  const Value problem = reply.json();
  const ValueList& mistakes = *problem.find("diagnostics")->as_list();
  ASSERT_EQ(mistakes.size(), 2U);
  EXPECT_EQ(*mistakes[1].find("text"),
            Value("my.yaml:2:1: error: unknown key 'taks' in the DAG; did you mean 'tasks'?"));
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiRuns, SubmitRefusesParametersThatDoNotFit) {
  EXPECT_EQ(call("POST", "/api/v1/runs", body(kDemo, R"(,"params":{"yaer":1})")).status, 422);
  EXPECT_EQ(call("POST", "/api/v1/runs", body(kDemo, R"(,"logical_time":"soon")")).status, 422);
  EXPECT_EQ(call("POST", "/api/v1/runs", R"({"file":"x"})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/runs", "not json").status, 400);
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiRuns, TheSameRequestMakesOneRun) {
  const Value params = ValueMap{{"year", 2026}, {"key", Value()}};
  RunRow run = add_run(kDemo);
  run.seq = {++last_run_};
  run.id = backend_->new_run_id();
  run.request_id = "once";
  run.params_json = to_json(params);
  Persist changes;
  changes.runs.push_back(run);
  commit(changes);

  const Reply again = call("POST", "/api/v1/runs", body(kDemo), "Idempotency-Key: once\r\n");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(*again.json().find("id"), Value(run.id.text()));
  EXPECT_EQ(call("POST", "/api/v1/runs", body(kDemo, R"(,"request_id":"once","params":{"year":1})")).status, 409);
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiRuns, PassesOnWhatTheEngineSays) {
  const RunRow run = add_run(kDemo);
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kConflict, "it is over"); };
  const Reply reply = call("POST", "/api/v1/runs/" + run.id.text() + "/cancel");
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(*reply.json().find("detail"), Value("it is over"));
  EXPECT_EQ(std::get<CancelRequested>(backend_->requests().front()).run, run.id);
}

TEST_F(ApiRuns, TriggerTakesTheNewestVersion) {
  add_run(kDemo);
  EXPECT_EQ(call("POST", "/api/v1/dags/demo/runs", R"({"params":{"year":7}})").status, 201);
  EXPECT_EQ(std::get<RunRequested>(backend_->requests().front()).params.front().second, Value(7));
  EXPECT_EQ(call("POST", "/api/v1/dags/dome/runs", "{}").status, 404);
}

TEST_F(ApiRuns, RetryNamesTasks) {
  const RunRow run = add_run(kDemo, RunState::kFailed);
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/retry", R"({"tasks":["train"]})").status, 200);
  const auto asked = std::get<RetryRequested>(backend_->requests().front());
  EXPECT_EQ(asked.run, run.id);
  EXPECT_EQ(asked.tasks, std::vector<std::string>{"train"});
  ASSERT_NE(asked.stored, nullptr);  // What the engine has let go of is read on the API's thread.
  EXPECT_EQ(asked.stored->row.seq, run.seq);
  EXPECT_EQ(asked.stored->dag->name, "demo");
}

TEST_F(ApiRuns, AsksAgainForARunThatChangedBeforeTheEngineHeardOfIt) {
  add_run(kDemo, RunState::kFailed);
  std::atomic<int> asked = 0;
  backend_->answer = [&](const Event&) -> Result<Value> {
    if (++asked < 3) return fail(ErrorCode::kConflict, "the run changed at this very moment; ask again");
    return Value(ValueMap{});
  };
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/retry").status, 200);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/tasks/train/mark", R"({"state":"success"})").status, 200);
}

TEST_F(ApiRuns, AsksFiveTimesAtMost) {
  add_run(kDemo, RunState::kFailed);
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kConflict, "ask again"); };
  EXPECT_EQ(call("POST", "/api/v1/runs/latest/retry").status, 409);
  EXPECT_EQ(backend_->requests().size(), 5U);
}

TEST_F(ApiRuns, AsksOnceForARunThatStandsAsItDid) {
  add_run(kDemo, RunState::kRunning);
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kConflict, "it is being stopped"); };
  const Reply reply = call("POST", "/api/v1/runs/latest/retry");
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(*reply.json().find("detail"), Value("it is being stopped"));
  EXPECT_EQ(backend_->requests().size(), 1U);
}

TEST_F(ApiRuns, ListsRunsInPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), add_run(kDemo).id.text());
  const Value first = get("/api/v1/runs?limit=3").json();
  EXPECT_EQ(names_in(first, "id"), std::vector<std::string>(ids.begin(), ids.begin() + 3));
  const Value second = get("/api/v1/runs?limit=3&after=" + to_text(*first.find("next"))).json();
  EXPECT_EQ(names_in(second, "id"), std::vector<std::string>(ids.begin() + 3, ids.end()));
  EXPECT_TRUE(second.find("next")->is_null());
  EXPECT_TRUE(get("/api/v1/runs?state=failed").json().find("items")->as_list()->empty());
  for (const char* query : {"state=no", "limit=0", "limit=1001", "limit=x", "after=-1"}) {
    EXPECT_EQ(get(std::string("/api/v1/runs?") + query).status, 400) << query;
  }
}

TEST_F(ApiRuns, FindsARunByItsBeginning) {
  const RunRow run = add_run(kDemo);
  EXPECT_EQ(get("/api/v1/runs/" + run.id.text()).status, 200);
  EXPECT_EQ(*get("/api/v1/runs/" + run.id.text().substr(0, 20)).json().find("id"), Value(run.id.text()));
  EXPECT_EQ(get("/api/v1/runs/" + run.id.text().substr(0, 3)).status, 404);
  EXPECT_EQ(get("/api/v1/runs/nobody").status, 404);
}

TEST_F(ApiRuns, CountsInstancesWithoutARowAsNone) {
  const RunRow run = add_run(kDemo);
  set_task(run, 0, TaskState::kRunning);
  EXPECT_EQ(*get("/api/v1/runs/latest").json().find("counts"), Value(ValueMap{{"none", 3}, {"running", 1}}));
}

TEST_F(ApiRuns, ListsTaskInstancesByNameWithAndWithoutRows) {
  const RunRow run = add_run(kDemo);
  set_task(run, 1, TaskState::kRunning);
  const Value all = get("/api/v1/runs/latest/tasks").json();
  EXPECT_EQ(names_in(all, "name"), (std::vector<std::string>{"first", "train[a]", "train[b/c]", "train[d]"}));
  EXPECT_EQ(names_in(all, "state"), (std::vector<std::string>{"none", "running", "none", "none"}));
  EXPECT_EQ(names_in(get("/api/v1/runs/latest/tasks?state=running").json(), "name"),
            std::vector<std::string>{"train[a]"});
  EXPECT_EQ(names_in(get("/api/v1/runs/latest/tasks?state=none").json(), "name"),
            (std::vector<std::string>{"first", "train[b/c]", "train[d]"}));
  const Value page = get("/api/v1/runs/latest/tasks?limit=2").json();
  EXPECT_EQ(names_in(page, "name"), (std::vector<std::string>{"first", "train[a]"}));
  const Value rest = get("/api/v1/runs/latest/tasks?limit=2&after=" + to_text(*page.find("next"))).json();
  EXPECT_EQ(names_in(rest, "name"), (std::vector<std::string>{"train[b/c]", "train[d]"}));
  EXPECT_TRUE(rest.find("next")->is_null());
}

TEST_F(ApiRuns, RefusesAFilterThatIsMisspelt) {
  const auto detail = [&](const std::string& path) {
    const Reply reply = get(path);
    EXPECT_EQ(reply.status, 400) << path;
    return to_text(*reply.json().find("detail"));
  };
  EXPECT_EQ(detail("/api/v1/runs?stat=failed"), "there is no query parameter 'stat'; did you mean 'state'?");
  EXPECT_EQ(detail("/api/v1/runs?limit=1&offset=2"),
            "there is no query parameter 'offset'; known are dag, state, backfill, since, until, limit, after");
  EXPECT_EQ(detail("/api/v1/dags?limit=1"), "there is no query parameter 'limit': this path takes none");
  EXPECT_EQ(get("/healthz?now=1").status, 200);
  EXPECT_EQ(get("/metrics?collect=all").status, 200);
}

TEST_F(ApiRuns, ShowsATaskWithAllItsAttempts) {
  const RunRow run = add_run(kDemo);
  TaskRow row = set_task(run, 2, TaskState::kRunning);
  Persist changes;
  const AttemptEnd failed{.reason = Reason::kExitCode, .exit_code = 3, .started_at = kStart, .ended_at = kEnd};
  changes.workers.push_back({.seq = {7}, .incarnation = std::string(32, 'a'), .name = "north-1", .host = "north"});
  changes.attempts.push_back({row.key, row.attempt, 1, {7}, kStart, failed});
  row.attempt = {500};
  row.attempt_no = 2;
  changes.tasks.push_back(
      {.row = row, .expect_row = true, .expect_state = TaskState::kRunning, .expect_attempt = {102}});
  commit(changes);
  const Value task = get("/api/v1/runs/latest/tasks/train%5Bb%2Fc%5D").json();
  const ValueList& attempts = *task.find("attempts")->as_list();
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(*attempts[0].find("state"), Value("running"));
  EXPECT_EQ(*attempts[1].find("reason"), Value("exit_code"));
  EXPECT_EQ(*attempts[1].find("exit_code"), Value(3));
  EXPECT_EQ(*attempts[1].find("worker_name"), Value("north-1"));
  EXPECT_EQ(*attempts[1].find("worker_host"), Value("north"));
  EXPECT_EQ(*task.find("item"), Value("b/c"));
}

TEST_F(ApiRuns, HelpsWithTheNameOfATask) {
  add_run(kDemo);
  const auto detail = [&](const std::string& task) {
    const Reply reply = get("/api/v1/runs/latest/tasks/" + task);
    return fmt::format("{} {}", reply.status, to_text(*reply.json().find("detail")));
  };
  EXPECT_EQ(detail("frist"), "404 the run has no task 'frist'; did you mean 'first'?");
  EXPECT_EQ(detail("train"), "404 task 'train' has 3 instances; name one of them, such as 'train[a]'");
  EXPECT_EQ(get("/api/v1/runs/latest/tasks/%233").status, 200) << "#3 is the fourth instance";
  EXPECT_EQ(get("/api/v1/runs/latest/tasks/%234").status, 404);
}

TEST_F(ApiRuns, ReadsTheLogOfAnAttemptThatEndedFromTheObjectStore) {
  const RunRow run = add_run(kDemo);
  const TaskRow row = set_task(run, 2, TaskState::kSuccess, {.started_at = kStart, .ended_at = kEnd});
  const std::string text = std::string(3'000'000, 'x') + "<script>\n";
  put_object(attempt_prefix("demo", run.id, "train", "b/c", row.attempt) + "log", text);
  const Reply reply = get(log_path(run, "train%5Bb%2Fc%5D"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body.size(), text.size());
  EXPECT_TRUE(reply.body == text);
  EXPECT_NE(reply.head.find("Content-Type: text/plain"), std::string::npos);
  EXPECT_NE(reply.head.find("nosniff"), std::string::npos);
  EXPECT_EQ(get(log_path(run, "train%5Bb%2Fc%5D", "1")).body.size(), text.size());
  EXPECT_EQ(get(log_path(run, "train%5Bb%2Fc%5D") + "?offset=3000000").body, "<script>\n");
  EXPECT_EQ(get(log_path(run, "train%5Bb%2Fc%5D") + "?offset=4000000").body, "");
}

TEST_F(ApiRuns, AnAttemptThatWroteNothingHasAnEmptyLog) {
  const RunRow run = add_run(kDemo);
  set_task(run, 0, TaskState::kSuccess, {.started_at = kStart, .ended_at = kEnd});
  const Reply reply = get(log_path(run, "first"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(get(log_path(run, "first", "7")).status, 404);
  EXPECT_EQ(get(log_path(run, "first", "0")).status, 404);
  EXPECT_EQ(get(log_path(run, "first") + "?follow=maybe").status, 400);
}

TEST_F(ApiRuns, FollowsARunningAttemptToItsEnd) {
  const RunRow run = add_run(kDemo);
  const TaskRow row = set_task(run, 0, TaskState::kRunning);
  logs_->append(row.attempt, 0, "one\n", kStart);
  EXPECT_EQ(get(log_path(run, "first")).body, "one\n") << "what is there by now";
  EXPECT_EQ(get(log_path(run, "first") + "?offset=1").body, "ne\n");

  Peer peer(server_->url());
  peer.send(head_of("GET", log_path(run, "first") + "?follow"));
  std::string seen = peer.read_all(milliseconds(300));
  EXPECT_NE(seen.find("one\n"), std::string::npos);
  logs_->append(row.attempt, 4, "two\n", kStart);
  seen += peer.read_all(milliseconds(300));
  EXPECT_NE(seen.find("two\n"), std::string::npos);
  logs_->append(row.attempt, 8, "three\n", kStart);
  logs_->finish(row.attempt);
  seen += peer.read_all();
  EXPECT_EQ(parse_reply(seen).body, "one\ntwo\nthree\n");
}

TEST_F(ApiRuns, SaysWhatALiveLogLeftOut) {
  const RunRow run = add_run(kDemo);
  const TaskRow row = set_task(run, 0, TaskState::kRunning);
  logs_->append(row.attempt, 100, "tail\n", kStart);
  EXPECT_EQ(get(log_path(run, "first")).body,
            "[100 bytes are left out here; the whole log is kept when the attempt ends]\ntail\n");
}

TEST_F(ApiRuns, KeepsWhatALostWorkerHadSent) {
  const RunRow run = add_run(kDemo);
  const AttemptEnd lost{.reason = Reason::kLostWorker, .started_at = kStart, .ended_at = kEnd};
  const TaskRow row = set_task(run, 0, TaskState::kFailed, lost);
  logs_->append(row.attempt, 0, "last words\n", kStart);
  EXPECT_EQ(get(log_path(run, "first") + "?follow").body, "last words\n");
}

TEST_F(ApiRuns, WatchesARunToItsEnd) {
  RunRow run = add_run(kDemo);
  set_task(run, 0, TaskState::kRunning);
  Peer peer(server_->url());
  peer.send(head_of("GET", "/api/v1/runs/" + run.id.text() + "/watch"));
  std::string seen = peer.read_all(milliseconds(300));
  EXPECT_NE(seen.find(R"("counts":{"none":3,"running":1})"), std::string::npos) << seen;

  Persist changes;
  TaskRow row{.key = {run.seq, 0}, .state = TaskState::kSuccess, .attempt = {100}, .attempt_no = 1};
  changes.tasks.push_back(
      {.row = row, .expect_row = true, .expect_state = TaskState::kRunning, .expect_attempt = {100}});
  commit(changes);
  seen += peer.read_all(milliseconds(500));

  run.state = RunState::kSuccess;
  run.ended_at = kEnd;
  Persist ended;
  ended.run_changes.push_back({run, RunState::kRunning});
  commit(ended);
  seen += peer.read_all();
  const std::string body = parse_reply(seen).body;
  std::vector<std::string> lines;
  for (std::size_t at = 0, end; (end = body.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(body.substr(at, end - at));
  }
  ASSERT_EQ(lines.size(), 3U) << body;
  EXPECT_NE(lines[1].find(R"("tasks":[{"index":0,"name":"first")"), std::string::npos) << "only what changed";
  EXPECT_EQ(lines[1].find("train[a]"), std::string::npos);
  EXPECT_NE(lines[2].find(R"("state":"success")"), std::string::npos);
}

TEST_F(ApiRuns, ExplainsARunThatIsOverFromItsRows) {
  RunRow run = add_run(kDemo, RunState::kFailed);
  set_task(run, 0, TaskState::kFailed,
           {.reason = Reason::kExitCode, .exit_code = 3, .ended_at = kEnd, .message = "no data"});
  set_task(run, 1, TaskState::kUpstreamFailed, {.reason = Reason::kUpstream, .ended_at = kEnd});
  const Value told = get("/api/v1/runs/latest/explain").json();
  EXPECT_EQ(to_json(*told.find("tasks")),
            R"([{"task":"first","state":"failed","attempt":1,"reason":"exit code 3: no data"},)"
            R"({"task":"train[a]","state":"upstream_failed","attempt":1,"reason":"upstream"}])");
  EXPECT_EQ(get("/api/v1/runs/latest/explain?task=train").json().find("tasks")->as_list()->size(), 1U);
}

TEST_F(ApiRuns, ShowsADagWithItsText) {
  const RunRow run = add_run(kDemo);
  EXPECT_EQ(*get("/api/v1/dags/demo").json().find("source"), Value(kDemo));
  EXPECT_EQ(get("/api/v1/dags/demo?version=" + run.dag_version).status, 200);
  EXPECT_EQ(get("/api/v1/dags/other?version=" + run.dag_version).status, 404);
  EXPECT_EQ(names_in(get("/api/v1/dags").json(), "name"), std::vector<std::string>{"demo"});
}

}  // namespace
}  // namespace chappe::api
