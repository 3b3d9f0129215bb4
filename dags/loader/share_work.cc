// What tasks do, once for all that do the same.
#include <functional>

#include "dags/loader/task_reader.h"

namespace chappe {
namespace {

/// Takes in everything that tells specs apart, so that few that differ share a hash.
class SpecHash {
 public:
  void text(std::string_view text) { mix(std::hash<std::string_view>{}(text)); }
  template <typename Int>
  void number(Int value) {
    mix(static_cast<std::size_t>(value) * 0x9E3779B97F4A7C15U);
  }
  void input(const InputArtifact& input) {
    text(input.name), text(input.path), text(input.from_artifact), text(input.asset.text());
    text(input.s3.text());
    number(input.from_task.value_or(0)), number(input.optional ? 1 : 2);
    if (input.select) text(input.select->output), number(input.select->by);
    number(input.mode.value_or(kModeMax + 1)), number(input.unpack);
  }
  void output(const OutputArtifact& output) {
    text(output.name), text(output.path), text(output.asset.text()), text(output.asset_name);
    number((output.required ? 1 : 0) + (output.non_empty ? 2 : 0) + (output.immutable ? 4 : 0)), number(output.pack);
    number(output.retention.count()), text(output.sha256.text());
  }
  void value(const OutputValue& value) {
    text(value.name), text(value.file), text(value.json_path), number(value.metric ? 1 : 2);
    if (value.default_value) text(to_json(*value.default_value));
  }
  std::size_t result() const { return hash_; }

 private:
  void mix(std::size_t part) { hash_ = (hash_ ^ part) * 1099511628211U + (hash_ >> 29); }
  std::size_t hash_ = 1469598103934665603U;
};

std::size_t hash_of(const WorkSpec& spec) {
  SpecHash hash;
  hash.number(spec.kind);
  hash.text(spec.script.text());
  hash.text(spec.shell);
  for (const expr::Template& argument : spec.command) hash.text(argument.text());
  for (const auto& [name, text] : spec.env) hash.text(name), hash.text(text.text());
  for (const SecretRef& secret : spec.secrets) hash.text(secret.name), hash.text(where_is(secret));
  hash.number(spec.store_credentials ? 1 : 2);
  for (const InputArtifact& input : spec.inputs) hash.input(input);
  for (const OutputArtifact& output : spec.outputs) hash.output(output);
  for (const OutputValue& value : spec.values) hash.value(value);
  for (const StateUse& use : spec.states) hash.text(use.name), hash.text(use.write), hash.number(use.scope);
  hash.number(spec.timeout.value_or(Duration(-1)).count());
  hash.number(spec.kill_grace.count());
  hash.text(spec.image.text()), hash.text(spec.container.user), hash.number(spec.container.network);
  hash.number(spec.container.pull), hash.number(spec.container.read_only ? 1 : 2);
  hash.number(spec.resources.cpu_milli), hash.number(spec.resources.memory_bytes), hash.number(spec.resources.gpus);
  for (const SidecarSpec& sidecar : spec.sidecars) {
    hash.text(sidecar.name), hash.text(sidecar.image.text()), hash.number(sidecar.port);
    for (const expr::Template& argument : sidecar.args) hash.text(argument.text());
  }
  if (spec.service) {
    hash.number(spec.service->ready), hash.text(spec.service->ready_at), hash.number(spec.service->port);
    hash.number(spec.service->ready_timeout.count());
  }
  return hash.result();
}

}  // namespace

std::shared_ptr<const WorkSpec> WorkSpecs::share(WorkSpec spec) {
  const std::size_t hash = hash_of(spec);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    if (*at->second == spec) return at->second;
  }
  return by_hash_.emplace(hash, std::make_shared<const WorkSpec>(std::move(spec)))->second;
}

}  // namespace chappe
