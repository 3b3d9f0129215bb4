#include "scheduler/launch/pod_status.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod.h"
#include "scheduler/launch/pod_sidecars.h"

namespace chappe::launch {
namespace {

using What = PodSeen::What;

PodSeen seen(What what, std::string message, Reason reason = Reason::kNone) {
  if (message.size() > kToldBytesMax) message.resize(kToldBytesMax);
  return {.what = what, .reason = reason, .message = std::move(message)};
}

/// "Evicted: the node was low on memory"
std::string told(const Value* state) {
  const std::string reason = text_of(find(state, "reason"));
  const std::string message = text_of(find(state, "message"));
  if (message.empty()) return reason;
  return reason.empty() ? message : fmt::format("{}: {}", reason, message);
}

const Value* container_state(const Value& pod, const char* kind, std::string_view name, const char* state) {
  for (const Value& each : items_of(find(&pod, "status", kind))) {
    if (text_of(each.find("name")) == name) return find(&each, "state", state);
  }
  return nullptr;
}

/// Why somebody takes the pod away; "" where nobody does.
std::string disruption(const Value& pod) {
  for (const Value& each : items_of(find(&pod, "status", "conditions"))) {
    const bool holds = text_of(each.find("type")) == "DisruptionTarget" && text_of(each.find("status")) == "True";
    if (holds) return told(&each);
  }
  return "";
}

/// Why the pod as a whole failed: eviction, preemption, a node's shutdown, its deadline.
std::string pod_reason(const Value& pod) {
  const std::string disrupted = disruption(pod);
  const std::string own = told(pod.find("status"));
  if (disrupted.empty() || own.empty()) return own.empty() ? disrupted : own;
  return fmt::format("{} ({})", own, disrupted);
}

Reason reason_of(const Value& pod) {
  return text_of(find(&pod, "status", "reason")) == "DeadlineExceeded" ? Reason::kTimeout : Reason::kLostWorker;
}

/// An init container that failed: the task's never began.
std::optional<PodSeen> failed_before(const Value& pod) {
  for (const Value& each : items_of(find(&pod, "status", "initContainerStatuses"))) {
    const Value* ended = find(&each, "state", "terminated");
    const Value* code = find(ended, "exitCode");
    if (code == nullptr || *code == Value(0) || goes_on(pod, text_of(each.find("name")))) continue;
    const std::string why = told(ended);
    return seen(What::kEnded,
                fmt::format("container {} ended with exit code {}{}", text_of(each.find("name")), to_text(*code),
                            why.empty() ? "" : " (" + why + ")"),
                Reason::kLaunchFailed);
  }
  auto sidecar = failed_sidecar(pod);
  if (!sidecar) return std::nullopt;
  return seen(What::kEnded, *std::move(sidecar), Reason::kLaunchFailed);
}

PodSeen ended(const Value& pod, const Value& state) {
  constexpr int kWorkerConfiguration = 2;  // Source: worker/app: what it was told makes no sense.
  const std::string reason = text_of(state.find("reason"));
  const std::string whole = pod_reason(pod);
  if (reason == "OOMKilled") return seen(What::kEnded, "the pod was killed for memory", Reason::kOom);
  if (!whole.empty()) return seen(What::kEnded, "the pod ended: " + whole, reason_of(pod));
  if (reason == "StartError" || reason == "ContainerCannotRun") {
    return seen(What::kEnded, "the container cannot start: " + told(&state), Reason::kLaunchFailed);
  }
  const Value* code = state.find("exitCode");
  const std::string message =
      fmt::format("the pod's worker ended with exit code {}{}", code == nullptr ? "?" : to_text(*code),
                  told(&state).empty() ? "" : " (" + told(&state) + ")");
  const bool is_setting = code != nullptr && *code == Value(kWorkerConfiguration);
  return seen(What::kEnded, message, is_setting ? Reason::kLaunchFailed : Reason::kLostWorker);
}

/// Why a pod that was made does not run yet.
PodSeen waiting(const Value& pod) {
  for (const char* kind : {"initContainerStatuses", "containerStatuses"}) {
    for (const Value& each : items_of(find(&pod, "status", kind))) {
      const Value* state = find(&each, "state", "waiting");
      const std::string reason = text_of(find(state, "reason"));
      if (reason.empty() || reason == "PodInitializing") continue;
      const std::string message = fmt::format("{} (container {})", told(state), text_of(each.find("name")));
      return seen(reason == "InvalidImageName" ? What::kRefused : What::kWaiting, message);
    }
  }
  if (const std::string name = unready_sidecar(pod); !name.empty()) {
    return seen(What::kWaiting, fmt::format("sidecar '{}' is not ready yet", name));
  }
  for (const Value& each : items_of(find(&pod, "status", "conditions"))) {
    const bool unplaced = text_of(each.find("type")) == "PodScheduled" && text_of(each.find("status")) == "False";
    if (unplaced) return seen(What::kWaiting, told(&each));
  }
  return seen(What::kWaiting, "");
}

/// Source: the Kubernetes API's ContainerStatus: runtimes write the image's id, or its name in a registry, and
/// dockershim put "docker-pullable://" in front.
std::string image_of(const Value& pod, const char* kind, std::string_view name) {
  for (const Value& each : items_of(find(&pod, "status", kind))) {
    if (text_of(each.find("name")) != name) continue;
    std::string image = text_of(each.find("imageID"));
    if (const std::size_t scheme = image.find("://"); scheme != std::string::npos) image.erase(0, scheme + 3);
    const bool is_digest = image.find("sha256:") != std::string::npos && image.find('\n') == std::string::npos;
    return is_digest ? image : "";
  }
  return "";
}

}  // namespace

std::string read_image(const Value& pod) {
  const std::string own = image_of(pod, "containerStatuses", kTaskContainer);
  if (own.empty() || own.size() > kImageBytesMax) return "";
  std::vector<std::pair<std::string, std::string>> sidecars;
  for (std::string& name : sidecars_of(pod)) {
    std::string image = image_of(pod, "initContainerStatuses", name);
    if (!image.empty()) sidecars.emplace_back(std::move(name), std::move(image));
  }
  std::string all = join_images(own, sidecars);
  return all.size() <= kImageBytesMax ? all : own;
}

PodSeen read_status(const Value& pod) {
  const std::string phase = text_of(find(&pod, "status", "phase"));
  if (const Value* state = container_state(pod, "containerStatuses", kTaskContainer, "terminated")) {
    return ended(pod, *state);
  }
  const bool runs = container_state(pod, "containerStatuses", kTaskContainer, "running") != nullptr;
  if (auto before = runs ? std::nullopt : failed_before(pod)) return *std::move(before);
  if (phase == "Failed" || phase == "Succeeded") {
    const std::string whole = pod_reason(pod);
    return seen(What::kEnded, whole.empty() ? "the pod ended" : "the pod ended: " + whole, reason_of(pod));
  }
  if (const Value* deleted = find(&pod, "metadata", "deletionTimestamp"); deleted != nullptr && !deleted->is_null()) {
    const std::string why = disruption(pod);
    return seen(What::kGone, why.empty() ? "the pod is being deleted" : "the pod is being deleted: " + why);
  }
  if (runs) return seen(What::kStarted, "");
  return waiting(pod);
}

}  // namespace chappe::launch
