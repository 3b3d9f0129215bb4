// Services: tasks that stay up while those that depend on them run.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dags/loader/keys.h"
#include "dags/loader/services.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

namespace {

/// It lists what the next task fans out over.
bool is_listing(const Task& task) { return task.wait != nullptr && task.wait->what == WaitSpec::For::kObjects; }

/// A container of a worker reaches nothing unless it says so; a pod is in the cluster's network.
bool is_cut_off(const Task& task) {
  return task.where.container && task.pod == nullptr && task.work != nullptr &&
         task.work->container.network == ContainerOptions::Network::kNone;
}

}  // namespace

/// `ready: {http: /health}` or `ready: {file: ready}`
void TaskReader::read_readiness(ServiceSpec& service, const Node& node) {
  if (!reader_.check_keys(node, keys::kReady)) return;
  const Node* http = node.find("http");
  const Node* file = node.find("file");
  if ((http == nullptr) == (file == nullptr)) {
    return complaints_.error(node,
                             "'ready' needs one of 'http: /PATH' and 'file: PATH'; without 'ready' a service is ready "
                             "when something takes connections at its port");
  }
  if (file != nullptr) {
    service.ready = ServiceSpec::Ready::kFile;
    service.ready_at = reader_.path(*file, "file").value_or("");
    return;
  }
  service.ready = ServiceSpec::Ready::kHttp;
  service.ready_at = read_ready_path(reader_, *http);
}

std::string read_ready_path(Reader& reader, const Node& node) {
  const auto path = reader.text(node, "http");
  const auto odd = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (path && (!path->starts_with('/') || std::any_of(path->begin(), path->end(), odd))) {
    reader.complaints().error(node, fmt::format("'http' is the path that answers when it is ready, such as /health, "
                                                "not {}",
                                                Reader::shown(node)));
  }
  return path.value_or("");
}

void TaskReader::read_service(const Task& task, WorkSpec& work, const Node& all, const Node& node) {
  if (!reader_.check_keys(node, keys::kService)) return;
  ServiceSpec service;
  if (const Node* ready = node.find("ready")) read_readiness(service, *ready);
  reader_.take_integer(node, "port", 1, 65'535, service.port);
  reader_.take_duration(node, "ready_timeout", service.ready_timeout);
  for (const std::string_view key : {"foreach", "loop", "cache", "outputs", "setup", "teardown_of", "state"}) {
    if (const Node* other = nodes_[index_]->find(key)) {
      complaints_.error(*other, fmt::format("a service takes no '{}'", key));
    }
  }
  const bool closed = !work.image.text().empty() && work.container.network != ContainerOptions::Network::kHost;
  if (closed && task.pod == nullptr) {
    const Node* container = all.find("container");
    complaints_.error(
        container != nullptr ? *container : node,
        "others reach a service in a container only with 'container: {network: host}', or in a pod of its "
        "own ('executor: kubernetes')");
  }
  work.values.clear();
  for (const std::string_view name : {kServiceAddress, kServiceHost, kServicePort}) {
    work.values.push_back({.name = std::string(name), .file = {}, .json_path = {}, .default_value = {}});
  }
  work.service = std::move(service);
}

void move_service_edges(Dag& dag) {
  for (std::uint32_t i = 0; i + 1 < dag.tasks.size(); ++i) {
    if (!is_listing(dag.tasks[i])) continue;
    std::vector<Dependency>& edges = dag.tasks[i].depends_on;
    for (const Dependency& edge : edges) {
      if (dag.consumes(i + 1, edge.task)) dag.tasks[i + 1].depends_on.push_back(edge);
    }
    std::erase_if(edges, [&](const Dependency& edge) { return dag.consumes(i + 1, edge.task); });
  }
}

void check_services(Complaints& complaints, const Dag& dag, const std::vector<const Node*>& nodes, const Node& root) {
  if (dag.services.empty()) return;
  std::vector<bool> needed(dag.tasks.size());
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    for (const Dependency& edge : dag.tasks[i].depends_on) {
      if (!dag.consumes(i, edge.task)) continue;
      needed[edge.task] = true;
      if (is_cut_off(dag.tasks[i])) {
        complaints.warn(*nodes[i], fmt::format("'{}' is in a container without a network, and does not reach the "
                                               "service '{}': say 'container: {{network: host}}'",
                                               dag.tasks[i].id, dag.tasks[edge.task].id));
      }
      if (edge.plain) continue;
      complaints.error(*nodes[i], fmt::format("'{}' needs the service '{}' while it runs: it cannot depend on its end "
                                              "('on')",
                                              dag.tasks[i].id, dag.tasks[edge.task].id));
    }
  }
  for (const std::uint32_t service : dag.services) {
    const Task& task = dag.tasks[service];
    if (dag.is_handler(service) || task.is_hook()) {
      complaints.error(*nodes[service], fmt::format("'{}' is a {}: it cannot be a service", task.id,
                                                    task.is_hook() ? "hook" : "handler"));
    } else if (!needed[service]) {
      complaints.error(*nodes[service], fmt::format("no task depends on the service '{}': it would be stopped before "
                                                    "it began",
                                                    task.id));
    }
  }
  if (dag.max_active_tasks == 0 || dag.max_active_tasks > dag.services.size()) return;
  const Node* bound = root.find("max_active_tasks");
  complaints.error(bound != nullptr ? *bound : root,
                   fmt::format("'max_active_tasks' is {}, and {} services may be up at a time: nothing that depends on "
                               "them could start",
                               dag.max_active_tasks, dag.services.size()));
}

}  // namespace chappe
