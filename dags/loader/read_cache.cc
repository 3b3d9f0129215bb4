// What makes a result that may be used again.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

/// `cache: auto`, or a map. `written`: by the task itself, not by `defaults`.
void TaskReader::read_cache(Task& task, const WorkSpec& work, const Node& node, bool written, bool handles) {
  const char* effect = handles                     ? "a handler"
                       : is_setup_[index_]         ? "a setup"
                       : !task.teardown_of.empty() ? "a teardown"
                       : task.loop                 ? "a loop"
                                                   : nullptr;
  if (effect != nullptr) {
    if (written) complaints_.error(node, fmt::format("{} runs each time: it takes no 'cache'", effect));
    return;
  }
  CacheSpec cache;
  const bool automatic = node.is_scalar() && node.text == "auto";
  if (node.is_scalar() && !automatic) {
    complaints_.error(
        node, fmt::format("'cache' needs 'auto' or a map such as {{key: auto, ttl: 7d}}, not {}", Reader::shown(node)));
    return;
  }
  if (!automatic && !reader_.check_keys(node, keys::kCache)) return;
  if (const Node* key = node.find("key"); key != nullptr && !(key->is_scalar() && key->text == "auto")) {
    auto text = names_.parse_template(*key, site::kCacheKey, "key");
    if (text && text->text().empty()) complaints_.error(*key, "'key' needs 'auto' or a text");
    if (text) cache.key = std::move(*text);
  }
  // What such an object holds is known when an attempt reads it, and not before.
  const bool unknown = std::ranges::any_of(work.inputs, [](const auto& input) { return !input.s3.text().empty(); });
  if (unknown && cache.key.text().empty()) {
    if (!written) return;
    return complaints_.error(node,
                             "what 's3' reads is not known before it is read: give 'cache' a 'key' that says which "
                             "content it is, such as ${{ item.etag }} of 'foreach: {s3_list: ...}'");
  }
  const std::vector<std::string> scopes = {"run", "dag", "namespace"};
  if (const Node* scope = node.find("scope")) {
    if (const auto found = reader_.choice(*scope, "scope", scopes)) cache.scope = static_cast<CacheSpec::Scope>(*found);
  }
  reader_.take_duration(node, "ttl", cache.ttl);
  reader_.take_text(node, "version", cache.version);
  task.cache = std::move(cache);
}

}  // namespace chappe
