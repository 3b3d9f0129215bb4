// `templates` of a DAG, and the tasks that begin with one: `uses: NAME`.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

void TaskReader::know_templates(const Node& templates) {
  if (!templates.is_map()) {
    return complaints_.error(
        templates, fmt::format("'templates' is a map from names to keys of a task, not {}", Reader::shown(templates)));
  }
  for (std::size_t i = 0; i < templates.members(); ++i) {
    const Node& body = templates.value(i);
    if (!reader_.identifier(templates.key(i), "templates") || !reader_.check_keys(body, keys::kTask)) continue;
    for (const std::string_view key : {"id", "uses"}) {
      const Node* wrong = body.find(key);
      if (wrong == nullptr) continue;
      complaints_.error(*wrong, key == "id" ? std::string("a template has no 'id'; its tasks have")
                                            : std::string("a template cannot use another one"));
    }
    templates_[templates.key(i).text] = &body;
  }
}

/// As with `defaults`: maps are merged, of anything else what stands in the task wins.
const Node& TaskReader::with_template(const Node& node) {
  const Node* uses = node.is_map() ? node.find("uses") : nullptr;
  if (uses == nullptr) return node;
  const auto found = uses->is_scalar() ? templates_.find(uses->text) : templates_.end();
  if (found == templates_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, body] : templates_) names.push_back(name);
    const std::string near = Reader::suggestion(uses->text, names);
    complaints_.error(*uses, fmt::format("there is no template {}{}", Reader::shown(*uses),
                                         !near.empty()   ? near
                                         : names.empty() ? "; the DAG has no 'templates'"
                                                         : fmt::format("; there are {}", fmt::join(names, ", "))));
    return node;
  }
  Node own = node;
  own.children.clear();
  for (std::size_t i = 0; i < node.members(); ++i) {
    if (node.key(i).text == "uses") continue;
    own.children.insert(own.children.end(), {&node.key(i), &node.value(i)});
  }
  return merged(tree_.make(std::move(own)), *found->second);
}

}  // namespace chappe
