// `image` and `container` of a task: what it runs in.
#include <fmt/format.h>

#include "dags/loader/keys_of_containers.h"
#include "dags/loader/task_reader.h"

namespace chappe {
namespace {

using yaml::Node;

/// "UID", "UID:GID", or names in their places.
bool is_user(std::string_view text) {
  constexpr std::size_t kUserMax = 128;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-:";
  const std::size_t colon = text.find(':');
  return !text.empty() && text.size() <= kUserMax && text.find_first_not_of(kAllowed) == std::string_view::npos &&
         colon != 0 && colon + 1 != text.size() && text.find(':', colon + 1) == std::string_view::npos;
}

void read_user(Reader& reader, const Node& node, std::string& user) {
  const auto text = reader.text(node, "user");
  if (!text) return;
  user = *text;
  if (is_user(user)) return;
  reader.complaints().error(
      node, fmt::format("'user' is UID, UID:GID or a name that the image knows, not {}", Reader::shown(node)));
}

bool has_space(std::string_view text) { return text.find_first_of(" \t\r\n") != std::string_view::npos; }

}  // namespace

ContainerOptions read_container_options(Reader& reader, const Node& node, const KeySet& known) {
  ContainerOptions out;
  if (!reader.check_keys(node, known)) return out;
  if (const Node* user = node.find("user")) read_user(reader, *user, out.user);
  reader.take_boolean(node, "read_only", out.read_only);
  if (const Node* network = node.find("network")) {
    const std::vector<std::string> networks = {"none", "bridge", "host"};
    out.network = static_cast<ContainerOptions::Network>(reader.choice(*network, "network", networks).value_or(0));
  }
  if (const Node* pull = node.find("pull")) {
    const std::vector<std::string> times = {"missing", "always", "never"};
    out.pull = static_cast<ContainerOptions::Pull>(reader.choice(*pull, "pull", times).value_or(0));
  }
  return out;
}

expr::Template TaskReader::read_image(const Node& node) {
  auto text = names_.parse_template(node, site::kCommand, "image");
  if (!text) return {};
  if (text->is_literal() && has_space(text->literal_text())) {
    complaints_.error(
        node, fmt::format("'image' is a name such as 'docker.io/library/debian:12', not {}", Reader::shown(node)));
  }
  return *std::move(text);
}

void TaskReader::know_image(const Node& image) {
  if (reader_.text(image, "image")) dag_image_ = &image;
}

/// `node`: the task with its defaults. An image of the DAG is every task's that names none; "" takes it back.
void TaskReader::read_container(Task& task, WorkSpec& work, const Node& node) {
  const Node* image = node.find("image");
  if (image == nullptr) image = dag_image_;
  if (image != nullptr) work.image = read_image(*image);
  task.where.container = !work.image.text().empty();
  const Node* options = node.find("container");
  if (options == nullptr) return;
  const ContainerOptions read = read_container_options(reader_, *options, keys::kContainer);
  if (task.where.container) work.container = read;
  const Node* own = nodes_[index_]->find("container");
  if (own == nullptr || task.where.container) return;
  complaints_.error(*own, fmt::format("'container' says how an image is run, but task '{}' has no 'image'", task.id));
}

}  // namespace chappe
