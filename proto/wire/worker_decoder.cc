#include <fmt/core.h>

#include <limits>

#include "proto/json/json.h"
#include "proto/wire/fields.h"
#include "proto/wire/scan.h"
#include "proto/wire/wire.h"

namespace chappe::wire {
namespace {

constexpr std::size_t kNameMax = 255;
constexpr std::size_t kKeyMax = 4096;
constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max();  // What the store's integers hold.

/// Null: fine; otherwise what is wrong.
using Complaint = const char*;

bool is_incarnation(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_name(std::string_view text) { return !text.empty() && text.size() <= kNameMax; }

Complaint read_held(const google::protobuf::RepeatedPtrField<v1::Held>& from, std::vector<HeldAttempt>& out) {
  out.reserve(static_cast<std::size_t>(from.size()));
  for (const v1::Held& held : from) {
    if (!is_held(held)) return "a held attempt has no name";
    out.push_back(to_held(held));
  }
  return nullptr;
}

Complaint read(const v1::Hello& from, WorkerSays& out) {
  WorkerHello hello;
  if (!is_incarnation(from.incarnation())) return "the hello's incarnation is not 32 hex digits";
  if (!is_name(from.name()) || !is_name(from.host())) return "the hello's name or host is empty or too long";
  if (from.noop_depth() > kDepthMax || from.prefetch() > kDepthMax) return "the hello's depth is out of range";
  if (from.capacity().memory_bytes() > kSizeMax) return "the hello's memory is out of range";
  hello.incarnation = from.incarnation();
  hello.name = from.name();
  hello.host = from.host();
  hello.capacity = to_resources(from.capacity());
  hello.noop_depth = from.noop_depth();
  hello.prefetch = from.prefetch();
  hello.number = from.number();
  hello.containers = from.containers();
  hello.features = {};
  for (const std::string& name : from.features()) {
    if (const auto feature = parse_feature(name)) hello.features.add(*feature);
  }
  for (const v1::Label& label : from.labels()) {
    if (!is_name(label.name()) || label.value().size() > kNameMax) return "a label is empty or too long";
    if (!hello.labels.emplace(label.name(), label.value()).second) return "a label is there twice";
  }
  for (const std::string& taint : from.taints()) {
    if (!is_name(taint)) return "a taint is empty or too long";
    hello.taints.insert(taint);
  }
  if (Complaint wrong = read_held(from.held(), hello.held)) return wrong;
  out.events.push_back(WorkerJoined{.connection = {}, .hello = std::move(hello)});
  return nullptr;
}

Complaint read(const v1::Heartbeat& from, WorkerSays& out) {
  WorkerHeartbeat heartbeat{.connection = {}, .batch_seen = from.batch_seen(), .held = {}};
  if (Complaint wrong = read_held(from.held(), heartbeat.held)) return wrong;
  out.events.push_back(std::move(heartbeat));
  return nullptr;
}

Complaint read(const v1::Goodbye& from, WorkerSays& out) {
  if (from.draining()) {
    out.events.push_back(WorkerDraining{});
  } else {
    out.events.push_back(WorkerLeft{});
  }
  return nullptr;
}

Complaint read(const v1::Logs& from, WorkerSays& out) {
  for (const v1::LogChunk& chunk : from.chunks()) {
    if (!is_held(chunk.what())) return "a log chunk names no attempt";
    if (chunk.data().size() > kLogChunkMax || chunk.offset() > kSizeMax) return "a log chunk is out of range";
    out.logs.push_back({.what = to_held(chunk.what()), .offset = chunk.offset(), .data = chunk.data()});
  }
  return nullptr;
}

Complaint read(const v1::Object& from, OutputObject& out) {
  if (!is_name(from.name())) return "an object has no name";
  if (from.key().empty() || from.key().size() > kKeyMax) return "an object's key is empty or too long";
  if (from.sha256().size() != 32) return "an object's SHA-256 is not 32 bytes";
  if (from.size() > kSizeMax) return "an object's size is out of range";
  out = {.name = from.name(),
         .key = from.key(),
         .size = from.size(),
         .sha256 = sha256_hex(from.sha256()),
         .packed = from.packed(),
         .etag = from.etag(),
         .asset_uri = from.asset_uri(),
         .asset_name = from.asset_name(),
         .upload = from.upload()};
  return nullptr;
}

Complaint read(const v1::NamedValue& from, NamedValue& out) {
  if (!is_name(from.name())) return "a value has no name";
  Result<Value> value = parse_json(from.json(), kInlineValueMax);
  if (!value) return "a value is no JSON, or too long";
  if (from.metric() && !value->is_number()) return "a metric is no number";
  out = {.name = from.name(), .value = *std::move(value), .metric = from.metric()};
  return nullptr;
}

Complaint read(const v1::ObjectRead& from, InputObject& out) {
  if (!is_name(from.input())) return "what was read belongs to no input";
  if (from.uri().empty() || from.uri().size() > kUriMax) return "the URI of what was read is empty or too long";
  if (from.sha256().size() != 32) return "the SHA-256 of what was read is not 32 bytes";
  if (from.size() > kSizeMax) return "the size of what was read is out of range";
  if (from.etag().size() > kVersionMax || from.store_version().size() > kVersionMax) {
    return "the version of what was read is too long";
  }
  out.name = from.input();
  out.s3 = from.uri();
  out.size = from.size();
  out.sha256 = sha256_hex(from.sha256());
  out.etag = from.etag();
  out.store_version = from.store_version();
  return nullptr;
}

Complaint read_outputs(const v1::Finished& from, std::shared_ptr<const AttemptOutputs>& out) {
  if (from.objects().empty() && from.values().empty() && from.read().empty()) return nullptr;
  const auto outputs = std::make_shared<AttemptOutputs>();
  outputs->objects.resize(static_cast<std::size_t>(from.objects_size()));
  outputs->values.resize(static_cast<std::size_t>(from.values_size()));
  for (int i = 0; i < from.objects_size(); ++i) {
    if (Complaint wrong = read(from.objects(i), outputs->objects[static_cast<std::size_t>(i)])) return wrong;
  }
  for (int i = 0; i < from.values_size(); ++i) {
    if (Complaint wrong = read(from.values(i), outputs->values[static_cast<std::size_t>(i)])) return wrong;
  }
  outputs->read.resize(static_cast<std::size_t>(from.read_size()));
  for (int i = 0; i < from.read_size(); ++i) {
    if (Complaint wrong = read(from.read(i), outputs->read[static_cast<std::size_t>(i)])) return wrong;
  }
  out = outputs;
  return nullptr;
}

Complaint read(const v1::Finished& from, AttemptFinished& out) {
  if (!is_held(from.what())) return "an end names no attempt";
  if (from.reason() > kReasonMax) return "an end's reason is unknown";
  if (from.started_at() < 0 || from.ended_at() < 0) return "an end's time is out of range";
  if (from.message().size() > kEndMessageMax) return "an end's message is too long";
  if (from.image().size() > kImageMax) return "an end's image is too long";
  const Usage usage{.cpu_us = from.cpu_us(),
                    .peak_memory_bytes = from.peak_memory_bytes(),
                    .bytes_in = from.bytes_in(),
                    .bytes_out = from.bytes_out()};
  if ((usage.cpu_us | usage.peak_memory_bytes | usage.bytes_in | usage.bytes_out) > kSizeMax) {
    return "an end's usage is out of range";
  }
  out.what = to_held(from.what());
  out.end.reason = static_cast<Reason>(from.reason());
  out.end.exit_code = from.exit_code();
  out.end.started_at = {from.started_at()};
  out.end.ended_at = {from.ended_at()};
  out.end.usage = usage;
  out.end.message = from.message();
  out.end.image = from.image();
  return read_outputs(from, out.outputs);
}

Complaint read(const v1::Report& from, WorkerSays& out) {
  for (const v1::Started& started : from.started()) {
    if (!is_held(started.what())) return "a start names no attempt";
    if (started.at() < 0) return "a start's time is out of range";
    if (started.port() > kPortMax || started.host().size() > kServiceHostMax) return "a service's address is none";
    if ((started.port() == 0) != started.host().empty()) return "a service's address is half one";
    out.events.push_back(AttemptStarted{.connection = {},
                                        .what = to_held(started.what()),
                                        .at = {started.at()},
                                        .host = started.host(),
                                        .port = static_cast<std::uint16_t>(started.port())});
  }
  for (const v1::Finished& finished : from.finished()) {
    auto& event = std::get<AttemptFinished>(out.events.emplace_back(AttemptFinished{}));
    if (Complaint wrong = read(finished, event)) return wrong;
  }
  for (const v1::Held& returned : from.returned()) {
    if (!is_held(returned)) return "a returned attempt has no name";
    out.events.push_back(AttemptReturned{.connection = {}, .what = to_held(returned)});
  }
  return nullptr;
}

Complaint read(const v1::WorkerMessage& from, WorkerSays& out) {
  if (from.protocol() != kProtocol) return "the protocol version is unknown";
  switch (from.kind_case()) {
    case v1::WorkerMessage::kHello:
      return read(from.hello(), out);
    case v1::WorkerMessage::kHeartbeat:
      return read(from.heartbeat(), out);
    case v1::WorkerMessage::kReport:
      return read(from.report(), out);
    case v1::WorkerMessage::kLogs:
      return read(from.logs(), out);
    case v1::WorkerMessage::kGoodbye:
      return read(from.goodbye(), out);
    case v1::WorkerMessage::KIND_NOT_SET:
      break;
  }
  return "the message says nothing";
}

}  // namespace

struct WorkerDecoder::State {
  MessageArena<v1::WorkerMessage> messages;
};

WorkerDecoder::WorkerDecoder() : state_(std::make_unique<State>()) {}
WorkerDecoder::~WorkerDecoder() = default;

Result<void> WorkerDecoder::decode(std::span<const std::byte> message, WorkerSays& out) {
  if (auto bounded = check_size_and_entries(message, kWorkerMessageShape); !bounded) return bounded;
  v1::WorkerMessage& parsed = state_->messages.fresh();
  if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return fail(ErrorCode::kInvalidInput, "the message does not parse");
  }
  const auto events_before = static_cast<std::ptrdiff_t>(out.events.size());
  const auto logs_before = static_cast<std::ptrdiff_t>(out.logs.size());
  if (Complaint wrong = read(parsed, out)) {
    out.events.erase(out.events.begin() + events_before, out.events.end());
    out.logs.erase(out.logs.begin() + logs_before, out.logs.end());
    return fail(ErrorCode::kInvalidInput, wrong);
  }
  return {};
}

}  // namespace chappe::wire
