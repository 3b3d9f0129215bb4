#include "scheduler/app/pods.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "dags/loader/complaints.h"
#include "dags/loader/reader.h"
#include "engine/ports/log.h"
#include "storage/digest/digest.h"

namespace chappe {
namespace {

constexpr std::size_t kInstallationDigits = 16;

/// A YAML file as a value.
Result<Value> read_template(const std::filesystem::path& file) {
  if (file.empty()) return Value();
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof())
    return fail(ErrorCode::kInvalidInput, fmt::format("read {}: no such file", file.string()));
  yaml::Tree tree = yaml::parse(text);
  const std::string name = file.string();
  Complaints complaints(text, name);
  for (const yaml::Problem& problem : tree.problems) complaints.error(problem.place, problem.message);
  std::optional<Value> value;
  if (tree.root != nullptr && !complaints.failed()) value = Reader(complaints).value(*tree.root);
  if (value) return *std::move(value);
  const std::vector<Diagnostic> found = complaints.take();
  return fail(ErrorCode::kInvalidInput, found.empty() ? fmt::format("{} is empty", name) : found.front().text());
}

/// An address that only the scheduler's own machine, or nobody, can use.
bool is_for_everywhere(const std::string& endpoint) {
  return endpoint.find("0.0.0.0") != std::string::npos || endpoint.find("[::]") != std::string::npos ||
         endpoint.find('*') != std::string::npos;
}

Failure wrong(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }

}  // namespace

std::string installation_of(const transport::KeyPair& keys) {
  return to_hex(sha256(keys.public_key)).substr(0, kInstallationDigits);
}

Result<std::unique_ptr<Pods>> Pods::open(const KubernetesConfig& config, const transport::KeyPair& keys,
                                         transport::WorkerPort& port, const std::string& objects,
                                         launch::Launcher::Report report) {
  launch::PodSettings settings{.namespace_name = config.namespace_name,
                               .installation = installation_of(keys),
                               .image = config.image,
                               .scheduler = config.scheduler.empty() ? port.endpoint() : config.scheduler,
                               .server_key = transport::to_hex_key(keys.public_key),
                               .object_store = objects};
  if (config.api.empty()) return wrong("--kubernetes-api: name it, as this is no pod of a cluster");
  if (config.image.empty()) return wrong("--kubernetes-image: name the image that has the chappe command");
  if (is_for_everywhere(settings.scheduler)) {
    return wrong(fmt::format("--kubernetes-scheduler: pods cannot reach {}; name the address that they can",
                             settings.scheduler));
  }
  auto pod_template = read_template(config.pod_template);
  if (!pod_template) return fail(std::move(pod_template.error()).in("--kubernetes-template"));
  settings.pod_template = *std::move(pod_template);
  if (auto fits = launch::check_template(settings); !fits) {
    return fail(std::move(fits.error()).in("--kubernetes-template"));
  }
  launch::ApiConfig api{config.api, config.namespace_name, config.token_file, config.ca_file};
  log::info("pods: namespace {} of {}, at most {} at a time", config.namespace_name, config.api, config.pods_max);
  return std::unique_ptr<Pods>(new Pods(keys, port, std::move(api), std::move(settings), std::move(report)));
}

void Pods::carry_out(std::vector<PodOrder> orders) {
  for (PodOrder& order : orders) {
    if (order.dag == nullptr) {
      port_.dismiss(order.what.attempt);
      launcher_.release(order.pod);
      continue;
    }
    // Made again after a restart, it is the same.
    const transport::KeyPair join = derive_keys(keys_, "pod of attempt " + to_text(order.what.attempt));
    port_.admit(join.public_key, order.what.attempt);
    launcher_.order(std::move(order), transport::to_hex_key(join.secret_key));
  }
  if (!std::exchange(begun_, true)) launcher_.begin();
}

}  // namespace chappe
