// What a worker says: WorkerEncoder to WorkerDecoder.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <limits>
#include <memory>

#include "proto/chappe/v1/worker.pb.h"
#include "tests/unit/proto/wire/wire_test.h"

namespace chappe::wire {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

WorkerHello full_hello() {
  return {.incarnation = "0123456789abcdef0123456789abcdef",
          .number = ~0ULL,
          .name = "w1",
          .host = "tower",
          .capacity = {.cpu_milli = 1500, .memory_bytes = 1ULL << 40, .gpus = 3},
          .noop_depth = kDepthMax,
          .prefetch = 7,
          .labels = {{"zone", "b"}, {"arch", ""}},
          .taints = {"gpu", "slow"},
          .containers = true,
          .held = {held(1, 2, 3), held(0xffffffff, 0xffffffff, ~0ULL)}};
}

AttemptFinished full_finish() {
  AttemptOutputs outputs;
  outputs.objects.push_back({.name = "model",
                             .key = "runs/d/r/t/a/model é",
                             .size = std::numeric_limits<std::int64_t>::max(),
                             .sha256 = std::string(62, 'a') + "0f",
                             .packed = true,
                             .etag = "\"e\"",
                             .asset_uri = "models/m",
                             .asset_name = "m",
                             .upload = "u\nu"});
  outputs.objects.push_back({.name = "plain", .key = "k", .size = 0, .sha256 = std::string(64, '0')});
  outputs.values.push_back({.name = "precision", .value = 0.25, .metric = true});
  outputs.values.push_back(
      {.name = "rows", .value = Value(ValueMap{{"a", ValueList{1, "x", Value()}}}), .metric = false});
  InputObject read{.name = "raw", .path = "", .size = 7, .sha256 = std::string(64, 'b')};
  read.s3 = "s3://bucket/é";
  read.etag = "e";
  read.store_version = "v";
  outputs.read.push_back(std::move(read));
  return {.connection = {},
          .what = held(5, 6, 7),
          .end = {.reason = Reason::kExitCode,
                  .exit_code = -3,
                  .started_at = {11},
                  .ended_at = {std::numeric_limits<std::int64_t>::max()},
                  .usage = {.cpu_us = 1, .peak_memory_bytes = 2, .bytes_in = 3, .bytes_out = 4},
                  .message = "exit code 253: naïve",
                  .image = "docker.io/library/debian@sha256:" + std::string(64, 'a')},
          .outputs = std::make_shared<const AttemptOutputs>(outputs)};
}

std::string finish_report(const AttemptFinished& finished) {
  WorkerEncoder encoder;
  encoder.add(finished);
  return encoder.take_report();
}

TEST(WorkerMessage, CarriesAHelloWhole) {
  WorkerEncoder encoder;
  EXPECT_EQ(decoded_event<WorkerJoined>(encoder.hello(full_hello())).hello, full_hello());
}

TEST(WorkerMessage, AHelloNamesWhatItsWorkerKnowsAndANameThatNobodyKnowsMeansNothing) {
  v1::WorkerMessage message;
  ASSERT_TRUE(message.ParseFromString(WorkerEncoder().hello(full_hello())));
  v1::Hello& hello = *message.mutable_hello();
  const auto features = [&] { return decoded_event<WorkerJoined>(message.SerializeAsString()).hello.features; };
  EXPECT_EQ(features(), Features::all());
  hello.clear_features();  // As the first workers.
  EXPECT_TRUE(features().empty());
  hello.add_features("time_travel");
  hello.add_features("http");
  EXPECT_THAT(features().names(), testing::ElementsAre("http"));
}

TEST(WorkerMessage, CarriesAHeartbeatWhole) {
  WorkerEncoder encoder;
  const std::vector<HeldAttempt> all{held(1, 0, 9), held(2, 1, 10)};
  const auto heartbeat = decoded_event<WorkerHeartbeat>(encoder.heartbeat(~0ULL, all));
  EXPECT_EQ(heartbeat.batch_seen, ~0ULL);
  EXPECT_EQ(heartbeat.held, all);
  EXPECT_FALSE(heartbeat.connection);
}

TEST(WorkerMessage, TellsDrainingFromLeaving) {
  WorkerEncoder encoder;
  (void)decoded_event<WorkerDraining>(encoder.goodbye(true));
  (void)decoded_event<WorkerLeft>(encoder.goodbye(false));
}

TEST(WorkerMessage, CarriesLogsWhole) {
  WorkerEncoder encoder;
  const std::vector<LogChunk> chunks{{.what = held(1, 2, 3), .offset = 1ULL << 40, .data = std::string("\xff\0x", 3)},
                                     {.what = held(4, 5, 6), .offset = 0, .data = std::string(kLogChunkMax, 'x')}};
  const WorkerSays says = decoded(encoder.logs(chunks));
  ASSERT_THAT(says.logs, SizeIs(2));
  EXPECT_EQ(says.logs[0].what, chunks[0].what);
  EXPECT_EQ(says.logs[0].offset, chunks[0].offset);
  EXPECT_EQ(says.logs[0].data, chunks[0].data);
  EXPECT_EQ(says.logs[1].data.size(), kLogChunkMax);
}

TEST(WorkerMessage, CarriesAnEndWithItsOutputsWhole) {
  const auto finished = decoded_event<AttemptFinished>(finish_report(full_finish()));
  EXPECT_EQ(finished.what, full_finish().what);
  EXPECT_EQ(finished.end, full_finish().end);
  ASSERT_NE(finished.outputs, nullptr);
  EXPECT_EQ(finished.outputs->objects, full_finish().outputs->objects);
  EXPECT_EQ(finished.outputs->values, full_finish().outputs->values);
  EXPECT_EQ(finished.outputs->read, full_finish().outputs->read);
}

TEST(WorkerMessage, AnEndWithoutOutputsHasNone) {
  const auto finished = decoded_event<AttemptFinished>(
      finish_report({.connection = {}, .what = held(1, 1, 1), .end = {}, .outputs = nullptr}));
  EXPECT_EQ(finished.outputs, nullptr);
  EXPECT_EQ(finished.end, AttemptEnd{});
}

TEST(WorkerMessage, AReportTellsStartsThenEndsThenWhatComesBack) {
  WorkerEncoder encoder;
  EXPECT_EQ(encoder.report_bytes(), 0u);
  encoder.add(AttemptReturned{.connection = {}, .what = held(1, 3, 3)});
  encoder.add(full_finish());
  encoder.add(AttemptStarted{.connection = {}, .what = held(5, 6, 7), .at = {42}});
  EXPECT_GT(encoder.report_bytes(), 0u);
  const WorkerSays says = decoded(encoder.take_report());
  ASSERT_THAT(says.events, SizeIs(3));
  const auto& started = std::get<AttemptStarted>(says.events[0]);
  EXPECT_EQ(started.what, held(5, 6, 7));
  EXPECT_EQ(started.at, WallTime{42});
  EXPECT_EQ(started.port, 0);
  EXPECT_EQ(std::get<AttemptFinished>(says.events[1]).what, held(5, 6, 7));
  EXPECT_EQ(std::get<AttemptReturned>(says.events[2]).what, held(1, 3, 3));
}

TEST(WorkerMessage, CarriesTheAddressOfAService) {
  WorkerEncoder encoder;
  encoder.add(AttemptStarted{{}, held(5, 6, 7), {42}, "10.0.0.1", 65'535});
  const auto started = decoded_event<AttemptStarted>(encoder.take_report());
  EXPECT_EQ(started.host, "10.0.0.1");
  EXPECT_EQ(started.port, 65'535);
}

TEST(WorkerMessage, TakingAReportBeginsTheNext) {
  WorkerEncoder encoder;
  encoder.add(full_finish());
  (void)encoder.take_report();
  EXPECT_EQ(encoder.report_bytes(), 0u);
  EXPECT_THAT(decoded(encoder.take_report()).events, IsEmpty());
}

TEST(WorkerMessage, OtherMessagesLeaveTheReportUnderConstructionAlone) {
  WorkerEncoder encoder;
  encoder.add(full_finish());
  (void)encoder.heartbeat(1, {});
  (void)encoder.hello(full_hello());
  EXPECT_EQ(decoded_event<AttemptFinished>(encoder.take_report()).end, full_finish().end);
}

TEST(WorkerMessage, AReportFilledToItsMarkFitsWhateverCameLast) {
  WorkerEncoder encoder;
  std::size_t count = 0;
  for (; encoder.report_bytes() < kMessageMax / 2 - 1; ++count)
    encoder.add(AttemptReturned{.connection = {}, .what = held(1, 1, 1)});
  AttemptOutputs outputs;
  while (outputs.values.size() < 7)
    outputs.values.push_back({.name = "v", .value = std::string(kInlineValueMax - 2, 'x')});
  encoder.add(AttemptFinished{
      .connection = {}, .what = held(1, 1, 1), .end = {}, .outputs = std::make_shared<AttemptOutputs>(outputs)});
  const std::string report = encoder.take_report();
  EXPECT_LE(report.size(), kMessageMax);
  EXPECT_THAT(decoded(report).events, SizeIs(count + 1));
}

TEST(WorkerMessage, AnEndThatNoMessageCanCarryIsToldWithoutItsOutputs) {
  AttemptOutputs many;
  while (many.values.size() < 9) many.values.push_back({.name = "v", .value = std::string(kInlineValueMax - 2, 'x')});
  AttemptOutputs large;
  large.values.push_back({.name = "v", .value = std::string(kInlineValueMax - 1, 'x')});
  AttemptOutputs entries;
  entries.values.resize(kEntriesMax, {.name = "v", .value = 1, .metric = false});
  for (const AttemptOutputs& outputs : {many, large, entries}) {
    const auto finished =
        decoded_event<AttemptFinished>(finish_report({.connection = {},
                                                      .what = held(1, 1, 1),
                                                      .end = {.ended_at = {5}},
                                                      .outputs = std::make_shared<AttemptOutputs>(outputs)}));
    EXPECT_EQ(finished.end.reason, Reason::kInvalidOutput);
    EXPECT_EQ(finished.end.ended_at, WallTime{5});
    EXPECT_THAT(finished.end.message, HasSubstr("at most"));
    EXPECT_EQ(finished.outputs, nullptr);
  }
}

TEST(WorkerMessage, TextThatIsNoUtf8IsMadeSo) {
  AttemptFinished finished = full_finish();
  finished.outputs = nullptr;
  finished.end.message =
      "a\xff"
      "b\xc3";
  EXPECT_EQ(decoded_event<AttemptFinished>(finish_report(finished)).end.message, "a?b?");
}

TEST(WorkerMessage, AnyBytesOfATaskCanBeReported) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    AttemptOutputs outputs;
    outputs.values.push_back({.name = "v", .value = text, .metric = false});
    AttemptFinished finished = full_finish();
    finished.end.message = text;
    finished.outputs = std::make_shared<AttemptOutputs>(outputs);
    RC_ASSERT(worker_complaint(finish_report(finished)) == "");
  }));
}

TEST(WorkerMessage, ALongMessageIsCutBetweenCharacters) {
  AttemptFinished finished = full_finish();
  finished.end.message = std::string(kEndMessageMax - 1, 'x') + "é";
  EXPECT_EQ(decoded_event<AttemptFinished>(finish_report(finished)).end.message, std::string(kEndMessageMax - 1, 'x'));
}

}  // namespace
}  // namespace chappe::wire
