// What a task says of the Kubernetes pod that it runs in: a few names, and nothing that the operator has a say in.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dags/loader/keys.h"
#include "dags/loader/policies.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr std::size_t kLabelMax = 63;  // Source: Kubernetes' "Object Names and IDs", and "Labels and Selectors".
constexpr std::size_t kNameMax = 253;

/// Begins and ends with one of `ends`; in between also with one of `inside`.
bool is_made_of(std::string_view text, std::string_view ends, std::string_view inside, std::size_t max) {
  if (text.empty() || text.size() > max) return false;
  const auto among = [](std::string_view set, char c) { return set.find(c) != std::string_view::npos; };
  if (!among(ends, text.front()) || !among(ends, text.back())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return among(ends, c) || among(inside, c); });
}

bool is_label_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return is_made_of(name, kLetters, "-_.", kLabelMax);
  return is_made_of(name.substr(0, slash), kLower, "-.", kNameMax) &&
         is_made_of(name.substr(slash + 1), kLetters, "-_.", kLabelMax);
}

bool is_label_value(std::string_view value) { return value.empty() || is_made_of(value, kLetters, "-_.", kLabelMax); }

bool is_mount_path(std::string_view path) {
  const bool whole = path.size() > 1 && path.size() <= 1024 && path.front() == '/' && path.back() != '/';
  if (!whole || path.find_first_of(":\n") != std::string_view::npos) return false;
  const std::string closed = fmt::format("{}/", path);
  for (const std::string_view bad : {"//", "/./", "/../"}) {
    if (closed.find(bad) != std::string::npos) return false;
  }
  return true;
}

void read_node_selector(Reader& reader, const Node& node, PodSpec& out) {
  Complaints& complaints = reader.complaints();
  if (!node.is_map()) {
    return complaints.error(
        node, fmt::format("'node_selector' is a map of labels, such as {{disk: ssd}}, not {}", Reader::shown(node)));
  }
  if (node.members() > kPodNamesMax) return complaints.error(node, fmt::format("more than {} labels", kPodNamesMax));
  for (std::size_t i = 0; i < node.members(); ++i) {
    auto value = reader.text(node.value(i), node.key(i).text);
    if (!value) continue;
    if (!is_label_name(node.key(i).text) || !is_label_value(*value)) {
      complaints.error(node.key(i),
                       fmt::format("'{}: {}' cannot be a label of a Kubernetes node", node.key(i).text, *value));
    }
    out.node_selector.emplace_back(node.key(i).text, std::move(*value));
  }
  std::sort(out.node_selector.begin(), out.node_selector.end());
}

std::optional<PodMount> read_mount(Reader& reader, const Node& node) {
  if (!reader.check_keys(node, keys::kPodMount)) return std::nullopt;
  PodMount mount;
  for (const auto& [key, into] : {std::pair("name", &mount.volume), std::pair("path", &mount.path)}) {
    reader.take_text(node, key, *into);
    if (node.find(key) == nullptr) reader.complaints().error(node, fmt::format("a volume needs a '{}'", key));
  }
  reader.take_boolean(node, "read_only", mount.read_only);
  if (const Node* name = node.find("name"); name != nullptr && !is_made_of(mount.volume, kLower, "-", kLabelMax)) {
    reader.complaints().error(
        *name, fmt::format("'name' is that of a volume in the scheduler's pod template, not {}", Reader::shown(*name)));
  }
  if (const Node* path = node.find("path"); path != nullptr && !is_mount_path(mount.path)) {
    reader.complaints().error(*path,
                              fmt::format("'path' is an absolute one, such as /data, not {}", Reader::shown(*path)));
  }
  return mount;
}

void read_volumes(Reader& reader, const Node& node, PodSpec& out) {
  if (!reader.is_list(node, "volumes", "[{name: data, path: /data}]")) return;
  if (node.children.size() > kPodNamesMax) {
    return reader.complaints().error(node, fmt::format("more than {} volumes", kPodNamesMax));
  }
  std::set<std::string> paths;
  for (const Node* child : node.children) {
    auto mount = read_mount(reader, *child);
    if (!mount) continue;
    if (!paths.insert(mount->path).second) {
      reader.complaints().error(*child, fmt::format("two volumes have the path '{}'", mount->path));
    }
    out.volumes.push_back(std::move(*mount));
  }
}

}  // namespace

std::shared_ptr<const PodSpec> read_pod(Reader& reader, const Node& task) {
  const std::vector<std::string> executors = {"worker", "kubernetes"};
  const Node* executor = task.find("executor");
  const auto which = executor == nullptr ? std::nullopt : reader.choice(*executor, "executor", executors);
  auto out = std::make_shared<PodSpec>();
  for (std::size_t i = 0; i < task.members(); ++i) {
    const std::string& key = task.key(i).text;
    const bool is_ours = key == "node_selector" || key == "volumes" || key == "service_account";
    if (!is_ours) continue;
    if (executor == nullptr) {
      reader.complaints().error(task.key(i), fmt::format("'{}' is for tasks with 'executor: kubernetes'", key));
    }
    const Node& value = task.value(i);
    if (key == "node_selector") read_node_selector(reader, value, *out);
    if (key == "volumes") read_volumes(reader, value, *out);
    if (key != "service_account") continue;
    out->service_account = reader.text(value, key).value_or("");
    if (!is_made_of(out->service_account, kLower, "-.", kNameMax)) {
      reader.complaints().error(
          value,
          fmt::format("'service_account' is the name of one in the pods' namespace, not {}", Reader::shown(value)));
    }
  }
  return which == 1U ? out : nullptr;
}

}  // namespace chappe
