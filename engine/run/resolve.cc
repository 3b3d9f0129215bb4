#include "engine/run/resolve.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/base/text.h"
#include "engine/model/object_name.h"
#include "engine/model/secrets.h"
#include "engine/run/cache.h"
#include "engine/run/datasets.h"
#include "engine/run/resolve_data.h"
#include "engine/run/resolve_http.h"
#include "engine/run/states.h"

namespace chappe {
namespace {

constexpr std::size_t kHandedMax = (128 << 10) - 512;  ///< Of Linux' 128 KiB, with room for a name.

bool is_constant(const WorkSpec& spec) {
  const auto literal = [](const expr::Template& text) { return text.is_literal(); };
  return spec.http == nullptr && literal(spec.script) && literal(spec.image) && spec.inputs.empty() &&
         spec.states.empty() && spec.sidecars.empty() &&
         std::all_of(spec.command.begin(), spec.command.end(), literal) &&
         std::all_of(spec.env.begin(), spec.env.end(), [&](const auto& each) { return literal(each.second); }) &&
         std::all_of(spec.outputs.begin(), spec.outputs.end(),
                     [&](const auto& each) { return literal(each.asset) && literal(each.sha256); });
}

InputObject object_of(const ArtifactRow& artifact, const InputArtifact& input) {
  InputObject object{.name = input.name, .path = input.path, .key = artifact.object.key};
  object.size = artifact.object.size;
  object.sha256 = artifact.object.sha256;
  object.packed = artifact.object.packed;
  object.asset = artifact.asset;
  object.producer = artifact.made_by_attempt ? artifact.made_by : artifact.key;
  object.producer_attempt = artifact.made_by_attempt ? artifact.made_by_attempt : artifact.attempt;
  return object;
}

InputObject object_of(const AssetVersion& version, const InputArtifact& input) {
  InputObject object{.name = input.name, .path = input.path, .key = version.key};
  object.size = version.size;
  object.sha256 = version.sha256;
  object.packed = version.packed;
  object.asset = version.id;
  object.producer = version.producer;
  object.producer_attempt = version.attempt;
  return object;
}

/// A value as a file of JSON: its object, or its text.
std::optional<InputObject> object_of_value(const LiveRun& run, std::uint32_t index, const InputArtifact& input,
                                           const Sha256Hex& sha256) {
  if (const ArtifactRow* artifact = output_artifact(run, index, value_object_name(input.from_artifact))) {
    return object_of(*artifact, input);
  }
  const Value* value = output_value(run, index, input.from_artifact);
  if (value == nullptr) return std::nullopt;
  InputObject object{.name = input.name, .path = input.path, .text = to_json(*value)};
  object.size = object.text.size();
  object.sha256 = sha256(object.text);
  object.producer = {run.row.seq, index};
  object.producer_attempt = run.states[index].attempt;
  return object;
}

std::optional<InputObject> object_of_output(const LiveRun& run, std::uint32_t index, const InputArtifact& input,
                                            const Sha256Hex& sha256) {
  const ArtifactRow* artifact = output_artifact(run, index, input.from_artifact);
  return artifact != nullptr ? object_of(*artifact, input) : object_of_value(run, index, input, sha256);
}

/// The instances that the input is read from. Of a task that the reader's items are in step with: the one of its item.
Result<std::vector<std::uint32_t>> sources_of(const LiveRun& run, std::uint32_t reader, const InputArtifact& input) {
  const std::uint32_t task = *input.from_task;
  if (!run.dag->in_step(run.instances->task_of(reader), task)) return select_instances(run, task, input.select);
  const std::uint32_t of_item = run.awaited(reader, task).next;
  if (run.states[of_item].state != TaskState::kSuccess) return std::vector<std::uint32_t>{};
  return std::vector<std::uint32_t>{of_item};
}

/// What was collected is not absent: an optional input that the task has had before does not vanish.
Result<void> check_kept(const LiveRun& run, std::uint32_t index, const InputArtifact& input) {
  const ArtifactRow* artifact = output_artifact(run, index, input.from_artifact);
  if (artifact == nullptr || !artifact->collected_at.is_set() || CHAPPE_MUTANT(kHandsOutCollectedArtifacts)) return {};
  const std::string name = run.instances->name_of(index);
  return fail(ErrorCode::kNotFound,
              fmt::format("input '{}': {}.{} was collected at {}, when its retention had passed; run '{}' again, too",
                          input.name, name, input.from_artifact, to_iso8601(artifact->collected_at), name));
}

Result<ResolvedInput> resolve_from_task(const LiveRun& run, std::uint32_t reader, const InputArtifact& input,
                                        const Sha256Hex& sha256) {
  ResolvedInput out{.name = input.name, .path = input.path};
  const std::uint32_t task = *input.from_task;
  const std::string source = fmt::format("{}.{}", run.task(task).id, input.from_artifact);
  auto chosen = sources_of(run, reader, input);
  if (!chosen && !input.optional) return fail(std::move(chosen.error()));
  const bool of_item = run.dag->in_step(run.instances->task_of(reader), task);
  out.collection = run.instances->mapped(task) && !input.select && !of_item;
  for (const std::uint32_t index : chosen.value_or(std::vector<std::uint32_t>{})) {
    auto object = object_of_output(run, index, input, sha256);
    if (!object) continue;
    if (auto there = check_kept(run, index, input); !there) return fail(std::move(there.error()));
    if (out.collection) object->path += "/" + path_segment(run.instances->key_of(index));
    out.objects.push_back(std::move(*object));
  }
  if (out.objects.empty() && !input.optional) {
    return fail(ErrorCode::kNotFound, fmt::format("input '{}': {} is absent", input.name, source));
  }
  return out;
}

Result<ResolvedInput> resolve_asset(const LiveRun& run, std::uint32_t index, const InputArtifact& input,
                                    const EngineState& state) {
  ResolvedInput out{.name = input.name, .path = input.path};
  auto name = input.asset.expand(RunScope(run, index));
  if (!name) return fail(std::move(name.error()).in(fmt::format("input '{}'", input.name)));
  const auto& table = name->find('@') == std::string::npos ? state.newest_assets : state.aliases;
  const auto found = table.find(*name);
  if (found != table.end()) {
    out.objects.push_back(object_of(found->second, input));
  } else if (!input.optional) {
    return fail(ErrorCode::kNotFound,
                fmt::format("input '{}': no version of '{}' has been published", input.name, *name));
  }
  return out;
}

Result<ResolvedInput> resolve_object(const LiveRun& run, std::uint32_t index, const InputArtifact& input) {
  ResolvedInput out{.name = input.name, .path = input.path};
  auto name = input.s3.expand(RunScope(run, index));
  if (!name) return fail(std::move(name.error()).in(fmt::format("input '{}'", input.name)));
  if (const std::string problem = object_name_problem(*name); !problem.empty()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("input '{}': 's3' {}, not '{}'", input.name, problem, name->substr(0, 100)));
  }
  InputObject object{.name = input.name, .path = input.path};
  object.packed = input.unpack == Unpack::kAlways;
  object.s3 = std::move(*name);
  object.may_be_absent = input.optional;
  out.objects.push_back(std::move(object));
  return out;
}

Result<ResolvedInput> resolve_input(const LiveRun& run, std::uint32_t index, const InputArtifact& input,
                                    const EngineState& state) {
  if (input.from_task) return resolve_from_task(run, index, input, state.config.sha256);
  if (!input.s3.text().empty()) return resolve_object(run, index, input);
  return resolve_asset(run, index, input, state);
}

/// The objects are as `unpack` and `mode` want them.
Result<void> check_form(const ResolvedInput& input) {
  for (const InputObject& object : input.objects) {
    if (input.unpack == Unpack::kAlways && !object.packed) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("input '{}' is a file: what 'unpack: true' takes is a directory that an output packed",
                              input.name));
    }
    if (input.mode && object.packed && input.unpack != Unpack::kNever) {
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("input '{}' is a directory, and 'mode' is of a file; or say 'unpack: false'", input.name));
    }
  }
  return {};
}

Result<std::string> resolve_hash(const RunScope& scope, const OutputArtifact& output) {
  auto hash = output.sha256.expand(scope);
  const std::string what = fmt::format("sha256 of output '{}'", output.name);
  if (!hash) return fail(std::move(hash.error()).in(what));
  if (output.sha256.text().empty()) return "";
  if (!is_sha256(*hash)) return fail(ErrorCode::kInvalidInput, what + " is no 64 hexadecimal digits");
  for (char& digit : *hash) digit = digit >= 'A' && digit <= 'F' ? static_cast<char>(digit - 'A' + 'a') : digit;
  return hash;
}

Result<ResolvedOutput> resolve_output(const RunScope& scope, const OutputArtifact& output) {
  ResolvedOutput out{.name = output.name, .path = output.path, .required = output.required};
  out.non_empty = output.non_empty;
  out.pack = output.pack;
  out.asset_name = output.asset_name;
  out.immutable = output.immutable;
  auto uri = output.asset.expand(scope);
  if (!uri) return fail(std::move(uri.error()).in(fmt::format("asset of output '{}'", output.name)));
  out.asset_uri = std::move(*uri);
  auto hash = resolve_hash(scope, output);
  if (!hash) return fail(std::move(hash.error()));
  out.sha256 = std::move(*hash);
  out.schema = output.schema;
  return out;
}

/// What an attempt may name besides: `state.NAME`.
class AttemptScope : public RunScope {
 public:
  AttemptScope(const LiveRun& run, std::uint32_t index, const WorkSpec& spec, const EngineState& state)
      : RunScope(run, index), dag_(*run.dag), spec_(spec), state_(state) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] != "state" || spec_.states.empty()) return RunScope::resolve(path);
    ValueMap values;
    for (const StateUse& use : spec_.states) {
      if (auto value = state_value(state_, dag_, use)) values.emplace_back(use.name, *std::move(value));
    }
    return Value(std::move(values));
  }

 private:
  const Dag& dag_;
  const WorkSpec& spec_;
  const EngineState& state_;
};

std::string variable_of(const StateUse& use) {
  std::string name = "CHAPPE_STATE_" + use.name;
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

/// CHAPPE_STATE_NAME and CHAPPE_STATE_NAME_VERSION; the first one only where there is a value.
Result<void> add_states(const LiveRun& run, const WorkSpec& spec, const EngineState& state, ResolvedWork& out) {
  for (const StateUse& use : spec.states) {
    const StateRow* row = state.find_state(*run.dag, use);
    if (const auto value = state_value(state, *run.dag, use)) {
      std::string text = to_text(*value);
      if (text.find('\0') != std::string::npos) {
        return fail(ErrorCode::kInvalidInput, fmt::format("state '{}' holds a NUL character, which no program can be "
                                                          "handed",
                                                          use.name));
      }
      out.env.emplace_back(variable_of(use), std::move(text));
    }
    out.env.emplace_back(variable_of(use) + "_VERSION", std::to_string(row == nullptr ? 0 : row->version));
  }
  return {};
}

/// What goes to a program: beyond a NUL it would see nothing.
Result<std::string> handed_over(const expr::Template& text, const AttemptScope& scope) {
  auto expanded = text.expand(scope);
  if (expanded && expanded->find('\0') != std::string::npos) {
    return fail(ErrorCode::kInvalidInput, "the value holds a NUL character, which no program can be handed");
  }
  if (expanded && expanded->size() > kHandedMax) {
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("the text has {} bytes, and a program can be handed {} at most: read a large value as a file, "
                    "with 'from: TASK.VALUE' among inputs.artifacts",
                    expanded->size(), kHandedMax));
  }
  return expanded;
}

Result<Sidecar> resolve_sidecar(const SidecarSpec& spec, const AttemptScope& scope) {
  Sidecar out{.name = spec.name, .resources = spec.resources, .container = spec.container};
  out.port = spec.port;
  out.ready_path = spec.ready_path;
  out.ready_timeout = spec.ready_timeout;
  auto image = handed_over(spec.image, scope);
  if (!image) return fail(std::move(image.error()).in("image"));
  out.image = *std::move(image);
  if (out.image.empty()) return fail(ErrorCode::kInvalidInput, "its 'image' came to nothing");
  for (const auto& [from, to] : {std::pair(&spec.command, &out.command), std::pair(&spec.args, &out.args)}) {
    for (const expr::Template& argument : *from) {
      auto text = handed_over(argument, scope);
      if (!text) return fail(std::move(text.error()).in(from == &spec.command ? "command" : "args"));
      to->push_back(*std::move(text));
    }
  }
  for (const auto& [name, value] : spec.env) {
    auto text = handed_over(value, scope);
    if (!text) return fail(std::move(text.error()).in("env " + name));
    out.env.emplace_back(name, *std::move(text));
  }
  return out;
}

Result<ResolvedWork> resolve(const LiveRun& run, std::uint32_t index, const WorkSpec& spec, const EngineState& state) {
  const AttemptScope scope(run, index, spec, state);
  ResolvedWork out{.kind = spec.kind};
  auto script = spec.script.expand(scope);
  if (!script) return fail(std::move(script.error()).in("run"));
  out.script = std::move(*script);
  out.shell = spec.shell;
  for (const expr::Template& argument : spec.command) {
    auto text = handed_over(argument, scope);
    if (!text) return fail(std::move(text.error()).in("command"));
    out.command.push_back(std::move(*text));
  }
  for (const auto& [name, value] : spec.env) {
    auto text = handed_over(value, scope);
    if (!text)
      return fail(without_secrets(*run.dag, run.params, value.references(), std::move(text.error())).in("env " + name));
    out.env.emplace_back(name, std::move(*text));
  }
  if (auto added = add_states(run, spec, state, out); !added) return fail(std::move(added.error()));
  out.secrets = spec.secrets;
  out.store_credentials = spec.store_credentials;
  for (const InputArtifact& input : spec.inputs) {
    auto resolved = resolve_input(run, index, input, state);
    if (!resolved) return fail(std::move(resolved.error()));
    resolved->mode = input.mode;
    resolved->unpack = input.unpack;
    if (auto fits = check_form(*resolved); !fits) return fail(std::move(fits.error()));
    out.inputs.push_back(std::move(*resolved));
  }
  if (auto fits = check_fits(out.inputs); !fits) return fail(std::move(fits.error()));
  for (const OutputArtifact& output : spec.outputs) {
    auto resolved = resolve_output(scope, output);
    if (!resolved) return fail(std::move(resolved.error()));
    out.outputs.push_back(std::move(*resolved));
  }
  if (!spec.service) out.values = spec.values;  // Those of a service are told while it runs.
  out.service = spec.service;
  out.timeout = spec.timeout;
  out.kill_grace = spec.kill_grace;
  out.resources = spec.resources;
  auto image = handed_over(spec.image, scope);
  if (!image) return fail(std::move(image.error()).in("image"));
  out.image = std::move(*image);
  out.container = spec.container;
  for (const SidecarSpec& sidecar : spec.sidecars) {
    auto resolved = resolve_sidecar(sidecar, scope);
    if (!resolved) return fail(std::move(resolved.error()).in("sidecar " + sidecar.name));
    out.sidecars.push_back(*std::move(resolved));
  }
  if (spec.check != nullptr) {
    auto check = resolve_data(run, scope, spec);
    if (!check) return fail(std::move(check.error()));
    out.check = std::make_shared<const DataCheck>(std::move(*check));
  }
  if (spec.http == nullptr) return out;
  auto http = resolve_http(*spec.http, scope, [&](const expr::Template& text, Error error) {
    return without_secrets(*run.dag, run.params, text.references(), std::move(error));
  });
  if (!http) return fail(std::move(http.error()));
  out.http = std::make_shared<const ResolvedHttp>(std::move(*http));
  return out;
}

}  // namespace

Result<void> check_fits(std::span<const ResolvedInput> inputs) {
  constexpr std::size_t kAround = 64;  // Numbers, and what the encoding adds.
  std::size_t objects = 0;
  std::size_t bytes = 0;
  for (const ResolvedInput& input : inputs) {
    objects += input.objects.size();
    for (const InputObject& object : input.objects) {
      bytes += object.name.size() + object.path.size() + object.key.size() + object.text.size() + object.sha256.size();
      bytes += object.s3.size() + kAround;
    }
  }
  if (bytes <= kInputTextMax) return {};
  return fail(ErrorCode::kInvalidInput,
              fmt::format("its {} input objects are more than a worker can be told of at once ({} MiB of names); read "
                          "them in several tasks, or pack them",
                          objects, kInputTextMax >> 20));
}

namespace {

/// With what the first try needs.
Result<std::shared_ptr<const ResolvedWork>> resolve_first(LiveRun& run, std::uint32_t index, const EngineState& state) {
  const WorkSpec& spec = *run.task(run.instances->task_of(index)).work;
  if (const auto known = run.constant_work.find(&spec); known != run.constant_work.end()) return known->second;
  auto resolved = resolve(run, index, spec, state);
  if (!resolved) return fail(std::move(resolved.error()));
  auto work = std::make_shared<const ResolvedWork>(std::move(*resolved));
  if (is_constant(spec)) run.constant_work[&spec] = work;
  return work;
}

}  // namespace

Result<std::shared_ptr<const ResolvedWork>> resolve_work(LiveRun& run, std::uint32_t index, const EngineState& state) {
  if (auto declared = datasets_of(run, index); !declared) return fail(std::move(declared.error()));
  auto work = resolve_first(run, index, state);
  if (!work || CHAPPE_MUTANT(kForgetsScale)) return work;
  const Resources needs = run.own_resources_of(index);
  if ((*work)->resources == needs) return work;
  auto larger = std::make_shared<ResolvedWork>(**work);
  larger->resources = needs;
  return std::shared_ptr<const ResolvedWork>(std::move(larger));
}

}  // namespace chappe
