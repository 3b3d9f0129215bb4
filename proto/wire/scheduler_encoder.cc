#include <optional>
#include <unordered_map>

#include "proto/wire/fields.h"
#include "proto/wire/wire.h"

namespace chappe::wire {
namespace {

constexpr std::size_t kBytesFull = kMessageMax / 2;
constexpr std::size_t kFixedBytes = 48;  // At least what tags, lengths and numbers of an entry take.

void fill(v1::Run& out, const RunContext& run) {
  out.set_seq(run.seq.value);
  out.set_id(run.id.bytes.data(), run.id.bytes.size());
  out.set_dag(run.dag);
  out.set_dag_version(run.dag_version);
  out.set_params_json(run.params_json);
  out.set_logical_time(run.logical_time.us);
  out.set_interval_start(run.interval_start.us);
  out.set_interval_end(run.interval_end.us);
  out.set_generation(run.generation);
  for (const std::string& name : run.secret_params) out.add_secret_params(name);
}

void fill(v1::Input& out, const ResolvedInput& input) {
  out.set_name(input.name);
  out.set_path(input.path);
  out.set_collection(input.collection);
  if (input.mode) out.set_mode(*input.mode);
  out.set_unpack(static_cast<std::uint32_t>(input.unpack));
  for (const InputObject& object : input.objects) {
    v1::InputObject& one = *out.add_objects();
    one.set_path(object.path);
    one.set_key(object.key);
    one.set_text(object.text);
    one.set_size(object.size);
    one.set_sha256(sha256_bytes(object.sha256));
    one.set_packed(object.packed);
    one.set_asset(object.asset.value);
    one.set_s3(object.s3);
    one.set_may_be_absent(object.may_be_absent);
  }
}

void fill(v1::Output& out, const ResolvedOutput& output) {
  out.set_name(output.name);
  out.set_path(output.path);
  out.set_required(output.required);
  out.set_non_empty(output.non_empty);
  out.set_pack(static_cast<std::uint32_t>(output.pack));
  out.set_asset_uri(output.asset_uri);
  out.set_asset_name(output.asset_name);
  out.set_immutable(output.immutable);
  out.set_sha256(sha256_bytes(output.sha256));
  if (output.schema != nullptr) out.set_schema_json(to_json(to_value(*output.schema)));
}

void fill(v1::OutputValue& out, const OutputValue& value) {
  out.set_name(value.name);
  out.set_file(value.file);
  out.set_json_path(value.json_path);
  if (value.default_value) out.set_default_json(to_json(*value.default_value));
  out.set_metric(value.metric);
}

void fill(v1::Variable& out, const std::pair<std::string, std::string>& variable) {
  out.set_name(variable.first);
  out.set_value(variable.second);
}

void fill(v1::Container& out, const ContainerOptions& options) {
  out.set_user(options.user);
  out.set_network(static_cast<std::uint32_t>(options.network));
  out.set_pull(static_cast<std::uint32_t>(options.pull));
  out.set_writable(!options.read_only);
}

void fill(v1::Sidecar& out, const Sidecar& sidecar) {
  out.set_name(sidecar.name);
  out.set_image(sidecar.image);
  for (const std::string& argument : sidecar.command) out.add_command(argument);
  for (const std::string& argument : sidecar.args) out.add_args(argument);
  for (const auto& variable : sidecar.env) fill(*out.add_env(), variable);
  set_resources(*out.mutable_resources(), sidecar.resources);
  fill(*out.mutable_container(), sidecar.container);
  out.set_port(sidecar.port);
  out.set_ready_path(sidecar.ready_path);
  out.set_ready_timeout(static_cast<std::uint64_t>(sidecar.ready_timeout.count()));
}

void fill_containers(v1::Work& out, const ResolvedWork& work) {
  out.set_image(work.image);
  fill(*out.mutable_container(), work.container);
  for (const Sidecar& sidecar : work.sidecars) fill(*out.add_sidecars(), sidecar);
}

void fill(v1::Service& out, const ServiceSpec& service) {
  out.set_ready(static_cast<std::uint32_t>(service.ready));
  out.set_ready_at(service.ready_at);
  out.set_port(service.port);
  out.set_ready_timeout(static_cast<std::uint64_t>(service.ready_timeout.count()));
}

void fill(v1::Secret& out, const SecretRef& secret) {
  out.set_name(secret.name);
  out.set_source(static_cast<std::uint32_t>(secret.source));
  out.set_place(secret.place);
  out.set_key(secret.key);
  out.set_mount(secret.mount);
  out.set_as_file(secret.as_file);
}

void fill(google::protobuf::RepeatedPtrField<v1::HttpPiece>& out, const ResolvedHttpText& text) {
  for (const ResolvedHttpPiece& piece : text) {
    v1::HttpPiece& one = *out.Add();
    one.set_text(piece.text);
    one.set_secret(piece.secret);
    one.set_in_json(piece.in_json);
  }
}

void fill(v1::Http& out, const ResolvedHttp& http) {
  out.set_method(http.method);
  fill(*out.mutable_url(), http.url);
  for (const auto& [name, value] : http.headers) {
    v1::HttpHeader& header = *out.add_headers();
    header.set_name(name);
    fill(*header.mutable_value(), value);
  }
  fill(*out.mutable_body(), http.body);
  out.set_success(http.success);
  out.set_redirects_max(http.redirects_max);
}

void fill(v1::Work& out, const ResolvedWork& work) {
  out.set_kind(static_cast<std::uint32_t>(work.kind));
  out.set_script(work.script);
  out.set_shell(work.shell);
  for (const std::string& argument : work.command) out.add_command(argument);
  for (const auto& variable : work.env) fill(*out.add_env(), variable);
  for (const ResolvedInput& input : work.inputs) fill(*out.add_inputs(), input);
  for (const ResolvedOutput& output : work.outputs) fill(*out.add_outputs(), output);
  for (const OutputValue& value : work.values) fill(*out.add_values(), value);
  if (work.timeout) out.set_timeout(static_cast<std::uint64_t>(work.timeout->count()));
  out.set_kill_grace(static_cast<std::uint64_t>(work.kill_grace.count()));
  set_resources(*out.mutable_resources(), work.resources);
  if (!work.image.empty()) fill_containers(out, work);
  for (const SecretRef& secret : work.secrets) fill(*out.add_secrets(), secret);
  out.set_no_store_credentials(!work.store_credentials);
  if (work.http != nullptr) fill(*out.mutable_http(), *work.http);
  if (work.check != nullptr) out.set_check_json(to_json(to_value(*work.check)));
  if (work.service) fill(*out.mutable_service(), *work.service);
}

std::size_t entries_of(const ResolvedHttp& http) {
  std::size_t entries = http.url.size() + http.body.size();
  for (const auto& [name, value] : http.headers) entries += 1 + value.size();
  return entries;
}

std::size_t entries_of(const ResolvedWork& work) {
  std::size_t entries = 1 + work.command.size() + work.env.size() + work.outputs.size() + work.values.size();
  entries += work.secrets.size();
  for (const Sidecar& sidecar : work.sidecars) {
    entries += 1 + sidecar.command.size() + sidecar.args.size() + sidecar.env.size();
  }
  if (work.http != nullptr) entries += entries_of(*work.http);
  for (const ResolvedInput& input : work.inputs) entries += 1 + input.objects.size();
  return entries;
}

}  // namespace

/// Messages under construction. One is closed when it is full by bytes or entries; a single work may overfill it, and
/// then it goes out in parts.
struct SchedulerEncoder::State {
  MessageArena<v1::SchedulerMessage> messages;
  MessageArena<v1::SchedulerMessage> part_messages;
  v1::SchedulerMessage* message = nullptr;
  std::size_t bytes = 0;
  std::size_t entries = 0;
  std::unordered_map<const void*, std::uint32_t> runs;  // Position in this message.
  std::unordered_map<const void*, std::uint32_t> works;
  std::vector<std::string> done;
  std::uint64_t left_out = 0;

  void open() {
    message = &messages.fresh();
    message->set_protocol(kProtocol);
    bytes = kFixedBytes;
    entries = 0;
    runs.clear();
    works.clear();
  }

  void close() {
    std::string whole = message->SerializeAsString();
    if (whole.size() <= kMessageMax && entries <= kEntriesMax) {
      done.push_back(std::move(whole));
    } else {
      close_in_parts(whole);
    }
  }

  void close_in_parts(std::string_view whole) {
    for (std::uint32_t number = 0; !whole.empty(); ++number) {
      const std::string_view data = whole.substr(0, kBytesFull);
      whole.remove_prefix(data.size());
      v1::SchedulerMessage& part_message = part_messages.fresh();
      part_message.set_protocol(kProtocol);
      v1::Part& part = *part_message.mutable_part();
      part.set_number(number);
      part.set_more(!whole.empty());
      part.set_data(data.data(), data.size());
      done.push_back(part_message.SerializeAsString());
    }
  }

  /// An empty one is never full, whatever is to come.
  bool is_full(std::size_t more_entries) const {
    return entries > 0 && (bytes > kBytesFull || entries + more_entries > kEntriesMax);
  }

  /// Makes room for one entry, in a fresh message where this one is full.
  void charge(std::size_t more_bytes) {
    if (is_full(1)) {
      close();
      open();
    }
    bytes += more_bytes;
    ++entries;
  }

  std::uint32_t place(const std::shared_ptr<const RunContext>& run) {
    const auto [at, is_new] = runs.try_emplace(run.get(), static_cast<std::uint32_t>(message->runs_size()));
    if (is_new) {
      v1::Run& out = *message->add_runs();
      fill(out, *run);
      bytes += out.ByteSizeLong();
      ++entries;
    }
    return at->second;
  }

  /// False: no message can carry it.
  bool place(const std::shared_ptr<const ResolvedWork>& work) {
    if (works.contains(work.get())) return true;
    const std::size_t more_entries = entries_of(*work);
    if (more_entries > kWholeEntriesMax - kEntriesMax) return false;
    if (is_full(more_entries)) {
      close();
      open();
    }
    v1::Work& out = *message->add_works();
    fill(out, *work);
    const std::size_t more_bytes = out.ByteSizeLong();
    if (more_bytes > kWholeMax - kMessageMax) {
      message->mutable_works()->RemoveLast();
      return false;
    }
    works.emplace(work.get(), static_cast<std::uint32_t>(message->works_size() - 1));
    bytes += more_bytes;
    entries += more_entries;
    return true;
  }

  void add(const Assignment& assignment) {
    if (is_full(2)) {  // Itself and its run.
      close();
      open();
    }
    if (!place(assignment.work)) {
      ++left_out;
      return;
    }
    v1::Assignment& out = *message->add_assign();
    set_held(*out.mutable_what(), {.key = assignment.key, .attempt = assignment.attempt});
    out.set_run(place(assignment.run));
    out.set_work(works.at(assignment.work.get()));
    out.set_attempt_no(assignment.attempt_no);
    out.set_task(assignment.task);
    if (!assignment.map_key.empty()) out.set_map_key(assignment.map_key);
    if (!assignment.item_json.empty()) out.set_item_json(assignment.item_json);
    bytes += kFixedBytes + assignment.task.size() + assignment.map_key.size() + assignment.item_json.size();
    ++entries;
  }

  void add(const CancelAttempt& cancel) {
    charge(kFixedBytes);
    v1::Cancel& out = *message->add_cancel();
    set_held(*out.mutable_what(), cancel.what);
    out.set_forget(cancel.forget);
    out.set_reason(static_cast<std::uint32_t>(cancel.reason));
  }
};

SchedulerEncoder::SchedulerEncoder() : state_(std::make_unique<State>()) {}
SchedulerEncoder::~SchedulerEncoder() = default;

std::uint64_t SchedulerEncoder::left_out() const { return state_->left_out; }

std::vector<std::string> SchedulerEncoder::encode(const WorkerSend& send) {
  state_->open();
  if (send.welcome) {
    v1::Welcome& welcome = *state_->message->mutable_welcome();
    welcome.set_worker(send.welcome->worker.value);
    welcome.set_epoch(send.welcome->epoch);
    welcome.set_heartbeat(static_cast<std::uint64_t>(send.welcome->heartbeat.count()));
    welcome.set_lease(static_cast<std::uint64_t>(send.welcome->lease.count()));
  }
  state_->message->set_hello_please(send.hello_please);
  for (const AttemptId attempt : send.acknowledged) {
    state_->charge(sizeof attempt.value);
    state_->message->add_acknowledged(attempt.value);
  }
  for (const CancelAttempt& cancel : send.cancel) state_->add(cancel);
  for (const Assignment& assignment : send.assign) state_->add(assignment);
  state_->message->set_batch(send.batch);
  state_->close();
  return std::exchange(state_->done, {});
}

}  // namespace chappe::wire
