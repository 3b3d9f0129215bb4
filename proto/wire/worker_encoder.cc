#include <fmt/core.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "proto/wire/fields.h"
#include "proto/wire/wire.h"

namespace chappe::wire {
namespace {

/// What report_bytes() charges for an entry at least, so that a report is full by size before it is full by
/// kEntriesMax.
constexpr std::size_t kEntryBytes = 32;
static_assert(kMessageMax / 2 / kEntryBytes < kEntriesMax);

void fill(v1::Object& out, const OutputObject& object) {
  out.set_name(valid_utf8(object.name));
  out.set_key(valid_utf8(object.key));
  out.set_size(object.size);
  out.set_sha256(sha256_bytes(object.sha256));
  CHAPPE_ASSERT(out.sha256().size() == 32);
  out.set_packed(object.packed);
  out.set_etag(valid_utf8(object.etag));
  out.set_asset_uri(valid_utf8(object.asset_uri));
  out.set_asset_name(valid_utf8(object.asset_name));
  out.set_upload(valid_utf8(object.upload));
}

void fill(v1::ObjectRead& out, const InputObject& object) {
  out.set_input(valid_utf8(object.name));
  out.set_uri(valid_utf8(object.s3));
  out.set_size(object.size);
  out.set_sha256(sha256_bytes(object.sha256));
  CHAPPE_ASSERT(out.sha256().size() == 32);
  out.set_etag(std::string(utf8_prefix(valid_utf8(object.etag), kVersionMax)));
  out.set_store_version(std::string(utf8_prefix(valid_utf8(object.store_version), kVersionMax)));
}

void fill(v1::Finished& out, const AttemptFinished& finished) {
  set_held(*out.mutable_what(), finished.what);
  const AttemptEnd& end = finished.end;
  out.set_reason(static_cast<std::uint32_t>(end.reason));
  out.set_exit_code(end.exit_code);
  out.set_started_at(end.started_at.us);
  out.set_ended_at(end.ended_at.us);
  out.set_cpu_us(end.usage.cpu_us);
  out.set_peak_memory_bytes(end.usage.peak_memory_bytes);
  out.set_bytes_in(end.usage.bytes_in);
  out.set_bytes_out(end.usage.bytes_out);
  if (!end.message.empty()) out.set_message(std::string(utf8_prefix(valid_utf8(end.message), kEndMessageMax)));
  if (!end.image.empty()) out.set_image(std::string(utf8_prefix(valid_utf8(end.image), kImageMax)));
  if (finished.outputs == nullptr) return;
  for (const OutputObject& object : finished.outputs->objects) fill(*out.add_objects(), object);
  for (const NamedValue& value : finished.outputs->values) {
    v1::NamedValue& named = *out.add_values();
    named.set_name(valid_utf8(value.name));
    named.set_json(valid_utf8(to_json(value.value)));
    named.set_metric(value.metric);
  }
  for (const InputObject& object : finished.outputs->read) fill(*out.add_read(), object);
}

std::size_t entries_of(const v1::Finished& finished) {
  return 1 + static_cast<std::size_t>(finished.objects_size()) + static_cast<std::size_t>(finished.values_size()) +
         static_cast<std::size_t>(finished.read_size());
}

/// Why no message can carry this end; "" where one can.
std::string misfit(const v1::Finished& finished) {
  for (const v1::NamedValue& value : finished.values()) {
    if (value.json().size() > kInlineValueMax) {
      return fmt::format("value {} takes {} bytes of JSON; at most {}", value.name(), value.json().size(),
                         kInlineValueMax);
    }
  }
  const std::size_t bytes = std::max(finished.ByteSizeLong(), entries_of(finished) * kEntryBytes);
  if (bytes <= kFinishedMax) return "";
  return fmt::format("values and outputs take {} bytes to report; at most {}", bytes, kFinishedMax);
}

/// What is told in the place of an end that no message can carry.
AttemptFinished without_outputs(const AttemptFinished& finished, std::string why) {
  AttemptFinished end{.connection = {}, .what = finished.what, .end = finished.end, .outputs = nullptr};
  end.end.reason = Reason::kInvalidOutput;
  end.end.message = std::move(why);
  return end;
}

}  // namespace

struct WorkerEncoder::State {
  MessageArena<v1::WorkerMessage> messages;
  MessageArena<v1::WorkerMessage> reports;  // The one under construction outlives the other messages.
  v1::WorkerMessage* report = nullptr;
  std::size_t report_bytes = 0;

  v1::WorkerMessage& fresh() {
    v1::WorkerMessage& message = messages.fresh();
    message.set_protocol(kProtocol);
    return message;
  }

  v1::Report& open_report() {
    if (report == nullptr) {
      report = &reports.fresh();
      report->set_protocol(kProtocol);
    }
    return *report->mutable_report();
  }

  void charge(std::size_t bytes, std::size_t entries) { report_bytes += std::max(bytes + 4, entries * kEntryBytes); }
};

WorkerEncoder::WorkerEncoder() : state_(std::make_unique<State>()) {}
WorkerEncoder::~WorkerEncoder() = default;

std::string WorkerEncoder::hello(const WorkerHello& hello) {
  v1::WorkerMessage& message = state_->fresh();
  v1::Hello& out = *message.mutable_hello();
  out.set_incarnation(hello.incarnation);
  out.set_name(valid_utf8(hello.name));
  out.set_host(valid_utf8(hello.host));
  set_resources(*out.mutable_capacity(), hello.capacity);
  out.set_noop_depth(hello.noop_depth);
  out.set_prefetch(hello.prefetch);
  out.set_number(hello.number);
  out.set_containers(hello.containers);
  for (const std::string_view name : hello.features.names()) out.add_features(std::string(name));
  for (const std::string& taint : hello.taints) out.add_taints(valid_utf8(taint));
  for (const auto& [name, value] : hello.labels) {
    v1::Label& label = *out.add_labels();
    label.set_name(valid_utf8(name));
    label.set_value(valid_utf8(value));
  }
  for (const HeldAttempt& held : hello.held) set_held(*out.add_held(), held);
  return message.SerializeAsString();
}

std::string WorkerEncoder::heartbeat(std::uint64_t batch_seen, std::span<const HeldAttempt> held) {
  v1::WorkerMessage& message = state_->fresh();
  v1::Heartbeat& out = *message.mutable_heartbeat();
  out.set_batch_seen(batch_seen);
  for (const HeldAttempt& one : held) set_held(*out.add_held(), one);
  return message.SerializeAsString();
}

std::string WorkerEncoder::goodbye(bool draining) {
  v1::WorkerMessage& message = state_->fresh();
  message.mutable_goodbye()->set_draining(draining);
  return message.SerializeAsString();
}

std::string WorkerEncoder::logs(std::span<const LogChunk> chunks) {
  v1::WorkerMessage& message = state_->fresh();
  v1::Logs& out = *message.mutable_logs();
  for (const LogChunk& chunk : chunks) {
    v1::LogChunk& one = *out.add_chunks();
    set_held(*one.mutable_what(), chunk.what);
    one.set_offset(chunk.offset);
    one.set_data(chunk.data);
  }
  return message.SerializeAsString();
}

void WorkerEncoder::add(const AttemptStarted& started) {
  v1::Started& out = *state_->open_report().add_started();
  set_held(*out.mutable_what(), started.what);
  out.set_at(started.at.us);
  out.set_host(std::string(utf8_prefix(valid_utf8(started.host), kServiceHostMax)));
  out.set_port(started.port);
  state_->charge(std::max(out.ByteSizeLong(), kEntryBytes), 1);
}

void WorkerEncoder::add(const AttemptFinished& finished) {
  v1::Finished& out = *state_->open_report().add_finished();
  fill(out, finished);
  if (std::string why = misfit(out); !why.empty()) {
    out.Clear();
    fill(out, without_outputs(finished, std::move(why)));
  }
  state_->charge(out.ByteSizeLong(), entries_of(out));
}

void WorkerEncoder::add(const AttemptReturned& returned) {
  set_held(*state_->open_report().add_returned(), returned.what);
  state_->charge(kEntryBytes, 1);
}

std::size_t WorkerEncoder::report_bytes() const { return state_->report_bytes; }

std::string WorkerEncoder::take_report() {
  (void)state_->open_report();  // Taken while empty, it is an empty report.
  std::string bytes = state_->report->SerializeAsString();
  state_->report = nullptr;
  state_->report_bytes = 0;
  return bytes;
}

}  // namespace chappe::wire
