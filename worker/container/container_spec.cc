#include "worker/container/container_spec.h"

#include <algorithm>

#include "engine/base/value.h"

namespace chappe::container {
namespace {

/// RLIMIT_NPROC: what Podman gives by itself may be more than it is allowed to give. The bound that counts is pids_max.
constexpr std::int64_t kProcessesOfAUserMax = 32'768;
constexpr std::int64_t kNanoCpusPerMilli = 1'000'000;

ValueList list_of(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

Value limit(const char* name, std::int64_t value) { return ValueMap{{"Name", name}, {"Soft", value}, {"Hard", value}}; }

ValueList mounts_of(const ContainerSpec& spec) {
  ValueList mounts;
  for (const Mount& mount : spec.mounts) {
    mounts.emplace_back(
        ValueMap{{"Type", "bind"}, {"Source", mount.host}, {"Target", mount.inside}, {"ReadOnly", mount.read_only}});
  }
  return mounts;
}

ValueMap host_config(const ContainerSpec& spec, std::string_view network) {
  ValueMap host{{"Init", true},  // Reaps what the program leaves behind, and hands signals on to it.
                {"NetworkMode", network},
                {"ReadonlyRootfs", spec.options.read_only},
                {"Tmpfs", ValueMap{{"/tmp", "rw,nosuid,nodev,mode=1777"}}},
                {"Mounts", mounts_of(spec)},
                {"CapDrop", ValueList{"ALL"}},
                {"SecurityOpt", ValueList{"no-new-privileges"}},
                {"PidsLimit", static_cast<std::int64_t>(spec.pids_max)},
                {"Ulimits", ValueList{limit("nofile", static_cast<std::int64_t>(spec.files_max)),
                                      limit("nproc", kProcessesOfAUserMax), limit("core", 0)}},
                {"LogConfig", ValueMap{{"Type", "none"}}}};  // The worker is attached: nothing piles up on the disk.
  if (spec.resources.cpu_milli > 0) {
    host.emplace_back("NanoCpus", spec.resources.cpu_milli * kNanoCpusPerMilli);
  }
  if (const auto bytes = static_cast<std::int64_t>(spec.resources.memory_bytes); bytes > 0) {
    host.emplace_back("Memory", bytes);
    host.emplace_back("MemorySwap", bytes);  // Together: no swap.
  }
  if (!spec.gpus.empty()) {
    host.emplace_back("DeviceRequests", ValueList{ValueMap{{"Driver", "cdi"}, {"DeviceIDs", list_of(spec.gpus)}}});
  }
  return host;
}

}  // namespace

std::string create_body(const ContainerSpec& spec, const std::string& image_id, std::string_view network) {
  ValueMap labels;
  for (const auto& [name, value] : spec.labels) labels.emplace_back(name, value);
  ValueMap body{{"Image", image_id},
                {"Env", list_of(spec.env)},
                {"Labels", std::move(labels)},
                {"AttachStdin", false},
                {"AttachStdout", true},
                {"AttachStderr", true},
                {"HostConfig", host_config(spec, network)}};
  if (!spec.argv.empty()) body.emplace_back("Entrypoint", list_of(spec.argv));
  if (!spec.argv.empty() || !spec.args.empty()) body.emplace_back("Cmd", list_of(spec.args));
  if (!spec.directory.empty()) body.emplace_back("WorkingDir", spec.directory);
  if (!spec.options.user.empty()) body.emplace_back("User", spec.options.user);
  return to_json(body);
}

}  // namespace chappe::container
