// What the scheduler says: SchedulerEncoder to SchedulerDecoder.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "tests/unit/proto/wire/wire_test.h"

namespace chappe::wire {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

std::shared_ptr<const RunContext> full_run() {
  RunContext run{.seq = {9},
                 .id = {},
                 .dag = "section_coder",
                 .dag_version = std::string(64, 'b'),
                 .params_json = R"({"a":1})",
                 .logical_time = {1},
                 .interval_start = {-2},
                 .interval_end = {3},
                 .generation = 4,
                 .secret_params = {"token", "key"}};
  for (std::uint8_t i = 0; i < 16; ++i) run.id.bytes[i] = static_cast<std::uint8_t>(250 + i);
  return std::make_shared<const RunContext>(run);
}

DataExpectations csv_with_ids() {
  return {.format = DataFormat::kCsv, .rows = {1, {}}, .columns = {{.name = "id", .unique = true}}};
}

std::shared_ptr<const ResolvedWork> full_work() {
  ResolvedWork work;
  work.kind = TaskKind::kRun;
  work.script = "set -eu\necho é\n";
  work.shell = "/bin/bash";
  work.command = {"a", "", "b c"};
  work.env = {{"B", "2"}, {"A", ""}};
  work.secrets = {{.name = "P", .source = SecretRef::Source::kEnv, .place = "PGPASSWORD"},
                  {.name = "T",
                   .source = SecretRef::Source::kVault,
                   .place = "team/ml",
                   .key = "token",
                   .mount = "kv",
                   .as_file = true}};
  work.store_credentials = false;
  work.inputs = {{.name = "parts", .path = "in/parts", .collection = true, .objects = {}}};
  work.inputs[0].objects.push_back({.name = "parts",
                                    .path = "0.csv",
                                    .key = "runs/x",
                                    .size = 12,
                                    .sha256 = std::string(64, 'c'),
                                    .packed = true,
                                    .asset = {77},
                                    .producer = {},
                                    .producer_attempt = {}});
  work.inputs[0].objects.push_back({.name = "parts", .path = "1.json", .text = "[1]", .size = 3});
  work.inputs[0].objects.back().sha256 = std::string(64, 'd');
  work.inputs[0].objects.push_back({.name = "parts", .path = "2.csv"});
  work.inputs[0].objects.back().s3 = "s3://bucket/2.csv";
  work.inputs[0].objects.back().may_be_absent = true;
  work.service =
      ServiceSpec{.ready = ServiceSpec::Ready::kFile, .ready_at = "up", .port = 7, .ready_timeout = Duration(9)};
  work.sidecars = {{.name = "db",
                    .image = "postgres",
                    .command = {"a"},
                    .args = {"b", "c"},
                    .env = {{"N", "v"}},
                    .resources = {.cpu_milli = 5, .memory_bytes = 6},
                    .container = {.user = "9", .pull = ContainerOptions::Pull::kNever, .read_only = false},
                    .port = 5432,
                    .ready_path = "/up",
                    .ready_timeout = Duration(10)},
                   {.name = "idle", .image = "busybox"}};
  work.inputs[0].mode = 0750;
  work.inputs[0].unpack = Unpack::kNever;
  work.outputs = {{.name = "o",
                   .path = "out",
                   .required = false,
                   .non_empty = true,
                   .pack = Pack::kTarZst,
                   .asset_uri = "u",
                   .asset_name = "n",
                   .immutable = true,
                   .sha256 = std::string(64, 'e'),
                   .schema = std::make_shared<const DataExpectations>(csv_with_ids())}};
  work.values = {
      {.name = "v", .file = "f", .json_path = "$.a[0]", .default_value = Value(ValueList{1, "x"}), .metric = true},
      {.name = "w", .file = "g"}};
  work.timeout = 90s;
  work.kill_grace = 11s;
  work.resources = {.cpu_milli = 250, .memory_bytes = 1 << 20, .gpus = 1};
  work.image = "debian:12";
  work.container = {.user = "1000:100",
                    .network = ContainerOptions::Network::kHost,
                    .pull = ContainerOptions::Pull::kNever,
                    .read_only = false};
  return std::make_shared<const ResolvedWork>(work);
}

std::shared_ptr<const ResolvedWork> request_work() {
  ResolvedHttp http{.method = "POST", .success = "response.status == 201", .redirects_max = 3};
  http.url = {{"https://example.org/", "", false}, {"", "PATH", false}};
  http.headers = {{"accept", {}}, {"authorization", {{"Bearer ", "", false}, {"", "TOKEN", false}}}};
  http.body = {{"{\"a\":\"", "", false}, {"", "TOKEN", true}, {"\"}", "", false}};
  ResolvedWork work{.kind = TaskKind::kHttp};
  work.http = std::make_shared<const ResolvedHttp>(std::move(http));
  return std::make_shared<const ResolvedWork>(std::move(work));
}

std::shared_ptr<const ResolvedWork> check_work() {
  DataCheck check{.sources = {"ingest.rows", "asset:s3://a/b.csv@champion"}};
  check.data.push_back({0, csv_with_ids()});
  check.drift.push_back(
      {0,
       1,
       {.current_format = DataFormat::kCsv, .baseline_format = DataFormat::kTsv, .columns = {"age"}, .max = 0.2}});
  ResolvedWork work{.kind = TaskKind::kData};
  work.inputs = {{.name = "data_1", .path = "data/1"}, {.name = "data_2", .path = "data/2"}};
  work.check = std::make_shared<const DataCheck>(std::move(check));
  return std::make_shared<const ResolvedWork>(std::move(work));
}

void expect_equal(const ResolvedWork& a, const ResolvedWork& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.script, b.script);
  EXPECT_EQ(a.shell, b.shell);
  EXPECT_EQ(a.command, b.command);
  EXPECT_EQ(a.env, b.env);
  EXPECT_EQ(a.secrets, b.secrets);
  EXPECT_EQ(a.store_credentials, b.store_credentials);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.timeout, b.timeout);
  EXPECT_EQ(a.kill_grace, b.kill_grace);
  EXPECT_EQ(a.resources, b.resources);
  EXPECT_EQ(a.image, b.image);
  EXPECT_EQ(a.container, b.container);
  EXPECT_EQ(a.service, b.service);
  EXPECT_EQ(a.sidecars, b.sidecars);
  ASSERT_EQ(a.inputs.size(), b.inputs.size());
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    EXPECT_EQ(a.inputs[i].name, b.inputs[i].name);
    EXPECT_EQ(a.inputs[i].path, b.inputs[i].path);
    EXPECT_EQ(a.inputs[i].collection, b.inputs[i].collection);
    EXPECT_EQ(a.inputs[i].objects, b.inputs[i].objects);
    EXPECT_EQ(a.inputs[i].mode, b.inputs[i].mode);
    EXPECT_EQ(a.inputs[i].unpack, b.inputs[i].unpack);
  }
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (std::size_t i = 0; i < a.outputs.size(); ++i) {
    EXPECT_EQ(a.outputs[i].name, b.outputs[i].name);
    EXPECT_EQ(a.outputs[i].path, b.outputs[i].path);
    EXPECT_EQ(a.outputs[i].required, b.outputs[i].required);
    EXPECT_EQ(a.outputs[i].non_empty, b.outputs[i].non_empty);
    EXPECT_EQ(a.outputs[i].pack, b.outputs[i].pack);
    EXPECT_EQ(a.outputs[i].asset_uri, b.outputs[i].asset_uri);
    EXPECT_EQ(a.outputs[i].asset_name, b.outputs[i].asset_name);
    EXPECT_EQ(a.outputs[i].immutable, b.outputs[i].immutable);
    EXPECT_EQ(a.outputs[i].sha256, b.outputs[i].sha256);
  }
}

Assignment assignment(std::uint32_t index, std::shared_ptr<const RunContext> run,
                      std::shared_ptr<const ResolvedWork> work) {
  return {.attempt = {1000 + index},
          .key = {.run = {9}, .index = index},
          .attempt_no = 2,
          .task = "train",
          .map_key = "k",
          .item_json = R"({"x":1})",
          .run = std::move(run),
          .work = std::move(work)};
}

/// All that `messages` say, taken together as a worker takes them.
WorkerSend joined(const std::vector<std::string>& messages) {
  SchedulerDecoder decoder;
  WorkerSend all;
  for (const std::string& message : messages) {
    EXPECT_LE(message.size(), kMessageMax);
    Result<WorkerSend> one = decoder.decode(bytes_of(message));
    EXPECT_TRUE(one.has_value()) << one.error().message;
    if (!one) continue;
    EXPECT_EQ(one->batch != 0, &message == &messages.back()) << "only the last carries the batch's number";
    if (one->batch != 0) all.batch = one->batch;
    all.acknowledged.insert(all.acknowledged.end(), one->acknowledged.begin(), one->acknowledged.end());
    all.cancel.insert(all.cancel.end(), one->cancel.begin(), one->cancel.end());
    all.assign.insert(all.assign.end(), one->assign.begin(), one->assign.end());
  }
  return all;
}

WorkerSend assigning(const std::vector<std::shared_ptr<const ResolvedWork>>& works) {
  WorkerSend send{.to = {1}, .batch = 4};
  for (const auto& work : works) {
    send.assign.push_back(assignment(static_cast<std::uint32_t>(send.assign.size()), full_run(), work));
  }
  return send;
}

/// The same, as a worker takes it.
WorkerSend carried(const WorkerSend& send) {
  SchedulerEncoder encoder;
  WorkerSend back = joined(encoder.encode(send));
  EXPECT_EQ(encoder.left_out(), 0u);
  EXPECT_THAT(back.assign, SizeIs(send.assign.size()));
  back.assign.resize(send.assign.size());
  return back;
}

/// Why no worker takes such a work; "": it does.
std::string why_refused(ResolvedWork work) {
  SchedulerEncoder encoder;
  const auto messages = encoder.encode(assigning({std::make_shared<const ResolvedWork>(std::move(work))}));
  const Result<WorkerSend> back = SchedulerDecoder().decode(bytes_of(messages.at(0)));
  return back ? "" : back.error().message;
}

TEST(SchedulerMessage, CarriesARequestWhole) {
  const WorkerSend back = carried(assigning({request_work(), full_work()}));
  EXPECT_EQ(back.assign[0].work->kind, TaskKind::kHttp);
  ASSERT_NE(back.assign[0].work->http, nullptr);
  EXPECT_EQ(*back.assign[0].work->http, *request_work()->http);
  EXPECT_EQ(back.assign[1].work->http, nullptr);
}

TEST(SchedulerMessage, CarriesACheckWhole) {
  const WorkerSend back = carried(assigning({check_work(), full_work()}));
  EXPECT_EQ(back.assign[0].work->kind, TaskKind::kData);
  ASSERT_NE(back.assign[0].work->check, nullptr);
  EXPECT_EQ(*back.assign[0].work->check, *check_work()->check);
  EXPECT_EQ(back.assign[1].work->check, nullptr);
  ASSERT_NE(back.assign[1].work->outputs[0].schema, nullptr);
  EXPECT_EQ(*back.assign[1].work->outputs[0].schema, csv_with_ids());
}

TEST(SchedulerMessage, RefusesACheckThatIsNone) {
  const auto error_of = [](const std::function<void(ResolvedWork&)>& change) {
    ResolvedWork work = *check_work();
    change(work);
    return why_refused(std::move(work));
  };
  EXPECT_EQ(error_of([](ResolvedWork&) {}), "");
  EXPECT_EQ(error_of([](ResolvedWork& work) { work.check = nullptr; }),
            "a work's kind and what it measures do not go together");
  EXPECT_EQ(error_of([](ResolvedWork& work) { work.kind = TaskKind::kRun; }),
            "a work's kind and what it measures do not go together");
  EXPECT_EQ(error_of([](ResolvedWork& work) { work.inputs.pop_back(); }), "what a work measures is none");
  EXPECT_EQ(error_of([](ResolvedWork& work) {
              work.outputs = {{.name = "o", .path = "o", .schema = std::make_shared<const DataExpectations>()}};
            }),
            "what is expected of an output is none");
}

TEST(SchedulerMessage, RefusesARequestThatIsNone) {
  const auto changed = [](ResolvedHttp http) {
    ResolvedWork work{.kind = TaskKind::kHttp};
    work.http = std::make_shared<const ResolvedHttp>(std::move(http));
    return work;
  };
  EXPECT_EQ(why_refused({.kind = TaskKind::kHttp}), "a work's kind and its request do not go together");
  ResolvedWork program = *request_work();
  program.kind = TaskKind::kRun;
  EXPECT_EQ(why_refused(program), "a work's kind and its request do not go together");
  ResolvedHttp http = *request_work()->http;
  http.redirects_max = kHttpRedirectsMax + 1;
  EXPECT_EQ(why_refused(changed(http)), "a request follows too many redirects");
  http = *request_work()->http;
  http.headers.resize(kHttpHeadersMax);
  EXPECT_EQ(why_refused(changed(http)), "");
  http.headers.resize(kHttpHeadersMax + 1);
  EXPECT_EQ(why_refused(changed(http)), "a request has too many headers");
  http = *request_work()->http;
  http.url[1].text = "both";
  EXPECT_EQ(why_refused(changed(http)), "a piece of a request is both a text and a secret");
}

TEST(SchedulerMessage, CarriesAWelcomeWhole) {
  SchedulerEncoder encoder;
  WorkerSend send{.to = {1}, .batch = 1};
  send.welcome = WorkerSend::Welcome{.worker = {3}, .epoch = 4, .heartbeat = 5s, .lease = 60s};
  send.hello_please = true;
  const std::vector<std::string> messages = encoder.encode(send);
  ASSERT_THAT(messages, SizeIs(1));
  const WorkerSend back = decoded_send(messages[0]);
  ASSERT_TRUE(back.welcome.has_value());
  EXPECT_EQ(back.welcome->worker, WorkerSeq{3});
  EXPECT_EQ(back.welcome->epoch, 4u);
  EXPECT_EQ(back.welcome->heartbeat, 5s);
  EXPECT_EQ(back.welcome->lease, 60s);
  EXPECT_TRUE(back.hello_please);
}

TEST(SchedulerMessage, SaysNothingInOneMessageToo) {
  SchedulerEncoder encoder;
  const std::vector<std::string> messages = encoder.encode({.to = {1}, .batch = 6});
  ASSERT_THAT(messages, SizeIs(1));
  const WorkerSend back = decoded_send(messages[0]);
  EXPECT_EQ(back.batch, 6u);
  EXPECT_FALSE(back.welcome.has_value());
  EXPECT_FALSE(back.hello_please);
  EXPECT_THAT(back.assign, IsEmpty());
}

TEST(SchedulerMessage, CarriesAcknowledgementsAndCancelsWhole) {
  SchedulerEncoder encoder;
  WorkerSend send{.to = {1}, .batch = 1};
  send.acknowledged = {{1}, {~0ULL}};
  send.cancel = {{.what = held(1, 2, 3), .forget = true, .reason = Reason::kTimeout}, {.what = held(4, 5, 6)}};
  const WorkerSend back = joined(encoder.encode(send));
  EXPECT_EQ(back.acknowledged, send.acknowledged);
  ASSERT_THAT(back.cancel, SizeIs(2));
  EXPECT_EQ(back.cancel[0].what, held(1, 2, 3));
  EXPECT_TRUE(back.cancel[0].forget);
  EXPECT_EQ(back.cancel[0].reason, Reason::kTimeout);
  EXPECT_EQ(back.cancel[1].reason, Reason::kCancelled);
}

TEST(SchedulerMessage, CarriesAnAssignmentWhole) {
  WorkerSend send{.to = {1}, .batch = 1};
  send.assign.push_back(assignment(7, full_run(), full_work()));
  const Assignment one = carried(send).assign[0];
  EXPECT_EQ(one.attempt, AttemptId{1007});
  EXPECT_EQ(one.key, (InstanceKey{RunSeq{9}, 7}));
  EXPECT_EQ(one.attempt_no, 2);
  EXPECT_EQ(one.task, "train");
  EXPECT_EQ(one.map_key, "k");
  EXPECT_EQ(one.item_json, R"({"x":1})");
  EXPECT_EQ(one.run->seq, full_run()->seq);
  EXPECT_EQ(one.run->id, full_run()->id);
  EXPECT_EQ(one.run->dag, full_run()->dag);
  EXPECT_EQ(one.run->dag_version, full_run()->dag_version);
  EXPECT_EQ(one.run->params_json, full_run()->params_json);
  EXPECT_EQ(one.run->logical_time, full_run()->logical_time);
  EXPECT_EQ(one.run->interval_start, full_run()->interval_start);
  EXPECT_EQ(one.run->interval_end, full_run()->interval_end);
  EXPECT_EQ(one.run->generation, full_run()->generation);
  EXPECT_EQ(one.run->secret_params, full_run()->secret_params);
  expect_equal(*one.work, *full_work());
}

TEST(SchedulerMessage, TellsWhatAssignmentsShareOnce) {
  SchedulerEncoder encoder;
  WorkerSend send{.to = {1}, .batch = 1};
  const auto run = full_run();
  const std::array works{full_work(), full_work()};
  for (std::uint32_t i = 0; i < 1000; ++i) send.assign.push_back(assignment(i, run, works[i % 2]));
  const std::vector<std::string> messages = encoder.encode(send);
  EXPECT_THAT(messages, SizeIs(1));
  EXPECT_LT(messages[0].size(), 60'000u);
  const WorkerSend back = joined(messages);
  ASSERT_THAT(back.assign, SizeIs(1000));
  EXPECT_EQ(back.assign[0].run, back.assign[999].run);
  EXPECT_EQ(back.assign[0].work, back.assign[998].work);
  EXPECT_NE(back.assign[0].work, back.assign[1].work);
}

TEST(SchedulerMessage, SplitsWhatIsTooMuchForOneMessage) {
  SchedulerEncoder encoder;
  WorkerSend send{.to = {1}, .batch = 3};
  for (std::uint64_t i = 1; i <= 50'000; ++i) send.acknowledged.push_back({i});
  for (std::uint32_t i = 1; i <= 50'000; ++i) send.cancel.push_back({.what = held(1, i, i)});
  for (std::uint32_t i = 0; i < 5'000; ++i) send.assign.push_back(assignment(i, full_run(), full_work()));
  const std::vector<std::string> messages = encoder.encode(send);
  EXPECT_GT(messages.size(), 5u);
  for (const std::string& message : messages) EXPECT_LT(message.size(), kMessageMax * 3 / 4);
  const WorkerSend back = joined(messages);
  EXPECT_EQ(back.batch, 3u);
  EXPECT_EQ(back.acknowledged, send.acknowledged);
  ASSERT_THAT(back.cancel, SizeIs(50'000));
  ASSERT_THAT(back.assign, SizeIs(5'000));
  EXPECT_EQ(back.cancel.back().what, held(1, 50'000, 50'000));
  for (std::uint32_t i = 0; i < 5'000; ++i) ASSERT_EQ(back.assign[i].key.index, i);
  expect_equal(*back.assign.back().work, *full_work());
}

std::shared_ptr<const ResolvedWork> gathering_work(std::size_t objects) {
  ResolvedWork work = *full_work();
  work.inputs[0].objects.resize(objects, work.inputs[0].objects[0]);
  for (std::size_t i = 0; i < objects; ++i) work.inputs[0].objects[i].size = i;
  return std::make_shared<const ResolvedWork>(work);
}

TEST(SchedulerMessage, AWorkThatReadsThousandsOfObjectsGoesOutInParts) {
  const WorkerSend send = assigning({full_work(), gathering_work(100'000), full_work()});
  EXPECT_GT(SchedulerEncoder().encode(send).size(), 5u);
  const WorkerSend back = carried(send);
  expect_equal(*back.assign[0].work, *full_work());
  expect_equal(*back.assign[1].work, *gathering_work(100'000));
  expect_equal(*back.assign[2].work, *full_work());
}

TEST(SchedulerMessage, AWorkThatNoMessageCanCarryIsLeftOutAndCounted) {
  SchedulerEncoder encoder;
  ResolvedWork long_script = *full_work();
  long_script.script.assign(kWholeMax, 'x');
  const auto script = std::make_shared<const ResolvedWork>(long_script);
  const WorkerSend back = joined(encoder.encode(assigning({gathering_work(kWholeEntriesMax), script, full_work()})));
  ASSERT_THAT(back.assign, SizeIs(1));
  EXPECT_EQ(back.assign[0].key.index, 2u);
  EXPECT_EQ(encoder.left_out(), 2u);
}

TEST(SchedulerMessage, PartsOfTwoMessagesDoNotMix) {
  const std::vector<std::string> messages = SchedulerEncoder().encode(assigning({gathering_work(50'000)}));
  ASSERT_GE(messages.size(), 3u);
  SchedulerDecoder decoder;
  EXPECT_TRUE(decoder.decode(bytes_of(messages[0])).has_value());
  EXPECT_FALSE(decoder.decode(bytes_of(messages[2])).has_value()) << "one is missing";
  EXPECT_FALSE(decoder.decode(bytes_of(messages[1])).has_value()) << "the beginning is forgotten";
  EXPECT_TRUE(decoder.decode(bytes_of(messages[0])).has_value());
  Result<WorkerSend> last = WorkerSend{};
  for (const std::string& message : messages) last = decoder.decode(bytes_of(message));  // From the beginning again.
  ASSERT_TRUE(last.has_value());
  EXPECT_THAT(last->assign, SizeIs(1));
}

TEST(SchedulerMessage, AnInputWithoutAHashIsCarriedSoThatOnlyItsAttemptFails) {
  ResolvedWork work = *full_work();
  work.inputs[0].objects[0].sha256 = "corrupt";
  const WorkerSend back = carried(assigning({std::make_shared<const ResolvedWork>(work)}));
  EXPECT_EQ(back.assign[0].work->inputs[0].objects[0].sha256, "");
}

}  // namespace
}  // namespace chappe::wire
