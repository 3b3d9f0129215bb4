// Containers that run beside a task's own.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/keys_of_containers.h"
#include "dags/loader/policies.h"
#include "dags/loader/services.h"
#include "dags/loader/task_reader.h"

namespace chappe {
namespace {

using yaml::Node;

/// Source: Kubernetes' "Object Names and IDs": a container there has this name.
bool is_sidecar_name(std::string_view name) {
  constexpr std::string_view kEnds = "abcdefghijklmnopqrstuvwxyz0123456789";
  if (name.empty() || name.size() > kSidecarNameMax || name.front() == '-' || name.back() == '-') return false;
  return std::ranges::all_of(name, [&](char c) { return c == '-' || kEnds.find(c) != std::string_view::npos; });
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789:") == std::string_view::npos;
}

}  // namespace

/// `node`: its value for the task, be it the task's own or that of `defaults`.
void TaskReader::read_sidecars(const Task& task, WorkSpec& work, const Node& node) {
  if (!task.where.container) {
    if (nodes_[index_]->find("sidecars") == nullptr) return;
    return complaints_.error(
        node, fmt::format("sidecars run beside a container, but task '{}' has no 'image': what its own script starts "
                          "in the background ends with the task, and a task with 'service' stays up for others",
                          task.id));
  }
  if (!reader_.is_list(node, "sidecars", "[{name: db, image: docker.io/library/postgres:16, port: 5432}]")) return;
  if (node.children.size() > kSidecarsMax) {
    return complaints_.error(node, fmt::format("more than {} sidecars", kSidecarsMax));
  }
  for (const Node* child : node.children) read_sidecar(task, work, *child);
}

void TaskReader::read_sidecar(const Task& task, WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kSidecar)) return;
  SidecarSpec sidecar;
  for (const char* key : {"name", "image"}) {
    if (node.find(key) == nullptr) complaints_.error(node, fmt::format("a sidecar needs '{}'", key));
  }
  reader_.take_text(node, "name", sidecar.name);
  const Node* name = node.find("name");
  if (name != nullptr &&
      (!is_sidecar_name(sidecar.name) || sidecar.name == "task" || sidecar.name == "chappe-worker")) {
    complaints_.error(*name, fmt::format("'name' is made of lower-case letters, digits and '-', at most {}, and is not "
                                         "'task': not {}",
                                         kSidecarNameMax, Reader::shown(*name)));
  }
  read_sidecar_texts(sidecar, node);
  if (const Node* resources = node.find("resources")) {
    sidecar.resources = read_resources(reader_, *resources);
    if (resources->find("cpu") == nullptr) sidecar.resources.cpu_milli = 0;
    if (sidecar.resources.gpus > 0) complaints_.error(*resources, "a sidecar has no GPU: they are the task's");
  }
  if (const Node* options = node.find("container")) {
    sidecar.container = read_container_options(reader_, *options, keys::kSidecarContainer);
    if (task.pod != nullptr && !sidecar.container.user.empty() && !is_number(sidecar.container.user)) {
      complaints_.error(*options, "'user' is a number where the task runs in a pod, such as 1000 or 1000:1000");
    }
  }
  read_sidecar_readiness(sidecar, node);
  for (const SidecarSpec& other : work.sidecars) {
    if (other.name == sidecar.name) {
      complaints_.error(node, fmt::format("two sidecars have the name '{}'", sidecar.name));
    } else if (other.port != 0 && other.port == sidecar.port) {
      complaints_.error(node, fmt::format("'{}' and '{}' both have port {}, but they share one network", other.name,
                                          sidecar.name, sidecar.port));
    }
  }
  work.sidecars.push_back(std::move(sidecar));
}

void TaskReader::read_sidecar_texts(SidecarSpec& sidecar, const Node& node) {
  if (const Node* image = node.find("image")) {
    sidecar.image = read_image(*image);
    if (sidecar.image.text().empty()) complaints_.error(*image, "a sidecar needs an image");
  }
  for (const auto& [key, into] : {std::pair("command", &sidecar.command), std::pair("args", &sidecar.args)}) {
    const Node* list = node.find(key);
    if (list == nullptr || !reader_.is_list(*list, key, "[--port, \"5432\"]")) continue;
    for (const Node* argument : list->children) {
      if (auto text = names_.parse_template(*argument, site::kSidecar, key)) into->push_back(*std::move(text));
    }
  }
  if (const Node* env = node.find("env")) read_env_into(reader_, names_, site::kSidecar, *env, sidecar.env);
}

void TaskReader::read_sidecar_readiness(SidecarSpec& sidecar, const Node& node) {
  reader_.take_integer(node, "port", 1, 65'535, sidecar.port);
  reader_.take_duration(node, "ready_timeout", sidecar.ready_timeout);
  const Node* ready = node.find("ready");
  for (const char* key : {"ready", "ready_timeout"}) {
    const Node* waits = node.find(key);
    if (waits == nullptr || node.find("port") != nullptr) continue;
    complaints_.error(*waits, fmt::format("'{}' needs the 'port' at which the sidecar is asked; without one it is "
                                          "ready as soon as it runs",
                                          key));
  }
  if (ready == nullptr || !reader_.check_keys(*ready, keys::kSidecarReady)) return;
  if (const Node* http = ready->find("http")) {
    sidecar.ready_path = read_ready_path(reader_, *http);
  } else {
    complaints_.error(*ready,
                      "'ready' needs 'http: /PATH'; without 'ready' a sidecar is ready when something takes "
                      "connections at its port");
  }
}

}  // namespace chappe
