#include "scheduler/launch/fleet_scaler.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <vector>

#include "engine/ports/log.h"
#include "scheduler/launch/json_map.h"

namespace chappe::launch {
namespace {

/// Source: Kubernetes, "ReplicaSet", "Pod deletion cost": of pods that are alike those with the least go first.
constexpr std::string_view kDeletionCost = "controller.kubernetes.io/pod-deletion-cost";
constexpr std::string_view kCheap = "-1000", kUsual = "0";

MonoTime steady_now() {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

Failure refusal(const ApiAnswer& answer, std::string_view what) {
  return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, answer.message));
}

/// "a=b,c=d"; "" where it is no selector of this kind.
std::string selector_of(const Value* labels) {
  if (labels == nullptr || labels->as_map() == nullptr) return "";
  std::vector<std::string> parts;
  for (const auto& [name, value] : *labels->as_map()) parts.push_back(fmt::format("{}={}", name, text_of(&value)));
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace

FleetScaler::FleetScaler(ApiConfig api, FleetConfig config, Ask ask, Report report)
    : api_(api),
      config_(std::move(config)),
      pods_path_(fmt::format("/api/v1/namespaces/{}/pods", http::percent_encode(api.namespace_name))),
      deployment_path_(fmt::format("/apis/apps/v1/namespaces/{}/deployments/{}",
                                   http::percent_encode(api.namespace_name), http::percent_encode(config_.deployment))),
      ask_(std::move(ask)),
      report_(std::move(report)),
      fleet_(config_.bounds),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

FleetScaler::~FleetScaler() { thread_.request_stop(); }

void FleetScaler::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto looked = look();
    const std::string complaint = looked ? "" : looked.error().message;
    if (complaint != complaint_ && !complaint.empty()) log::warn("workers of {}: {}", config_.deployment, complaint);
    complaint_ = complaint;
    std::unique_lock lock(mutex_);
    (void)stopped_.wait_for(lock, stop, config_.look_every, [] { return false; });
  }
}

Result<void> FleetScaler::look() {
  const auto deployment = read_deployment();
  if (!deployment) return fail(deployment.error());
  const auto members = read_members(deployment->selector);
  if (!members) return fail(members.error());
  const auto view = ask_(members->pods);
  if (!view) return {};
  const FleetOrder order = fleet_.decide(deployment->size, view->load, view->members, steady_now());
  if (order.resting != resting_) {
    resting_ = order.resting;
    report_({order.resting});
  }
  return order.size == deployment->size ? Result<void>() : resize(*deployment, *members, order);
}

Result<FleetScaler::Deployment> FleetScaler::read_deployment() {
  const auto answer = api_.ask("GET", deployment_path_);
  if (!answer) return fail(answer.error());
  if (!answer->is_success()) return refusal(*answer, "read it");
  Deployment out{.version = text_of(find(&answer->body, "metadata", "resourceVersion")),
                 .selector = selector_of(find(&answer->body, "spec", "selector", "matchLabels"))};
  const Value* size = find(&answer->body, "spec", "replicas");
  out.size = size == nullptr || size->as_int() == nullptr ? 1 : static_cast<std::uint32_t>(*size->as_int());
  if (!out.selector.empty()) return out;
  return fail(ErrorCode::kUnavailable, "its selector has no matchLabels");
}

Result<FleetScaler::Members> FleetScaler::read_members(const std::string& selector) {
  const auto listed = api_.list(selector);
  if (!listed) return fail(listed.error());
  Members out;
  for (const Value& pod : listed->pods) {
    const Value* deleted = find(&pod, "metadata", "deletionTimestamp");
    const std::string phase = text_of(find(&pod, "status", "phase"));
    if ((deleted != nullptr && !deleted->is_null()) || phase == "Failed" || phase == "Succeeded") continue;
    const std::string name = text_of(find(&pod, "metadata", "name"));
    out.pods.insert(name);
    if (text_of(find(&pod, "metadata", "annotations", kDeletionCost)) == kCheap) out.marked.insert(name);
  }
  return out;
}

/// Whatever fails before the last request leaves it as large as it is.
Result<void> FleetScaler::resize(const Deployment& deployment, const Members& members, const FleetOrder& order) {
  for (const std::string& pod : members.marked) {
    if (order.leaving.contains(pod)) continue;
    if (auto done = mark(pod, false); !done) return done;
  }
  for (const std::string& pod : order.leaving) {
    if (members.marked.contains(pod)) continue;
    if (auto done = mark(pod, true); !done) return done;
  }
  // Refused where somebody else changed it since: then it is looked at again.
  const Value scale = ValueMap{{"metadata", ValueMap{{"resourceVersion", deployment.version}}},
                               {"spec", ValueMap{{"replicas", static_cast<std::int64_t>(order.size)}}}};
  const auto answer = api_.ask("PATCH", deployment_path_ + "/scale", scale);
  if (!answer) return fail(answer.error());
  if (!answer->is_success()) return refusal(*answer, "scale it");
  log::info("workers of {}: {} of {}", config_.deployment, order.size, deployment.size);
  return {};
}

Result<void> FleetScaler::mark(const std::string& pod, bool goes) {
  const Value patch =
      ValueMap{{"metadata", ValueMap{{"annotations", ValueMap{{std::string(kDeletionCost), goes ? kCheap : kUsual}}}}}};
  const auto answer = api_.ask("PATCH", pods_path_ + "/" + http::percent_encode(pod), patch);
  if (!answer) return fail(answer.error());
  return answer->is_success() ? Result<void>() : refusal(*answer, "mark pod " + pod);
}

}  // namespace chappe::launch
