#include <algorithm>
#include <limits>

#include "proto/json/json.h"
#include "proto/wire/fields.h"
#include "proto/wire/scan.h"
#include "proto/wire/wire.h"

namespace chappe::wire {
namespace {

constexpr std::uint64_t kDurationMax = std::numeric_limits<std::int64_t>::max();

using Complaint = const char*;

Complaint read(const v1::Welcome& from, WorkerSend::Welcome& out) {
  if (from.heartbeat() > kDurationMax || from.lease() > kDurationMax) return "the welcome's times are out of range";
  out = {.worker = {from.worker()},
         .epoch = from.epoch(),
         .heartbeat = Duration(static_cast<std::int64_t>(from.heartbeat())),
         .lease = Duration(static_cast<std::int64_t>(from.lease()))};
  return nullptr;
}

Complaint read(const v1::Run& from, RunContext& out) {
  if (from.id().size() != out.id.bytes.size()) return "a run's id is not 16 bytes";
  if (from.seq() == 0) return "a run has no number";
  out.seq = {from.seq()};
  std::copy(from.id().begin(), from.id().end(), out.id.bytes.begin());
  out.dag = from.dag();
  out.dag_version = from.dag_version();
  out.params_json = from.params_json();
  out.logical_time = {from.logical_time()};
  out.interval_start = {from.interval_start()};
  out.interval_end = {from.interval_end()};
  out.generation = from.generation();
  out.secret_params.assign(from.secret_params().begin(), from.secret_params().end());
  return nullptr;
}

Complaint read(const v1::Input& from, ResolvedInput& out) {
  out.name = from.name();
  out.path = from.path();
  out.collection = from.collection();
  if (from.unpack() > kUnpackMax) return "what becomes of an input is unknown";
  out.unpack = static_cast<Unpack>(from.unpack());
  if (from.has_mode() && from.mode() > kModeMax) return "an input's mode is none";
  if (from.has_mode()) out.mode = from.mode();
  out.objects.reserve(static_cast<std::size_t>(from.objects_size()));
  for (const v1::InputObject& object : from.objects()) {
    // Without its hash an object cannot be verified: fetching it fails, and only that attempt.
    const bool hashed = object.sha256().size() == 32;
    out.objects.push_back({.name = from.name(),
                           .path = object.path(),
                           .key = object.key(),
                           .text = object.text(),
                           .size = object.size(),
                           .sha256 = hashed ? sha256_hex(object.sha256()) : "",
                           .packed = object.packed(),
                           .asset = {object.asset()},
                           .producer = {},
                           .producer_attempt = {},
                           .s3 = object.s3(),
                           .may_be_absent = object.may_be_absent()});
  }
  return nullptr;
}

Complaint read(const v1::Service& from, ServiceSpec& out) {
  if (from.ready() > static_cast<std::uint32_t>(ServiceSpec::Ready::kFile)) return "when a service is ready is unknown";
  if (from.port() > kPortMax) return "a service's port is none";
  if (from.ready_timeout() > kDurationMax) return "a service's time is out of range";
  out = {.ready = static_cast<ServiceSpec::Ready>(from.ready()),
         .ready_at = from.ready_at(),
         .port = static_cast<std::uint16_t>(from.port()),
         .ready_timeout = Duration(static_cast<std::int64_t>(from.ready_timeout()))};
  return nullptr;
}

Complaint read(const v1::Output& from, ResolvedOutput& out) {
  if (from.pack() > kPackMax) return "an output's packing is unknown";
  if (!from.sha256().empty() && from.sha256().size() != 32) return "an output's hash is none";
  out = {.name = from.name(),
         .path = from.path(),
         .required = from.required(),
         .non_empty = from.non_empty(),
         .pack = static_cast<Pack>(from.pack()),
         .asset_uri = from.asset_uri(),
         .asset_name = from.asset_name(),
         .immutable = from.immutable(),
         .sha256 = from.sha256().empty() ? "" : sha256_hex(from.sha256())};
  if (from.schema_json().empty()) return nullptr;
  const auto json = parse_json(from.schema_json(), kDataJsonMax);
  auto schema = json ? data_expectations_from(*json) : fail(json.error());
  if (!schema) return "what is expected of an output is none";
  out.schema = std::make_shared<const DataExpectations>(*std::move(schema));
  return nullptr;
}

Complaint read(const v1::OutputValue& from, OutputValue& out) {
  out = {.name = from.name(),
         .file = from.file(),
         .json_path = from.json_path(),
         .default_value = {},
         .metric = from.metric()};
  if (!from.has_default_json()) return nullptr;
  Result<Value> value = parse_json(from.default_json());
  if (!value) return "a value's default is no JSON";
  out.default_value = *std::move(value);
  return nullptr;
}

Complaint read(const v1::Cancel& from, CancelAttempt& out) {
  if (!is_held(from.what())) return "a cancel names no attempt";
  if (from.reason() > kReasonMax) return "a cancel's reason is unknown";
  out = {.what = to_held(from.what()), .forget = from.forget(), .reason = static_cast<Reason>(from.reason())};
  return nullptr;
}

Complaint read(const v1::Secret& from, SecretRef& out) {
  if (from.source() > static_cast<std::uint32_t>(SecretRef::Source::kVault)) return "a secret's source is unknown";
  out = {.name = from.name(),
         .source = static_cast<SecretRef::Source>(from.source()),
         .place = from.place(),
         .key = from.key(),
         .mount = from.mount(),
         .as_file = from.as_file()};
  return nullptr;
}

Complaint read(const v1::HttpPiece& from, ResolvedHttpPiece& out) {
  if (!from.text().empty() && !from.secret().empty()) return "a piece of a request is both a text and a secret";
  out = {.text = from.text(), .secret = from.secret(), .in_json = from.in_json()};
  return nullptr;
}

Complaint read(const v1::Container& from, ContainerOptions& out) {
  if (from.network() > static_cast<std::uint32_t>(ContainerOptions::Network::kHost)) return "a network is unknown";
  if (from.pull() > static_cast<std::uint32_t>(ContainerOptions::Pull::kNever)) return "a way to pull is unknown";
  out.user = from.user();
  out.network = static_cast<ContainerOptions::Network>(from.network());
  out.pull = static_cast<ContainerOptions::Pull>(from.pull());
  out.read_only = !from.writable();
  return nullptr;
}

Complaint read(const v1::Sidecar& from, Sidecar& out) {
  if (from.port() > kPortMax) return "a sidecar's port is none";
  if (from.ready_timeout() > kDurationMax) return "a sidecar's time is out of range";
  if (from.port() == 0 && !from.ready_path().empty()) return "a sidecar is asked at no port";
  out.name = from.name();
  out.image = from.image();
  out.command.assign(from.command().begin(), from.command().end());
  out.args.assign(from.args().begin(), from.args().end());
  for (const v1::Variable& variable : from.env()) out.env.emplace_back(variable.name(), variable.value());
  out.resources = to_resources(from.resources());
  out.port = static_cast<std::uint16_t>(from.port());
  out.ready_path = from.ready_path();
  out.ready_timeout = Duration(static_cast<std::int64_t>(from.ready_timeout()));
  return read(from.container(), out.container);
}

/// Converts each of a list; stops at the first complaint.
template <typename From, typename To>
Complaint read_list(const google::protobuf::RepeatedPtrField<From>& from, std::vector<To>& out) {
  out.resize(static_cast<std::size_t>(from.size()));
  for (int i = 0; i < from.size(); ++i) {
    if (Complaint wrong = read(from.Get(i), out[static_cast<std::size_t>(i)])) return wrong;
  }
  return nullptr;
}

Complaint read(const v1::Http& from, ResolvedHttp& out) {
  if (from.redirects_max() > kHttpRedirectsMax) return "a request follows too many redirects";
  if (from.headers_size() > static_cast<int>(kHttpHeadersMax)) return "a request has too many headers";
  out.method = from.method();
  out.success = from.success();
  out.redirects_max = static_cast<std::uint8_t>(from.redirects_max());
  for (const v1::HttpHeader& header : from.headers()) {
    auto& [name, value] = out.headers.emplace_back(header.name(), ResolvedHttpText{});
    if (Complaint wrong = read_list(header.value(), value)) return wrong;
  }
  if (Complaint wrong = read_list(from.url(), out.url)) return wrong;
  return read_list(from.body(), out.body);
}

Complaint read_kind(const v1::Work& from, ResolvedWork& out) {
  out.kind = static_cast<TaskKind>(from.kind());
  const bool does = out.kind == TaskKind::kRun || out.kind == TaskKind::kNoop || out.kind == TaskKind::kHttp ||
                    out.kind == TaskKind::kData;
  if (!does) return "a work is of a kind that no worker does";
  if (from.has_http() != (out.kind == TaskKind::kHttp)) return "a work's kind and its request do not go together";
  if (from.check_json().empty() != (out.kind != TaskKind::kData)) {
    return "a work's kind and what it measures do not go together";
  }
  if (!from.has_http()) return nullptr;
  ResolvedHttp http;
  if (Complaint wrong = read(from.http(), http)) return wrong;
  out.http = std::make_shared<const ResolvedHttp>(std::move(http));
  return nullptr;
}

/// After its inputs, which it refers to.
Complaint read_check(const v1::Work& from, ResolvedWork& out) {
  if (from.check_json().empty()) return nullptr;
  const auto json = parse_json(from.check_json(), kDataJsonMax);
  auto check = json ? data_check_from(*json, out.inputs.size()) : fail(json.error());
  if (!check) return "what a work measures is none";
  out.check = std::make_shared<const DataCheck>(*std::move(check));
  return nullptr;
}

Complaint read(const v1::Work& from, ResolvedWork& out) {
  if (Complaint wrong = read_kind(from, out)) return wrong;
  if (from.timeout() > kDurationMax || from.kill_grace() > kDurationMax) return "a work's times are out of range";
  out.script = from.script();
  out.shell = from.shell();
  out.command.assign(from.command().begin(), from.command().end());
  for (const v1::Variable& variable : from.env()) out.env.emplace_back(variable.name(), variable.value());
  if (from.has_service()) {
    if (Complaint wrong = read(from.service(), out.service.emplace())) return wrong;
  }
  if (from.has_timeout()) out.timeout = Duration(static_cast<std::int64_t>(from.timeout()));
  out.kill_grace = Duration(static_cast<std::int64_t>(from.kill_grace()));
  out.resources = to_resources(from.resources());
  out.image = from.image();
  if (Complaint wrong = read(from.container(), out.container)) return wrong;
  if (from.sidecars_size() > static_cast<int>(kSidecarsMax)) return "a work has too many sidecars";
  if (Complaint wrong = read_list(from.sidecars(), out.sidecars)) return wrong;
  if (Complaint wrong = read_list(from.secrets(), out.secrets)) return wrong;
  out.store_credentials = !from.no_store_credentials();
  if (Complaint wrong = read_list(from.inputs(), out.inputs)) return wrong;
  if (Complaint wrong = read_list(from.outputs(), out.outputs)) return wrong;
  if (Complaint wrong = read_check(from, out)) return wrong;
  return read_list(from.values(), out.values);
}

/// What the assignments of one message share, by position.
struct Shared {
  std::vector<std::shared_ptr<const RunContext>> runs;
  std::vector<std::shared_ptr<const ResolvedWork>> works;
};

template <typename From, typename To>
Complaint read_shared(const google::protobuf::RepeatedPtrField<From>& from,
                      std::vector<std::shared_ptr<const To>>& out) {
  out.reserve(static_cast<std::size_t>(from.size()));
  for (const From& one : from) {
    const auto read_one = std::make_shared<To>();
    if (Complaint wrong = read(one, *read_one)) return wrong;
    out.push_back(read_one);
  }
  return nullptr;
}

Complaint read(const v1::Assignment& from, const Shared& shared, Assignment& out) {
  if (!is_held(from.what())) return "an assignment names no attempt";
  if (from.run() >= shared.runs.size()) return "an assignment refers to no run";
  if (from.work() >= shared.works.size()) return "an assignment refers to no work";
  if (from.attempt_no() == 0 || from.attempt_no() > 0xffff) return "an assignment's attempt number is out of range";
  const HeldAttempt what = to_held(from.what());
  out.attempt = what.attempt;
  out.key = what.key;
  out.attempt_no = static_cast<std::uint16_t>(from.attempt_no());
  out.task = from.task();
  out.map_key = from.map_key();
  out.item_json = from.item_json();
  out.run = shared.runs[from.run()];
  out.work = shared.works[from.work()];
  return nullptr;
}

Complaint read(const v1::SchedulerMessage& from, WorkerSend& out) {
  if (from.protocol() != kProtocol) return "the protocol version is unknown";
  out.batch = from.batch();
  out.hello_please = from.hello_please();
  if (from.has_welcome()) {
    out.welcome = WorkerSend::Welcome{};
    if (Complaint wrong = read(from.welcome(), *out.welcome)) return wrong;
  }
  out.acknowledged.reserve(static_cast<std::size_t>(from.acknowledged_size()));
  for (const std::uint64_t attempt : from.acknowledged()) out.acknowledged.push_back({attempt});
  if (Complaint wrong = read_list(from.cancel(), out.cancel)) return wrong;
  Shared shared;
  if (Complaint wrong = read_shared(from.runs(), shared.runs)) return wrong;
  if (Complaint wrong = read_shared(from.works(), shared.works)) return wrong;
  out.assign.resize(static_cast<std::size_t>(from.assign_size()));
  for (int i = 0; i < from.assign_size(); ++i) {
    if (Complaint wrong = read(from.assign(i), shared, out.assign[static_cast<std::size_t>(i)])) return wrong;
  }
  return nullptr;
}

}  // namespace

struct SchedulerDecoder::State {
  MessageArena<v1::SchedulerMessage> messages;
  std::string whole;            // The parts of a message so far.
  std::uint32_t next_part = 0;  // The number of the part that must follow.

  Result<WorkerSend> decode(std::span<const std::byte> message, Bounds bounds, bool may_be_part) {
    if (auto bounded = check_size_and_entries(message, kSchedulerMessageShape, bounds); !bounded) {
      return fail(bounded.error());
    }
    v1::SchedulerMessage& parsed = messages.fresh();
    if (!parsed.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return fail(ErrorCode::kInvalidInput, "the message does not parse");
    }
    if (parsed.has_part() && may_be_part) return join(parsed);
    WorkerSend out;
    if (Complaint wrong = read(parsed, out)) return fail(ErrorCode::kInvalidInput, wrong);
    return out;
  }

  Result<WorkerSend> join(const v1::SchedulerMessage& parsed) {
    const v1::Part& part = parsed.part();
    if (part.number() == 0) forget_parts();  // Those before it belong to a connection that is gone.
    if (parsed.protocol() != kProtocol || part.number() != next_part || whole.size() + part.data().size() > kWholeMax) {
      forget_parts();
      return fail(ErrorCode::kInvalidInput, "a part does not follow the one before");
    }
    ++next_part;
    whole += part.data();
    if (part.more()) return WorkerSend{};
    const std::string bytes = std::exchange(whole, {});
    forget_parts();
    return decode(std::as_bytes(std::span(bytes)), {.bytes = kWholeMax, .entries = kWholeEntriesMax}, false);
  }

  void forget_parts() {
    whole = {};
    next_part = 0;
  }
};

SchedulerDecoder::SchedulerDecoder() : state_(std::make_unique<State>()) {}
SchedulerDecoder::~SchedulerDecoder() = default;

Result<WorkerSend> SchedulerDecoder::decode(std::span<const std::byte> message) {
  return state_->decode(message, {}, true);
}

}  // namespace chappe::wire
