// Decoders against messages that no encoder of ours would make.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <rapidcheck.h>

#include <functional>

#include "proto/chappe/v1/worker.pb.h"
#include "proto/wire/scan.h"
#include "tests/unit/proto/wire/wire_test.h"

namespace chappe::wire {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using testing::HasSubstr;

v1::WorkerMessage message() {
  v1::WorkerMessage message;
  message.set_protocol(kProtocol);
  return message;
}

void name(v1::Held& held) {
  held.set_row(1ULL << 32);
  held.set_attempt(1);
}

v1::WorkerMessage good_hello() {
  v1::WorkerMessage hello = message();
  hello.mutable_hello()->set_incarnation(std::string(32, 'a'));
  hello.mutable_hello()->set_name("w");
  hello.mutable_hello()->set_host("h");
  return hello;
}

v1::WorkerMessage good_finish() {
  v1::WorkerMessage report = message();
  v1::Finished& finished = *report.mutable_report()->add_finished();
  name(*finished.mutable_what());
  v1::Object& object = *finished.add_objects();
  object.set_name("o");
  object.set_key("k");
  object.set_sha256(std::string(32, 'x'));
  v1::NamedValue& value = *finished.add_values();
  value.set_name("v");
  value.set_json("1");
  return report;
}

v1::Finished& finished_in(v1::WorkerMessage& message) { return *message.mutable_report()->mutable_finished(0); }

/// Complaints about a good hello and a good end after `spoil` changed one thing.
std::string about_hello(const std::function<void(v1::Hello&)>& spoil) {
  v1::WorkerMessage hello = good_hello();
  EXPECT_EQ(worker_complaint(hello.SerializeAsString()), "");
  spoil(*hello.mutable_hello());
  return worker_complaint(hello.SerializeAsString());
}
std::string about_finish(const std::function<void(v1::Finished&)>& spoil) {
  v1::WorkerMessage report = good_finish();
  EXPECT_EQ(worker_complaint(report.SerializeAsString()), "");
  spoil(finished_in(report));
  return worker_complaint(report.SerializeAsString());
}

TEST(HostileWorker, MustSpeakThisProtocol) {
  v1::WorkerMessage hello = good_hello();
  hello.set_protocol(kProtocol + 1);
  EXPECT_THAT(worker_complaint(hello.SerializeAsString()), HasSubstr("protocol version"));
  EXPECT_THAT(worker_complaint(""), HasSubstr("protocol version"));
  EXPECT_THAT(worker_complaint(message().SerializeAsString()), HasSubstr("says nothing"));
}

TEST(HostileWorker, CannotPutAFieldOfAHelloOutOfItsRange) {
  EXPECT_NE(about_hello([](auto& hello) { hello.set_incarnation("short"); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.set_incarnation(std::string(32, 'g')); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.set_name(""); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.set_host(std::string(256, 'h')); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.set_noop_depth(kDepthMax + 1); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.set_prefetch(kDepthMax + 1); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.mutable_capacity()->set_memory_bytes(1ULL << 63); }), "");
  EXPECT_NE(about_hello([](auto& hello) { hello.add_labels(); }), "");
  EXPECT_NE(about_hello([](auto& hello) {
              hello.add_labels()->set_name("zone");
              hello.add_labels()->set_name("zone");
            }),
            "");
  EXPECT_NE(about_hello([](auto& hello) { hello.add_held()->set_attempt(1); }), "") << "no run";
  EXPECT_NE(about_hello([](auto& hello) { hello.add_held()->set_row(1ULL << 32); }), "") << "no attempt";
}

TEST(HostileWorker, CannotPutAFieldOfAnEndOutOfItsRange) {
  EXPECT_NE(about_finish([](auto& end) { end.clear_what(); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_reason(13); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_started_at(-1); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_ended_at(-1); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_cpu_us(1ULL << 63); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_bytes_out(1ULL << 63); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.set_message(std::string(kEndMessageMax + 1, 'x')); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_objects(0)->set_name(""); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_objects(0)->set_key(""); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_objects(0)->set_sha256(std::string(31, 'x')); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_objects(0)->set_size(1ULL << 63); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_values(0)->set_name(""); }), "");
  EXPECT_NE(about_finish([](auto& end) { end.mutable_values(0)->set_json("{"); }), "");
  EXPECT_NE(
      about_finish([](auto& end) { end.mutable_values(0)->set_json('"' + std::string(kInlineValueMax, 'x') + '"'); }),
      "");
  EXPECT_NE(about_finish([](auto& end) {
              end.mutable_values(0)->set_json("\"1\"");
              end.mutable_values(0)->set_metric(true);
            }),
            "");
}

TEST(HostileWorker, CannotPutWhatItReadOutOfItsRange) {
  const auto about_read = [](const auto& change) {
    return about_finish([&](auto& end) {
      auto& read = *end.add_read();
      read.set_input("raw");
      read.set_uri("s3://bucket/key");
      read.set_sha256(std::string(32, 'x'));
      change(read);
    });
  };
  EXPECT_EQ(about_read([](auto&) {}), "");
  EXPECT_NE(about_read([](auto& read) { read.clear_input(); }), "");
  EXPECT_NE(about_read([](auto& read) { read.clear_uri(); }), "");
  EXPECT_NE(about_read([](auto& read) { read.set_uri(std::string(kUriMax + 1, 'x')); }), "");
  EXPECT_NE(about_read([](auto& read) { read.set_sha256("x"); }), "");
  EXPECT_NE(about_read([](auto& read) { read.set_size(1ULL << 63); }), "");
  EXPECT_NE(about_read([](auto& read) { read.set_etag(std::string(kVersionMax + 1, 'x')); }), "");
  EXPECT_NE(about_read([](auto& read) { read.set_store_version(std::string(kVersionMax + 1, 'x')); }), "");
}

TEST(HostileWorker, CannotGiveAServiceHalfAnAddress) {
  const auto about_start = [](const std::string& host, std::uint32_t port) {
    v1::WorkerMessage report = message();
    auto& started = *report.mutable_report()->add_started();
    started.mutable_what()->set_row(1ULL << 32);
    started.mutable_what()->set_attempt(1);
    started.set_host(host);
    started.set_port(port);
    return worker_complaint(report.SerializeAsString());
  };
  EXPECT_EQ(about_start("", 0), "");
  EXPECT_EQ(about_start("h", kPortMax), "");
  EXPECT_NE(about_start("h", 0), "");
  EXPECT_NE(about_start("", 1), "");
  EXPECT_NE(about_start("h", kPortMax + 1), "");
  EXPECT_NE(about_start(std::string(kServiceHostMax + 1, 'h'), 1), "");
}

TEST(HostileWorker, CannotSayHalfAReport) {
  v1::WorkerMessage report = good_finish();
  *report.mutable_report()->add_finished() = v1::Finished();
  EXPECT_NE(worker_complaint(report.SerializeAsString()), "") << "and worker_complaint() sees that nothing was kept";
}

TEST(HostileWorker, CannotSayMoreLogThanAChunkHolds) {
  v1::WorkerMessage logs = message();
  v1::LogChunk& chunk = *logs.mutable_logs()->add_chunks();
  name(*chunk.mutable_what());
  chunk.set_data(std::string(kLogChunkMax, 'x'));
  EXPECT_EQ(worker_complaint(logs.SerializeAsString()), "");
  chunk.set_data(std::string(kLogChunkMax + 1, 'x'));
  EXPECT_NE(worker_complaint(logs.SerializeAsString()), "");
}

TEST(HostileWorker, CannotSendMoreThanAMessageHolds) {
  v1::WorkerMessage logs = message();
  for (int i = 0; i < 17; ++i) {
    v1::LogChunk& chunk = *logs.mutable_logs()->add_chunks();
    name(*chunk.mutable_what());
    chunk.set_data(std::string(kLogChunkMax, 'x'));
  }
  EXPECT_THAT(worker_complaint(logs.SerializeAsString()), HasSubstr("at most 1048576"));
}

TEST(HostileWorker, MaySendAsManyEntriesAsTheBoundAndNotOneMore) {
  v1::WorkerMessage report = message();
  for (std::size_t i = 0; i < kEntriesMax; ++i) name(*report.mutable_report()->add_returned());
  EXPECT_EQ(decoded(report.SerializeAsString()).events.size(), kEntriesMax);
  name(*report.mutable_report()->add_returned());
  EXPECT_THAT(worker_complaint(report.SerializeAsString()), HasSubstr("more than 20000 entries"));
}

TEST(HostileWorker, CannotTurnFewBytesIntoMuchMemory) {
  // Field 4, report, of 1 MiB less its head; in it, field 2, finished, empty, over and over.
  const std::string start{0x08, 0x01, 0x22, char(0xf0), char(0xff), 0x3f};
  std::string message = start;
  while (message.size() < kMessageMax - 10) message += std::string{0x12, 0x00};
  message.resize(start.size() + 0xffff0);
  EXPECT_THAT(worker_complaint(message), HasSubstr("entries"));
}

TEST(HostileWorker, CannotFillMemoryWithFieldsThatNobodyKnows) {
  const std::string known = good_hello().SerializeAsString();
  std::string strangers;
  for (std::size_t i = 0; i <= kEntriesMax; ++i) strangers += std::string{0x78, 0x01};  // Field 15, varint 1.
  EXPECT_THAT(worker_complaint(known + strangers), HasSubstr("entries"));
  EXPECT_EQ(worker_complaint(known + strangers.substr(0, 100)), "") << "a few are a newer worker's";
  std::string mistyped;
  for (std::size_t i = 0; i <= kEntriesMax; ++i) mistyped += std::string{0x0a, 0x00};  // Field 1 with a length.
  EXPECT_THAT(worker_complaint(known + mistyped), HasSubstr("entries"));
}

TEST(HostileWorker, CannotNestDeeperThanTheSchema) {
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested = std::string{0x7a, 0x00} + nested.substr(0, 100);
  for (const char group_start : {char(0x0b), char(0x7b)}) {
    EXPECT_NE(worker_complaint(std::string(100'000, group_start)), "");
  }
  EXPECT_NE(worker_complaint(nested), "");
}

TEST(HostileWorker, NeverCrashesTheDecoder) {
  // Every length that a good message can be cut to, and bytes changed at random.
  v1::WorkerMessage report = good_finish();
  for (const std::string& good : {good_hello().SerializeAsString(), report.SerializeAsString()}) {
    for (std::size_t length = 0; length < good.size(); ++length) (void)worker_complaint(good.substr(0, length));
    EXPECT_TRUE(rc::check([&] {
      std::string spoilt = good;
      const auto flips = *rc::gen::inRange(1, 6);
      for (int i = 0; i < flips; ++i) {
        spoilt[*rc::gen::inRange<std::size_t>(0, spoilt.size())] = static_cast<char>(*rc::gen::inRange(0, 256));
      }
      (void)worker_complaint(spoilt);
    }));
  }
  EXPECT_TRUE(rc::check([](const std::string& garbage) { (void)worker_complaint(garbage); }));
}

TEST(HostileScheduler, CannotReferToNowhere) {
  v1::SchedulerMessage message;
  message.set_protocol(kProtocol);
  message.add_runs()->set_id(std::string(16, 'r'));
  message.mutable_runs(0)->set_seq(1);
  message.add_works()->set_kind(static_cast<std::uint32_t>(TaskKind::kNoop));
  v1::Assignment& assignment = *message.add_assign();
  name(*assignment.mutable_what());
  assignment.set_attempt_no(1);
  EXPECT_EQ(scheduler_complaint(message.SerializeAsString()), "");
  assignment.set_run(1);
  EXPECT_THAT(scheduler_complaint(message.SerializeAsString()), HasSubstr("refers to no run"));
  assignment.set_run(0);
  assignment.set_work(1);
  EXPECT_THAT(scheduler_complaint(message.SerializeAsString()), HasSubstr("refers to no work"));
  assignment.set_work(0);
  assignment.set_attempt_no(65'536);
  EXPECT_THAT(scheduler_complaint(message.SerializeAsString()), HasSubstr("attempt number"));
}

TEST(HostileScheduler, CannotPutAFieldOutOfItsRange) {
  const auto complaint_about = [](const std::function<void(v1::SchedulerMessage&)>& spoil) {
    v1::SchedulerMessage message;
    message.set_protocol(kProtocol);
    spoil(message);
    return scheduler_complaint(message.SerializeAsString());
  };
  EXPECT_EQ(complaint_about([](auto&) {}), "");
  EXPECT_NE(complaint_about([](auto& message) { message.set_protocol(2); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.mutable_welcome()->set_lease(1ULL << 63); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_cancel(); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_runs(); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->set_kind(2); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->set_kill_grace(1ULL << 63); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->mutable_container()->set_network(3); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->mutable_container()->set_pull(3); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->add_outputs()->set_pack(3); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.add_works()->add_values()->set_default_json("{"); }), "");
  EXPECT_NE(complaint_about([](auto& message) { message.mutable_part()->set_number(1); }), "");
}

TEST(HostileScheduler, PartsCannotHoldParts) {
  v1::SchedulerMessage inner;
  inner.set_protocol(kProtocol);
  inner.mutable_part()->set_data("x");
  v1::SchedulerMessage outer;
  outer.set_protocol(kProtocol);
  outer.mutable_part()->set_data(inner.SerializeAsString());
  const WorkerSend send = decoded_send(outer.SerializeAsString());
  EXPECT_EQ(send.batch, 0u);
  EXPECT_TRUE(send.assign.empty());
}

TEST(HostileScheduler, PartsTogetherStayUnderTheirBound) {
  SchedulerDecoder decoder;
  v1::SchedulerMessage part;
  part.set_protocol(kProtocol);
  part.mutable_part()->set_more(true);
  part.mutable_part()->set_data(std::string(kMessageMax / 2, 'x'));
  std::uint32_t taken = 0;
  for (;; ++taken) {
    part.mutable_part()->set_number(taken);
    if (!decoder.decode(bytes_of(part.SerializeAsString()))) break;
    ASSERT_LT(taken, 1000u);
  }
  EXPECT_EQ(taken, 2 * kWholeMax / kMessageMax);
}

char letter_of(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
      return field.is_repeated() ? 'p' : 'f';
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return 'b';
    default:
      return 'v';
  }
}

const Shape::Child* child_of(const Shape& shape, int field) {
  for (const Shape::Child& child : shape.children) {
    if (child.field == static_cast<std::uint32_t>(field)) return &child;
  }
  return nullptr;
}

void expect_mirrors(const Shape& shape, const Descriptor& message) {
  SCOPED_TRACE(message.full_name());
  ASSERT_EQ(shape.types.size(), static_cast<std::size_t>(message.field_count()));
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.FindFieldByNumber(i + 1);  // No gaps, or this crashes.
    SCOPED_TRACE(field.name());
    EXPECT_EQ(shape.types[static_cast<std::size_t>(i)], letter_of(field));
    const Shape::Child* child = child_of(shape, field.number());
    const bool is_message = field.type() == FieldDescriptor::TYPE_MESSAGE;
    ASSERT_EQ(child != nullptr, is_message || field.is_repeated());
    if (child == nullptr) continue;
    EXPECT_EQ(child->list, field.is_repeated());
    ASSERT_EQ(child->shape != nullptr, is_message);
    if (is_message) expect_mirrors(*child->shape, *field.message_type());
  }
}

TEST(Scan, KnowsTheSchemaAsItIs) {
  expect_mirrors(kWorkerMessageShape, *v1::WorkerMessage::descriptor());
  expect_mirrors(kSchedulerMessageShape, *v1::SchedulerMessage::descriptor());
}

}  // namespace
}  // namespace chappe::wire
