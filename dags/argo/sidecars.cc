// Containers beside a template's own.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dags/argo/workflow.h"
#include "engine/model/sidecar.h"

namespace chappe::argo {

using yaml::Node;

namespace {

/// Who says when it is ready; null: nobody. Argo itself does not wait.
const Node* probe_of(const Node& sidecar) {
  for (const std::string_view key : {"startupProbe", "readinessProbe", "livenessProbe"}) {
    const Node* probe = sidecar.find(key);
    if (probe != nullptr && (probe->find("httpGet") != nullptr || probe->find("tcpSocket") != nullptr)) return probe;
  }
  return nullptr;
}

}  // namespace

void Importer::write_sidecars(Yaml& out, std::size_t task, const Site& site) {
  const Node* sidecars = tasks_[task].body->find("sidecars");
  if (sidecars == nullptr) return;
  if (!out.has("image")) return note(*sidecars, "'sidecars' are left out: they run beside a container", task);
  const auto env = std::exchange(env_, {});
  Yaml list = Yaml::list();
  for (const Node* sidecar : list_in(tasks_[task].body, "sidecars")) list.add(sidecar_of(task, *sidecar, site));
  env_ = env;
  if (!list.empty()) out.set("sidecars", std::move(list));
}

Yaml Importer::sidecar_of(std::size_t task, const Node& sidecar, const Site& site) {
  Yaml out = Yaml::map();
  out.set("name", Yaml::text(text_of(sidecar, "name").substr(0, kSidecarNameMax)));
  if (const Node* image = sidecar.find("image")) out.set("image", Yaml::text(as_template(resolve(*image, site), task)));
  for (const std::string_view key : {"command", "args"}) {
    Yaml words = Yaml::list();
    const Node* node = sidecar.find(key);
    const std::vector<const Node*> one = {node};
    for (const Node* word : node == nullptr || node->is_list() ? list_in(&sidecar, key) : one) {
      words.add(Yaml::text(as_template(resolve(*word, site), task)));
    }
    if (!words.empty()) out.set(std::string(key), std::move(words));
  }
  env_.clear();
  read_env(task, sidecar, site);
  Yaml env = Yaml::map();
  for (const auto& [name, value] : env_) env.set(name, Yaml::text(value));
  if (!env.empty()) out.set("env", std::move(env));
  if (const Node* resources = sidecar.find("resources")) write_resources(out, task, *resources);
  Yaml container = Yaml::map();
  const Node* context = sidecar.find("securityContext");
  if (const auto user = integer_of(context == nullptr ? nullptr : context->find("runAsUser"))) {
    container.set("user", Yaml::text(std::to_string(*user)));
  }
  container.set("read_only", Yaml::raw("false"));
  const std::string pull = text_of(sidecar, "imagePullPolicy");
  if (pull == "Always" || pull == "Never") container.set("pull", Yaml::text(pull == "Always" ? "always" : "never"));
  out.set("container", std::move(container));
  write_readiness(out, sidecar, task);
  note_keys(sidecar,
            {"name", "image", "command", "args", "env", "resources", "securityContext", "imagePullPolicy", "ports",
             "startupProbe", "readinessProbe", "livenessProbe"},
            "a sidecar's", task);
  return out;
}

void Importer::write_readiness(Yaml& out, const Node& sidecar, std::size_t task) {
  const Node* probe = probe_of(sidecar);
  if (probe == nullptr) {
    return note_once(sidecar,
                     "a sidecar without 'port' is ready as soon as it runs: name its port where the task must "
                     "not start before it takes connections");
  }
  const Node* http = probe->find("httpGet");
  const Node* at = http != nullptr ? http : probe->find("tcpSocket");
  const auto port = integer_of(at->find("port"));
  if (!port || *port < 1 || *port > 65'535) return note(*probe, "the port of this probe is no number", task);
  out.set("port", Yaml::number(*port));
  if (http == nullptr) return;
  const std::string path = text_of(*http, "path");
  out.set("ready", Yaml::map().set("http", Yaml::text(path.empty() ? "/" : path)));
}

}  // namespace chappe::argo
