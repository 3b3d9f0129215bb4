// `secrets`: where a task's secrets are. Literal: what a DAG may ask for is seen before it runs.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;
using Source = SecretRef::Source;

constexpr std::size_t kPlaceMax = 512;
constexpr std::string_view kSmallAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kLettersAndDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool consists_of(std::string_view text, std::string_view ends, std::string_view inside) {
  if (text.empty() || text.size() > kPlaceMax) return false;
  const auto is_end = [&](char c) { return ends.find(c) != std::string_view::npos; };
  if (!is_end(text.front()) || !is_end(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_end(c) || inside.find(c) != std::string_view::npos; });
}

/// "team/ml": without empty, "." and ".." components, and with nothing that a URL would have to hide.
bool is_vault_path(std::string_view path) {
  if (!consists_of(path, kLettersAndDigits, "-_./")) return false;
  const std::string closed = fmt::format("/{}/", path);
  return closed.find("//") == std::string::npos && closed.find("/./") == std::string::npos &&
         closed.find("/../") == std::string::npos;
}

class SecretReading {
 public:
  SecretReading(Reader& reader, SecretRef& out) : reader_(reader), out_(out) {}

  /// `node`: {env: NAME}, or with another source; and `as`.
  bool read(const Node& node) {
    if (!reader_.check_keys(node, keys::kSecret)) return false;
    const std::size_t before = reader_.complaints().errors();
    std::size_t sources = 0;
    for (std::size_t i = 0; i < node.members(); ++i) sources += read_source(node.key(i).text, node.value(i)) ? 1U : 0U;
    if (sources != 1) {
      reader_.complaints().error(
          node,
          fmt::format("'{}' comes from one of env, file, kubernetes and vault: {{vault: {{path: ml, key: token}}}}",
                      out_.name));
    }
    if (const Node* as = node.find("as")) {
      const std::vector<std::string> forms = {"env", "file"};
      out_.as_file = reader_.choice(*as, "as", forms) == 1U;
    }
    return reader_.complaints().errors() == before;
  }

 private:
  bool read_source(std::string_view key, const Node& value) {
    if (key == "env") {
      out_.source = Source::kEnv;
      out_.place = reader_.identifier(value, key).value_or("");
    } else if (key == "file") {
      out_.source = Source::kFile;
      read_file(value);
    } else if (key == "kubernetes") {
      out_.source = Source::kKubernetes;
      read_kubernetes(value);
    } else if (key == "vault") {
      out_.source = Source::kVault;
      read_vault(value);
    } else {
      return false;
    }
    return true;
  }

  /// Source of the bounds: Kubernetes' "Secrets" and "Object Names and IDs".
  void read_kubernetes(const Node& node) {
    if (!reader_.check_keys(node, keys::kKubernetesSecret)) return;
    take(node, "name", out_.place, consists_of(text_at(node, "name"), kSmallAndDigits, "-."),
         "the name of a Secret in the pods' namespace");
    take_key(node);
  }

  void read_vault(const Node& node) {
    if (!reader_.check_keys(node, keys::kVaultSecret)) return;
    out_.mount = "secret";
    if (node.find("mount") != nullptr) {
      take(node, "mount", out_.mount, is_vault_path(text_at(node, "mount")),
           "the path of a KV v2 engine, such as secret");
    }
    take(node, "path", out_.place, is_vault_path(text_at(node, "path")), "a path in the engine, such as team/ml");
    take_key(node);
  }

  void take_key(const Node& node) {
    const std::string key = text_at(node, "key");
    const bool fits = !key.empty() && key.size() <= kPlaceMax && key.find_first_of("\r\n") == std::string::npos;
    take(node, "key", out_.key, fits, "the name of an entry of the secret");
  }

  void read_file(const Node& node) {
    const std::string closed = fmt::format("/{}/", node.text);
    const bool is_text = node.is_scalar() && !node.is_null() && node.text.size() <= kPlaceMax;
    const bool stays = closed.find("//") == std::string::npos && closed.find("/./") == std::string::npos &&
                       closed.find("/../") == std::string::npos && closed.find('\n') == std::string::npos;
    if (is_text && stays) {
      out_.place = node.text;
      return;
    }
    reader_.complaints().error(
        node, fmt::format("'file' is a path in the worker's directory of secrets, such as db/password, not {}",
                          Reader::shown(node)));
  }

  static std::string text_at(const Node& node, std::string_view key) {
    const Node* found = node.find(key);
    return found != nullptr && found->is_scalar() && !found->is_null() ? found->text : std::string();
  }

  void take(const Node& node, std::string_view key, std::string& into, bool fits, std::string_view what) {
    const Node* found = node.find(key);
    if (found == nullptr) return reader_.complaints().error(node, fmt::format("'{}' is missing: {}", key, what));
    if (!fits) {
      return reader_.complaints().error(*found, fmt::format("'{}' is {}, not {}", key, what, Reader::shown(*found)));
    }
    into = found->text;
  }

  Reader& reader_;
  SecretRef& out_;
};

}  // namespace

void TaskReader::read_secrets_into(std::vector<SecretRef>& secrets, const Node& node) {
  if (!node.is_map()) {
    return complaints_.error(
        node, fmt::format("'secrets' is a map such as {{TOKEN: {{env: TOKEN}}}}, not {}", Reader::shown(node)));
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    SecretRef secret{.name = node.key(i).text};
    if (!is_identifier(secret.name)) {
      (void)reader_.identifier(node.key(i), "secrets");
      continue;
    }
    if (secret.name.starts_with("CHAPPE_")) {
      complaints_.error(node.key(i), fmt::format("'{}': names that begin with CHAPPE_ are Chappe's own", secret.name));
    }
    if (!SecretReading(reader_, secret).read(node.value(i))) continue;
    const auto same =
        std::find_if(secrets.begin(), secrets.end(), [&](const SecretRef& each) { return each.name == secret.name; });
    if (same == secrets.end()) {
      secrets.push_back(std::move(secret));
    } else {
      *same = std::move(secret);
    }
  }
}

/// The DAG's, those of `defaults`, and the task's own, a later one in place of an earlier one.
void TaskReader::read_secrets(WorkSpec& work) {
  const Node& own = *nodes_[index_];
  const Node* place = &own;
  for (const Node* node :
       {dag_secrets_, defaults_ == nullptr ? nullptr : defaults_->find("secrets"), own.find("secrets")}) {
    if (node == nullptr) continue;
    read_secrets_into(work.secrets, *node);
    place = node;
  }
  if (work.secrets.size() > kSecretRefsMax) {
    complaints_.error(*place, fmt::format("more than {} secrets of one task", kSecretRefsMax));
  }
  for (const SecretRef& secret : work.secrets) {
    const auto same = [&](const auto& entry) { return entry.first == secret.name; };
    if (std::find_if(work.env.begin(), work.env.end(), same) == work.env.end()) continue;
    complaints_.error(
        *place, fmt::format("'{}' stands in 'env' and in 'secrets'; a task has one variable of a name", secret.name));
  }
}

}  // namespace chappe
