#include "scheduler/launch/pod.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod_security.h"
#include "scheduler/launch/pod_sidecars.h"

namespace chappe::launch {
namespace {

constexpr std::string_view kProgram = "/chappe/bin/chappe-worker";
constexpr std::string_view kProgramVolume = "chappe-bin", kWorkVolume = "chappe-work", kTmpVolume = "chappe-tmp";
/// Also the taint that keeps nodes with GPUs for pods that ask for some.
constexpr std::string_view kGpuResource = "nvidia.com/gpu";
constexpr std::string_view kWorkPath = "/chappe/work";
constexpr std::int64_t kUser = 65'532;                           ///< Of the template's, where it names none.
constexpr std::int64_t kGraceBeyondTask = 10;                    ///< Seconds, for the worker's own farewell.
constexpr std::uint64_t kWorkerBytes = std::uint64_t{64} << 20;  ///< Of memory, beside the task's.
constexpr Duration kStartMax = std::chrono::hours(1);            ///< What a pod with a deadline may take to start.

std::int64_t seconds_of(Duration time) { return std::chrono::ceil<std::chrono::seconds>(time).count(); }

/// The container of that name, taken out of the list; an empty one where there is none.
ValueMap take_container(ValueList& containers, std::string_view name) {
  for (auto it = containers.begin(); it != containers.end(); ++it) {
    if (text_of(it->find("name")) != name) continue;
    ValueMap found = std::move(*it->as_map());
    containers.erase(it);
    return found;
  }
  return {};
}

/// What "restricted" asks of each container, and a root file system that nobody writes to.
void secure(ValueMap& container) {
  ValueMap& context = object(container, "securityContext");
  put(context, "allowPrivilegeEscalation", false);
  object(context, "capabilities");
  put(object(context, "capabilities"), "drop", ValueList{"ALL"});
  put_default(context, "readOnlyRootFilesystem", true);
}

/// The worker's own variables, but for those by which the operator says what its DAGs may have.
bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 4> kOpen = {"CHAPPE_SECRET_ENV", "CHAPPE_SECRET_FILES",
                                                     "CHAPPE_VAULT_TOKEN_FILE", "CHAPPE_TASK_CREDENTIALS"};
  return name.starts_with("CHAPPE_") && std::find(kOpen.begin(), kOpen.end(), name) == kOpen.end();
}

class PodMaker {
 public:
  PodMaker(const PodSettings& settings, const PodOrder& order, const std::string& join_key)
      : settings_(settings), order_(order), join_key_(join_key), task_(order.dag->tasks[order.task]) {}

  Result<Value> make() {
    const Value* spec = settings_.pod_template.find("spec");
    if (spec != nullptr && spec->as_map() != nullptr) spec_ = *spec->as_map();
    if (auto placed = place(); !placed) return fail(std::move(placed.error()));
    add_containers();
    if (auto beside = add_sidecars(spec_, order_.sidecars); !beside) return fail(std::move(beside.error()));
    if (auto mounted = mount_volumes(); !mounted) return fail(std::move(mounted.error()));
    ValueList& containers = list(spec_, "containers");
    containers.insert(containers.begin(), std::move(main_));
    for (Value& container : containers) secure(*container.as_map());
    for (Value& container : list(spec_, "initContainers")) secure(*container.as_map());
    set_pod_wide();
    Value pod = ValueMap{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata()}, {"spec", std::move(spec_)}};
    const std::vector<std::string> violations = find_violations(pod);
    if (violations.empty()) return pod;
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the pod would not be \"restricted\": {}", fmt::join(violations, "; ")));
  }

 private:
  const PodSpec& asked() const {
    static const PodSpec kNothing;
    return task_.pod == nullptr ? kNothing : *task_.pod;
  }

  Value metadata() const {
    ValueMap out;
    const Value* given = settings_.pod_template.find("metadata");
    if (given != nullptr && given->as_map() != nullptr) out = *given->as_map();
    put(out, "name", order_.pod);
    put(out, "namespace", settings_.namespace_name);
    ValueMap& labels = object(out, "labels");
    put(labels, "app.kubernetes.io/managed-by", "chappe");
    put(labels, kInstallationLabel, settings_.installation);
    put(labels, kAttemptLabel, to_text(order_.what.attempt));
    put(labels, kRunLabel, order_.run->id.text());
    put(labels, "chappe/dag", label_value(order_.run->dag));
    put(labels, "chappe/task", label_value(task_.id));
    ValueMap& annotations = object(out, "annotations");
    put(annotations, "chappe/dag", order_.run->dag);
    put(annotations, "chappe/task", task_.id);
    if (!order_.map_key.empty()) put(annotations, "chappe/map-key", order_.map_key);
    put(annotations, "chappe/attempt-number", std::to_string(order_.attempt_no));
    if (!order_.sidecars.empty()) put(annotations, kSidecarsAnnotation, names_of(order_.sidecars));
    return out;
  }

  /// On which nodes; as whom.
  Result<void> place() {
    ValueMap& nodes = object(spec_, "nodeSelector");
    for (const auto& [name, value] : asked().node_selector) {
      Value& now = member(nodes, name);
      if (!now.is_null() && now != Value(value)) {
        return fail(ErrorCode::kInvalidInput, fmt::format("node_selector: the scheduler's pod template has {}={}, the "
                                                          "task may not change it to {}",
                                                          name, to_text(now), value));
      }
      now = value;
    }
    ValueList& tolerations = list(spec_, "tolerations");
    for (const std::string& taint : task_.where.tolerations) {
      tolerations.emplace_back(ValueMap{{"key", taint}, {"operator", "Exists"}});
    }
    const Value gpus = ValueMap{{"key", kGpuResource}, {"operator", "Exists"}};
    const bool is_there = std::find(tolerations.begin(), tolerations.end(), gpus) != tolerations.end();
    if (order_.resources.gpus > 0 && !is_there) tolerations.push_back(gpus);
    if (!asked().service_account.empty()) put(spec_, "serviceAccountName", asked().service_account);
    return {};
  }

  void add_containers() {
    main_ = take_container(list(spec_, "containers"), kTaskContainer);
    put(main_, "name", kTaskContainer);
    if (!order_.image.empty()) put(main_, "image", order_.image);
    put_default(main_, "image", settings_.image);
    main_.erase(std::remove_if(main_.begin(), main_.end(), [](const auto& each) { return each.first == "args"; }),
                main_.end());
    put(main_, "command",
        ValueList{kProgram, "--one-attempt", "--scheduler", settings_.scheduler, "--server-key", settings_.server_key,
                  "--object-store", settings_.object_store, "--work-dir", kWorkPath, "--name", order_.pod});
    ValueList& env = list(main_, "env");
    std::erase_if(env, [](const Value& each) { return is_reserved(text_of(each.find("name"))); });
    env.emplace_back(ValueMap{{"name", "CHAPPE_JOIN_KEY"}, {"value", join_key_}});
    add_secrets(env);
    set_resources();
    ValueMap worker{{"name", kWorkerContainer},
                    {"image", settings_.image},
                    {"command", ValueList{"chappe-worker", "--copy-to", kProgram}},
                    {"resources", ValueMap{{"requests", ValueMap{{"cpu", "10m"}, {"memory", "64Mi"}}},
                                           {"limits", ValueMap{{"memory", "64Mi"}}}}}};
    mount(worker, kProgramVolume, "/chappe/bin", false);
    ValueList& before = list(spec_, "initContainers");
    before.insert(before.begin(), std::move(worker));
  }

  /// By reference: the kubelet looks them up, this scheduler may not.
  void add_secrets(ValueList& env) const {
    for (const SecretRef& secret : task_.work->secrets) {
      if (secret.source != SecretRef::Source::kKubernetes) continue;
      ValueMap entry{{"secretKeyRef", ValueMap{{"name", secret.place}, {"key", secret.key}}}};
      env.emplace_back(
          ValueMap{{"name", fmt::format("{}{}", kPodSecretPrefix, secret.name)}, {"valueFrom", std::move(entry)}});
    }
  }

  /// What the task asks for; of what it leaves open, the template's.
  void set_resources() {
    const Resources& need = order_.resources;
    ValueMap& resources = object(main_, "resources");
    put(object(resources, "requests"), "cpu", fmt::format("{}m", need.cpu_milli));
    if (need.memory_bytes > 0) {
      const std::string bytes = std::to_string(need.memory_bytes + kWorkerBytes);
      put(object(resources, "requests"), "memory", bytes);
      put(object(resources, "limits"), "memory", bytes);
    }
    if (need.gpus == 0) return;
    put(object(resources, "requests"), kGpuResource, std::to_string(need.gpus));
    put(object(resources, "limits"), kGpuResource, std::to_string(need.gpus));
  }

  Result<void> mount_volumes() {
    ValueList& volumes = list(spec_, "volumes");
    for (const PodMount& wanted : asked().volumes) {
      const auto same = [&](const Value& each) { return text_of(each.find("name")) == wanted.volume; };
      if (std::none_of(volumes.begin(), volumes.end(), same)) {
        return fail(ErrorCode::kInvalidInput,
                    fmt::format("volumes: the scheduler's pod template has no volume '{}'", wanted.volume));
      }
      if (wanted.path == "/chappe" || wanted.path.starts_with("/chappe/")) {
        return fail(ErrorCode::kInvalidInput, fmt::format("volumes: {} is the worker's own", wanted.path));
      }
      mount(main_, wanted.volume, wanted.path, wanted.read_only);
    }
    add_volume(volumes, kProgramVolume, "256Mi");
    add_volume(volumes, kWorkVolume, "10Gi");
    add_volume(volumes, kTmpVolume, "1Gi");
    mount(main_, kProgramVolume, "/chappe/bin", true);
    mount(main_, kWorkVolume, kWorkPath, false);
    const ValueList& mounts = list(main_, "volumeMounts");
    const auto is_tmp = [](const Value& each) { return text_of(each.find("mountPath")) == "/tmp"; };
    if (std::none_of(mounts.begin(), mounts.end(), is_tmp)) mount(main_, kTmpVolume, "/tmp", false);
    return {};
  }

  void set_pod_wide() {
    const WorkSpec& work = *task_.work;
    put(spec_, "restartPolicy", "Never");
    put_default(spec_, "automountServiceAccountToken", false);
    put_default(spec_, "enableServiceLinks", false);
    put(spec_, "terminationGracePeriodSeconds", seconds_of(work.kill_grace) + kGraceBeyondTask);
    // The worker itself sees to the task's timeout; this is for a worker that cannot.
    if (work.timeout) {
      Duration start = kStartMax;
      for (const Sidecar& sidecar : order_.sidecars) start += sidecar.ready_timeout;
      put(spec_, "activeDeadlineSeconds", seconds_of(*work.timeout + work.kill_grace + start));
    }
    ValueMap& context = object(spec_, "securityContext");
    put_default(context, "runAsNonRoot", true);
    put_default(context, "runAsUser", kUser);
    put_default(context, "fsGroup", kUser);
    put_default(context, "seccompProfile", ValueMap{{"type", "RuntimeDefault"}});
  }

  const PodSettings& settings_;
  const PodOrder& order_;
  const std::string& join_key_;
  const Task& task_;
  ValueMap spec_;
  ValueMap main_;
};

/// What of a template has no meaning here, or would be misunderstood.
Result<void> check_form(const Value& pod_template) {
  const auto wrong = [](std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); };
  if (pod_template.is_null()) return {};
  if (pod_template.as_map() == nullptr) return wrong("it is no map: write it as a Pod, with 'metadata' and 'spec'");
  for (const auto& [key, value] : *pod_template.as_map()) {
    const std::array<std::string_view, 4> known = {"apiVersion", "kind", "metadata", "spec"};
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return wrong(fmt::format("'{}' does not belong there: write it as a Pod, with 'metadata' and 'spec'", key));
    }
    const bool is_part = key == "metadata" || key == "spec";
    if (is_part && value.as_map() == nullptr) return wrong(fmt::format("'{}' is no map", key));
    if (key == "kind" && text_of(&value) != "Pod") return wrong(fmt::format("it is a {}, not a Pod", to_text(value)));
  }
  for (const char* containers : {"containers", "initContainers", "volumes", "tolerations"}) {
    const Value* all = find(&pod_template, "spec", containers);
    if (all == nullptr) continue;
    if (all->as_list() == nullptr) return wrong(fmt::format("'spec.{}' is no list", containers));
    for (const Value& each : *all->as_list()) {
      if (each.as_map() == nullptr) return wrong(fmt::format("an item of 'spec.{}' is no map", containers));
    }
  }
  return {};
}

}  // namespace

std::string label_value(std::string_view text) {
  constexpr std::size_t kMax = 63;
  const auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  std::string out;
  for (const char c : text) out += is_end(c) || c == '-' || c == '_' || c == '.' ? c : '-';
  while (!out.empty() && !is_end(out.front())) out.erase(out.begin());
  out.resize(std::min(out.size(), kMax));
  while (!out.empty() && !is_end(out.back())) out.pop_back();
  return out;
}

Result<Value> make_pod(const PodSettings& settings, const PodOrder& order, const std::string& join_key) {
  return PodMaker(settings, order, join_key).make();
}

Result<void> check_template(const PodSettings& settings) {
  if (auto formed = check_form(settings.pod_template); !formed) return formed;
  auto dag = std::make_shared<Dag>();
  Task& task = dag->tasks.emplace_back();
  task.id = "any";
  task.work = std::make_shared<const WorkSpec>();
  PodOrder order{.dag = std::move(dag), .run = std::make_shared<const RunContext>(), .pod = "chappe-any"};
  if (auto made = make_pod(settings, order, "key"); !made) return fail(std::move(made.error()));
  return {};
}

}  // namespace chappe::launch
