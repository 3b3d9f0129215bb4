#include "scheduler/launch/pod_security.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "scheduler/launch/json_map.h"

namespace chappe::launch {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 8> kVolumeKinds = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"};
constexpr std::array<std::string_view, 9> kSysctls = {
    "kernel.shm_rmid_forced",      "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",     "net.ipv4.ping_group_range",    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",     "net.ipv4.tcp_keepalive_intvl"};
constexpr std::array<std::string_view, 4> kSelinuxTypes = {"container_t", "container_init_t", "container_kvm_t",
                                                           "container_engine_t"};
constexpr std::array<std::string_view, 2> kProfiles = {"RuntimeDefault", "Localhost"};
constexpr std::array<std::string_view, 1> kAddable = {"NET_BIND_SERVICE"};

bool is_among(Names names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }

bool is_true(const Value* value) { return value != nullptr && value->as_bool() != nullptr && *value->as_bool(); }
bool is_false(const Value* value) { return value != nullptr && value->as_bool() != nullptr && !*value->as_bool(); }
bool is_given(const Value* value) { return value != nullptr && !value->is_null(); }

class Inspector {
 public:
  explicit Inspector(const Value& pod) : pod_(pod), spec_(pod.find("spec")) {}

  std::vector<std::string> inspect() {
    if (spec_ == nullptr || spec_->as_map() == nullptr) return {"spec: must be there"};
    for (const char* name : {"hostNetwork", "hostPID", "hostIPC"}) {
      if (is_true(find(spec_, name))) forbid(fmt::format("spec.{}", name), "must not be true");
    }
    inspect_volumes();
    const Value* context = find(spec_, "securityContext");
    inspect_context("spec.securityContext", context);
    for (const Value& sysctl : items_of(find(context, "sysctls"))) {
      const std::string name = text_of(sysctl.find("name"));
      if (!is_among(kSysctls, name)) forbid("spec.securityContext.sysctls", fmt::format("must not set '{}'", name));
    }
    const Value* annotations = find(&pod_, "metadata", "annotations");
    if (annotations != nullptr && annotations->as_map() != nullptr) inspect_annotations(*annotations->as_map());
    for (const char* kind : {"initContainers", "containers", "ephemeralContainers"}) {
      const ValueList& all = items_of(find(spec_, kind));
      for (std::size_t i = 0; i < all.size(); ++i) inspect_container(fmt::format("spec.{}[{}]", kind, i), all[i]);
    }
    return std::move(found_);
  }

 private:
  void forbid(const std::string& place, std::string_view what) { found_.push_back(fmt::format("{}: {}", place, what)); }

  void inspect_volumes() {
    const ValueList& volumes = items_of(find(spec_, "volumes"));
    for (std::size_t i = 0; i < volumes.size(); ++i) {
      if (volumes[i].as_map() == nullptr) continue;
      for (const auto& [kind, value] : *volumes[i].as_map()) {
        if (kind == "name" || value.is_null() || is_among(kVolumeKinds, kind)) continue;
        forbid(fmt::format("spec.volumes[{}]", i), fmt::format("must not be a {}", kind));
      }
    }
  }

  /// AppArmor was an annotation before it was a field.
  void inspect_annotations(const ValueMap& annotations) {
    constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";
    for (const auto& [name, value] : annotations) {
      if (!name.starts_with(kAppArmor)) continue;
      const std::string profile = text_of(&value);
      const bool fits = profile.empty() || profile == "runtime/default" || profile.starts_with("localhost/");
      if (!fits) forbid("metadata.annotations", fmt::format("must not set AppArmor to '{}'", profile));
    }
  }

  /// What pods and containers have alike.
  void inspect_context(const std::string& place, const Value* context) {
    if (is_true(find(context, "windowsOptions", "hostProcess"))) {
      forbid(place + ".windowsOptions.hostProcess", "must not be true");
    }
    const Value* selinux = find(context, "seLinuxOptions");
    const std::string type = text_of(find(selinux, "type"));
    if (!type.empty() && !is_among(kSelinuxTypes, type))
      forbid(place + ".seLinuxOptions.type", "must be a container's");
    for (const char* name : {"user", "role"}) {
      if (!text_of(find(selinux, name)).empty())
        forbid(fmt::format("{}.seLinuxOptions.{}", place, name), "must not be set");
    }
    if (is_given(find(context, "seccompProfile")) &&
        !is_among(kProfiles, text_of(find(context, "seccompProfile", "type")))) {
      forbid(place + ".seccompProfile.type", "must be RuntimeDefault or Localhost");
    }
    if (is_given(find(context, "appArmorProfile")) &&
        !is_among(kProfiles, text_of(find(context, "appArmorProfile", "type")))) {
      forbid(place + ".appArmorProfile.type", "must be RuntimeDefault or Localhost");
    }
    const Value* user = find(context, "runAsUser");
    if (is_given(user) && (user->as_int() == nullptr || *user->as_int() == 0)) {
      forbid(place + ".runAsUser", "must not be 0");
    }
  }

  void inspect_container(const std::string& place, const Value& container) {
    const Value* context = container.find("securityContext");
    const std::string own = place + ".securityContext";
    inspect_context(own, context);
    if (is_true(find(context, "privileged"))) forbid(own + ".privileged", "must not be true");
    if (!is_false(find(context, "allowPrivilegeEscalation")))
      forbid(own + ".allowPrivilegeEscalation", "must be false");
    const std::string proc = text_of(find(context, "procMount"));
    if (!proc.empty() && proc != "Default") forbid(own + ".procMount", "must be Default");
    inspect_capabilities(own, find(context, "capabilities"));
    inspect_inherited(own, context);
    for (const Value& port : items_of(container.find("ports"))) {
      const Value* host = port.find("hostPort");
      if (is_given(host) && *host != Value(0)) forbid(place + ".ports", "must not have a hostPort");
    }
  }

  void inspect_capabilities(const std::string& own, const Value* capabilities) {
    const ValueList& dropped = items_of(find(capabilities, "drop"));
    const bool drops_all =
        std::any_of(dropped.begin(), dropped.end(), [](const Value& each) { return text_of(&each) == "ALL"; });
    if (!drops_all) forbid(own + ".capabilities.drop", "must hold ALL");
    for (const Value& added : items_of(find(capabilities, "add"))) {
      if (!is_among(kAddable, text_of(&added))) {
        forbid(own + ".capabilities.add", fmt::format("must not hold {}", to_text(added)));
      }
    }
  }

  /// What a container has of its pod, where it says nothing itself.
  void inspect_inherited(const std::string& own, const Value* context) {
    const Value* pod = find(spec_, "securityContext");
    const Value* non_root = find(context, "runAsNonRoot");
    if (!is_true(is_given(non_root) ? non_root : find(pod, "runAsNonRoot")))
      forbid(own + ".runAsNonRoot", "must be true");
    const bool has_profile = is_given(find(context, "seccompProfile")) || is_given(find(pod, "seccompProfile"));
    if (!has_profile) forbid(own + ".seccompProfile", "must be set here or for the pod");
  }

  const Value& pod_;
  const Value* spec_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> find_violations(const Value& pod) { return Inspector(pod).inspect(); }

}  // namespace chappe::launch
