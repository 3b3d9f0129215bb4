#include "engine/run/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "engine/model/secrets.h"

namespace chappe {
namespace {

constexpr std::size_t kPartDigits = 16;   ///< Of a part's digest: enough to tell two of them apart.
constexpr std::size_t kPartsToldMax = 8;  ///< Of parts that are told.

Value number_value(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::string scope_text(const LiveRun& run, CacheSpec::Scope scope) {
  switch (scope) {
    case CacheSpec::Scope::kRun:
      return "run " + run.row.id.text();
    case CacheSpec::Scope::kDag:
      return "dag " + run.row.dag;
    case CacheSpec::Scope::kNamespace:
      return "namespace " + run.dag->namespace_name;
  }
  return "";
}

Value command_value(const ResolvedWork& work) {
  ValueList command(work.command.begin(), work.command.end());
  return ValueMap{{"script", work.script}, {"shell", work.shell}, {"command", std::move(command)}};
}

/// How often it is pulled does not matter. That a tag has moved is not seen.
Value image_value(const ResolvedWork& work) {
  const ContainerOptions& options = work.container;
  return ValueList{work.image, options.user, name_of(options.network), options.read_only};
}

/// What may change a result: not what it may take of the machine, and not how long it may take to be ready.
Value sidecar_value(const Sidecar& sidecar) {
  ValueMap env;
  for (const auto& [name, value] : sidecar.env) env.emplace_back(name, value);
  return ValueList{sidecar.image,
                   ValueList(sidecar.command.begin(), sidecar.command.end()),
                   ValueList(sidecar.args.begin(), sidecar.args.end()),
                   std::move(env),
                   sidecar.container.user,
                   sidecar.container.read_only};
}

/// Where an object lies, and who made it, does not matter.
Value input_value(const ResolvedInput& input) {
  ValueList objects;
  for (const InputObject& object : input.objects) {
    objects.emplace_back(ValueList{object.path, object.sha256, number_value(object.size), object.packed});
  }
  ValueMap value{{"path", input.path}, {"collection", input.collection}, {"objects", std::move(objects)}};
  // What is as usual is left out: results from before there were these keys count.
  if (input.mode) value.emplace_back("mode", std::int64_t{*input.mode});
  if (input.unpack == Unpack::kNever) value.emplace_back("unpack", false);
  return value;
}

Value outputs_value(const ResolvedWork& work) {
  ValueList artifacts;
  for (const ResolvedOutput& output : work.outputs) {
    artifacts.emplace_back(ValueList{output.name, output.path, output.required, output.non_empty,
                                     static_cast<std::int64_t>(output.pack), output.asset_uri, output.asset_name,
                                     output.immutable});
    if (!output.sha256.empty()) artifacts.back().as_list()->emplace_back(output.sha256);
    if (output.schema != nullptr) artifacts.back().as_list()->emplace_back(to_value(*output.schema));
  }
  ValueList values;
  for (const OutputValue& value : work.values) {
    values.emplace_back(ValueList{value.name, value.file, value.json_path, value.default_value.value_or(Value()),
                                  value.default_value.has_value(), value.metric});
  }
  return ValueMap{{"artifacts", std::move(artifacts)}, {"values", std::move(values)}};
}

bool names(const ResolvedWork& work, std::string_view variable) {
  const auto holds = [&](const std::string& text) { return text.find(variable) != std::string::npos; };
  return holds(work.script) || std::any_of(work.command.begin(), work.command.end(), holds);
}

/// Without the secret ones.
Value params_value(const LiveRun& run) {
  ValueMap params;
  for (const ParamSpec& spec : run.dag->params) {
    const Value* value = run.params.find(spec.name);
    if (!spec.secret && value != nullptr) params.emplace_back(spec.name, *value);
  }
  return params;
}

/// The parts with their text.
class Parts {
 public:
  explicit Parts(const Sha256Hex& sha256) : sha256_(sha256) {}

  void add(std::string name, std::string_view text) {
    const std::string digest = sha256_(text);
    whole_ += fmt::format("{}:{} {}\n", name.size(), name, digest);
    parts_.emplace_back(std::move(name), digest.substr(0, kPartDigits));
  }
  void add(std::string name, const Value& value) { add(std::move(name), std::string_view(to_json(value))); }
  CacheKey take(std::string scope) { return {std::move(scope), sha256_(whole_), std::move(parts_)}; }

 private:
  const Sha256Hex& sha256_;
  std::string whole_;
  CacheParts parts_;
};

void add_env(const LiveRun& run, std::uint32_t index, const ResolvedWork& work, Parts& parts) {
  const WorkSpec& spec = *run.task(run.instances->task_of(index)).work;
  for (std::size_t i = 0; i < work.env.size(); ++i) {
    const bool secret = i < spec.env.size() && names_secret(*run.dag, spec.env[i].second.references());
    parts.add("env." + work.env[i].first, std::string_view(secret ? spec.env[i].second.text() : work.env[i].second));
  }
}

/// Where a secret is makes a result, what it is does not: a new password does not make a new one.
void add_secrets(const ResolvedWork& work, Parts& parts) {
  for (const SecretRef& secret : work.secrets) {
    parts.add("secrets." + secret.name, ValueList{where_is(secret), secret.as_file});
  }
}

void add_content(const LiveRun& run, std::uint32_t index, const ResolvedWork& work, Parts& parts) {
  parts.add("command", command_value(work));
  if (!work.image.empty()) parts.add("image", image_value(work));
  for (const Sidecar& sidecar : work.sidecars) parts.add("sidecars." + sidecar.name, sidecar_value(sidecar));
  add_env(run, index, work, parts);
  add_secrets(work, parts);
  for (const ResolvedInput& input : work.inputs) parts.add("inputs." + input.name, input_value(input));
  if (run.instances->mapped(run.instances->task_of(index))) parts.add("item", run.instances->item_of(index));
  if (names(work, "CHAPPE_PARAMS")) parts.add("params", params_value(run));
  constexpr std::array kTimes = {"CHAPPE_LOGICAL_TIME", "CHAPPE_INTERVAL_"};
  if (!std::any_of(kTimes.begin(), kTimes.end(), [&](const char* name) { return names(work, name); })) return;
  parts.add("time", ValueList{to_iso8601(run.row.logical_time), to_iso8601(run.row.interval_start),
                              to_iso8601(run.row.interval_end)});
}

/// Of the parts that two keys have, those that differ.
std::set<std::string> differences(const CacheParts& one, const CacheParts& other) {
  std::set<std::string> names;
  const auto add_missing = [&](const CacheParts& here, const CacheParts& there) {
    for (const auto& part : here) {
      if (std::find(there.begin(), there.end(), part) == there.end()) names.insert(part.first);
    }
  };
  add_missing(one, other);
  add_missing(other, one);
  return names;
}

std::string told_names(const std::set<std::string>& names) {
  std::string out;
  std::size_t told = 0;
  for (const std::string& name : names) {
    if (told == kPartsToldMax) break;
    out += (told++ == 0 ? "" : ", ") + name;
  }
  return names.size() > told ? fmt::format("{} and {} more", out, names.size() - told) : out;
}

}  // namespace

Result<CacheKey> cache_key(const LiveRun& run, std::uint32_t index, const ResolvedWork& work, const Sha256Hex& sha256) {
  const Task& task = run.task(run.instances->task_of(index));
  Parts parts(sha256);
  if (task.cache->key.text().empty()) {
    add_content(run, index, work, parts);
  } else {
    auto key = task.cache->key.expand(RunScope(run, index));
    if (!key) return fail(std::move(key.error()).in("cache key"));
    parts.add("key", std::string_view(*key));
    parts.add("task", std::string_view(task.id));
  }
  parts.add("outputs", outputs_value(work));
  if (!task.cache->version.empty()) parts.add("version", std::string_view(task.cache->version));
  return parts.take(scope_text(run, task.cache->scope));
}

std::string told_miss(const CacheParts& parts, std::span<const CacheEntryRow> others) {
  const CacheEntryRow* nearest = nullptr;
  std::set<std::string> least;
  for (const CacheEntryRow& other : others) {
    std::set<std::string> names = differences(parts, other.cache.parts);
    if (nearest != nullptr && names.size() >= least.size()) continue;
    nearest = &other;
    least = std::move(names);
  }
  if (nearest == nullptr) return "no result of it is kept";
  return fmt::format("attempt {} of run {} comes nearest, and differs in {}", to_text(nearest->attempt),
                     nearest->run.text(), told_names(least));
}

}  // namespace chappe
