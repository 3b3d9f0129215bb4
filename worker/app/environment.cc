#include "worker/app/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "storage/digest/digest.h"

namespace chappe::worker {
namespace {

constexpr std::array<std::string_view, 15> kInherited{
    "PATH",       "LANG",        "LANGUAGE", "TZ",         "USER",        "LOGNAME",  "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "CURL_CA_BUNDLE"};
constexpr std::array<std::string_view, 7> kInheritedInContainer{"TZ",         "http_proxy",  "https_proxy", "no_proxy",
                                                                "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"};
constexpr char kPathDefault[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool is_inherited(std::string_view variable) {
  const std::string_view name = name_of(variable);
  return name.starts_with("LC_") || std::find(kInherited.begin(), kInherited.end(), name) != kInherited.end();
}

/// As names of credentials are made everywhere: AWS_SECRET_ACCESS_KEY, PGPASSWORD, GITHUB_TOKEN.
bool sounds_secret(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::array<std::string_view, 4> kWords{"SECRET", "PASSWORD", "PASSWD", "TOKEN"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return upper.find(word) != std::string::npos; });
}

bool is_inherited_in_container(std::string_view variable) {
  const auto& names = kInheritedInContainer;
  return std::find(names.begin(), names.end(), name_of(variable)) != names.end();
}

void put(std::vector<std::string>& variables, std::string_view name, std::string_view value) {
  std::string variable;
  variable.reserve(name.size() + 1 + value.size());
  variable.append(name).append("=").append(value);
  variables.push_back(std::move(variable));
}

/// As put(), in place of an earlier one of the same name.
void replace(std::vector<std::string>& variables, std::string_view name, std::string_view value) {
  std::erase_if(variables, [&](const std::string& variable) { return name_of(variable) == name; });
  put(variables, name, value);
}

/// Of what goes together all or nothing: a task's own key does not go with our session token.
void hand_on_store(std::vector<std::string>& variables, const StoreAccess::Variables& store, const Handed& handed,
                   const ResolvedWork& work) {
  const auto sets = [&](std::string_view name) {
    return std::ranges::any_of(work.env, [&](const auto& each) { return each.first == name; }) ||
           std::ranges::any_of(handed.secrets, [&](const Secret& each) { return each.name == name; });
  };
  for (const VariableGroup& group : store.groups) {
    if (std::ranges::any_of(group.names, sets)) continue;
    for (const auto& [name, value] : group.variables) replace(variables, name, value);
  }
}

}  // namespace

std::string idempotency_key(const Assignment& assignment) {
  Sha256 hash;
  // Lengths in front: no two different quadruples give one text.
  for (const std::string& part :
       {assignment.run->id.text(), assignment.task, assignment.map_key, std::to_string(assignment.run->generation)}) {
    hash.update(std::to_string(part.size()) + ':');
    hash.update(part);
  }
  return to_hex(hash.finish());
}

Environment::Environment(const char* const* inherited, const std::vector<std::string>& handed_on) {
  for (; *inherited != nullptr; ++inherited) {
    const std::string_view variable = *inherited;
    const std::string_view name = name_of(variable);
    const bool handed = is_named(name, handed_on);
    if (handed || is_inherited(variable)) base_.emplace_back(variable);
    if (handed || is_inherited_in_container(variable)) base_in_container_.emplace_back(variable);
    if (handed && sounds_secret(name))
      secrets_.emplace_back(variable.substr(std::min(name.size() + 1, variable.size())));
  }
  const bool has_path =
      std::any_of(base_.begin(), base_.end(), [](const auto& each) { return name_of(each) == "PATH"; });
  if (!has_path) base_.emplace_back(kPathDefault);
}

std::vector<std::string> Environment::of(const Assignment& assignment, const Places& places,
                                         const Handed& handed) const {
  const RunContext& run = *assignment.run;
  const std::vector<std::string>& base = assignment.work->image.empty() ? base_ : base_in_container_;
  std::vector<std::string> variables;
  variables.reserve(base.size() + assignment.work->env.size() + handed.secrets.size() + 32);
  variables = base;
  put(variables, "HOME", places.home);
  put(variables, "TMPDIR", places.tmp);
  if (handed.store != nullptr) hand_on_store(variables, *handed.store, handed, *assignment.work);
  if (!places.ca_file.empty()) replace(variables, "AWS_CA_BUNDLE", places.ca_file);
  for (const auto& [name, value] : assignment.work->env) {
    const bool ours = name.starts_with("CHAPPE_") && !name.starts_with("CHAPPE_STATE_");  // No DAG names either.
    if (!ours) replace(variables, name, value);
  }
  for (const Secret& secret : handed.secrets) {
    if (secret.name.starts_with("CHAPPE_")) continue;
    replace(variables, secret.name, secret.as_file ? places.secrets + "/" + secret.name : secret.value);
  }
  put(variables, "CHAPPE_RUN_ID", run.id.text());
  put(variables, "CHAPPE_DAG", run.dag);
  put(variables, "CHAPPE_DAG_VERSION", run.dag_version);
  put(variables, "CHAPPE_TASK", assignment.task);
  put(variables, "CHAPPE_MAP_KEY", assignment.map_key);
  put(variables, "CHAPPE_ITEM", assignment.item_json);
  put(variables, "CHAPPE_ATTEMPT", std::to_string(assignment.attempt_no));
  put(variables, "CHAPPE_ATTEMPT_ID", to_text(assignment.attempt));
  put(variables, "CHAPPE_FENCE", std::to_string(assignment.attempt.value));
  put(variables, "CHAPPE_IDEMPOTENCY_KEY", idempotency_key(assignment));
  put(variables, "CHAPPE_LOGICAL_TIME", to_iso8601(run.logical_time));
  put(variables, "CHAPPE_INTERVAL_START", to_iso8601(run.interval_start));
  put(variables, "CHAPPE_INTERVAL_END", to_iso8601(run.interval_end));
  put(variables, "CHAPPE_PARAMS", places.params);
  if (handed.service_port != 0) put(variables, "CHAPPE_SERVICE_PORT", std::to_string(handed.service_port));
  return variables;
}

}  // namespace chappe::worker
