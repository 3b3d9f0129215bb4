#include "scheduler/launch/pod_sidecars.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod.h"

namespace chappe::launch {
namespace {

constexpr std::string_view kTmpSize = "1Gi";
constexpr std::string_view kAlways = "Always";

/// To Kubernetes "$$" and "$(" in a text mean something.
std::string literal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    const bool means = text[i] == '$' && i + 1 < text.size() && (text[i + 1] == '$' || text[i + 1] == '(');
    if (means) out += '$';
  }
  return out;
}

ValueList literals(const std::vector<std::string>& texts) {
  ValueList out;
  for (const std::string& text : texts) out.emplace_back(literal(text));
  return out;
}

bool has_container(const ValueMap& spec, std::string_view name) {
  const Value whole(spec);
  for (const char* kind : {"containers", "initContainers"}) {
    const ValueList& all = items_of(whole.find(kind));
    if (std::ranges::any_of(all, [&](const Value& each) { return text_of(each.find("name")) == name; })) return true;
  }
  return name == kTaskContainer;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

/// "UID" or "UID:GID"
Result<void> run_as(ValueMap& context, const Sidecar& sidecar) {
  const std::string_view user = sidecar.container.user;
  const std::size_t colon = std::min(user.find(':'), user.size());
  const auto uid = number_of(user.substr(0, colon));
  const auto gid = colon == user.size() ? std::optional<std::int64_t>(0) : number_of(user.substr(colon + 1));
  if (!uid || !gid) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("sidecar '{}': in a pod its 'user' is a number, such as 1000 or 1000:1000, not '{}'",
                            sidecar.name, user));
  }
  put(context, "runAsUser", *uid);
  if (colon != user.size()) put(context, "runAsGroup", *gid);
  return {};
}

ValueMap resources_of(const Resources& need) {
  ValueMap out;
  if (need.cpu_milli > 0) put(object(out, "requests"), "cpu", fmt::format("{}m", need.cpu_milli));
  if (need.memory_bytes > 0) {
    put(object(out, "requests"), "memory", std::to_string(need.memory_bytes));
    put(object(out, "limits"), "memory", std::to_string(need.memory_bytes));
  }
  return out;
}

/// As long as it fails, the next container waits; after the last time the kubelet ends it.
Value probe_of(const Sidecar& sidecar) {
  const auto port = static_cast<std::int64_t>(sidecar.port);
  const std::int64_t seconds = std::chrono::ceil<std::chrono::seconds>(sidecar.ready_timeout).count();
  ValueMap probe{{"periodSeconds", 1}, {"timeoutSeconds", 2}, {"failureThreshold", std::max<std::int64_t>(seconds, 1)}};
  if (sidecar.ready_path.empty()) {
    probe.emplace_back("tcpSocket", ValueMap{{"port", port}});
  } else {
    probe.emplace_back("httpGet", ValueMap{{"path", sidecar.ready_path}, {"port", port}});
  }
  return probe;
}

std::string_view pull_policy(ContainerOptions::Pull pull) {
  return pull == ContainerOptions::Pull::kAlways  ? kAlways
         : pull == ContainerOptions::Pull::kNever ? "Never"
                                                  : "IfNotPresent";
}

Result<ValueMap> container_of(const Sidecar& sidecar, std::string_view tmp) {
  ValueMap out{{"name", sidecar.name},
               {"image", sidecar.image},
               {"imagePullPolicy", pull_policy(sidecar.container.pull)},
               {"restartPolicy", kAlways},
               {"terminationMessagePolicy", "FallbackToLogsOnError"}};
  if (!sidecar.command.empty()) put(out, "command", literals(sidecar.command));
  if (!sidecar.args.empty()) put(out, "args", literals(sidecar.args));
  for (const auto& [name, value] : sidecar.env) {
    list(out, "env").emplace_back(ValueMap{{"name", name}, {"value", literal(value)}});
  }
  if (ValueMap resources = resources_of(sidecar.resources); !resources.empty()) {
    put(out, "resources", std::move(resources));
  }
  if (sidecar.port != 0) put(out, "startupProbe", probe_of(sidecar));
  ValueMap& context = object(out, "securityContext");
  put(context, "readOnlyRootFilesystem", sidecar.container.read_only);
  if (!sidecar.container.user.empty()) {
    if (auto runs = run_as(context, sidecar); !runs) return fail(std::move(runs.error()));
  }
  mount(out, tmp, "/tmp", false);
  return out;
}

const Value* status_of(const Value& pod, std::string_view name) {
  for (const Value& each : items_of(find(&pod, "status", "initContainerStatuses"))) {
    if (text_of(each.find("name")) == name) return &each;
  }
  return nullptr;
}

/// Others are ready as soon as they run: what becomes of them then decides nothing.
bool has_probe(const Value& pod, std::string_view name) {
  for (const Value& each : items_of(find(&pod, "spec", "initContainers"))) {
    if (text_of(each.find("name")) == name) return each.find("startupProbe") != nullptr;
  }
  return false;
}

bool is_started(const Value* status) {
  const Value* started = find(status, "started");
  return started != nullptr && *started == Value(true);
}

}  // namespace

std::string names_of(const std::vector<Sidecar>& sidecars) {
  std::string out;
  for (const Sidecar& sidecar : sidecars) out += (out.empty() ? "" : ",") + sidecar.name;
  return out;
}

Result<void> add_sidecars(ValueMap& spec, const std::vector<Sidecar>& sidecars) {
  for (const Sidecar& sidecar : sidecars) {
    if (has_container(spec, sidecar.name)) {
      return fail(ErrorCode::kInvalidInput, fmt::format("sidecar '{}': the scheduler's pod template has a container of "
                                                        "that name already",
                                                        sidecar.name));
    }
    const std::string tmp = "chappe-tmp-" + sidecar.name;
    auto container = container_of(sidecar, tmp);
    if (!container) return fail(std::move(container.error()));
    add_volume(list(spec, "volumes"), tmp, kTmpSize);
    list(spec, "initContainers").emplace_back(*std::move(container));
  }
  return {};
}

std::vector<std::string> sidecars_of(const Value& pod) {
  std::vector<std::string> out;
  std::string_view rest;
  const Value* names = find(&pod, "metadata", "annotations", kSidecarsAnnotation);
  if (names != nullptr && names->as_string() != nullptr) rest = *names->as_string();
  while (!rest.empty() && out.size() < kSidecarsMax) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    out.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return out;
}

std::optional<std::string> failed_sidecar(const Value& pod) {
  for (const std::string& name : sidecars_of(pod)) {
    const Value* status = status_of(pod, name);
    if (is_started(status) || !has_probe(pod, name)) continue;
    const Value* ended = find(status, "state", "terminated");
    if (ended == nullptr) ended = find(status, "lastState", "terminated");
    if (ended == nullptr || ended->as_map() == nullptr) continue;
    const Value* code = ended->find("exitCode");
    std::string words = text_of(ended->find("message"));
    while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
    if (words.size() > kSidecarWordsMax) words.erase(0, words.size() - kSidecarWordsMax);
    std::ranges::replace(words, '\n', ' ');
    return fmt::format("sidecar '{}' was not ready: it ended with exit code {}{}{}", name,
                       code == nullptr ? "?" : to_text(*code), words.empty() ? "" : ": ", words);
  }
  return std::nullopt;
}

std::string unready_sidecar(const Value& pod) {
  for (const std::string& name : sidecars_of(pod)) {
    const Value* status = status_of(pod, name);
    if (find(status, "state", "running") != nullptr && !is_started(status)) return name;
  }
  return "";
}

bool goes_on(const Value& pod, std::string_view name) {
  for (const Value& each : items_of(find(&pod, "spec", "initContainers"))) {
    if (text_of(each.find("name")) == name) return text_of(each.find("restartPolicy")) == kAlways;
  }
  return false;
}

}  // namespace chappe::launch
