// `lineage`: datasets outside that a task reads and writes by itself.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

void TaskReader::read_lineage(Task& task, const Node& node) {
  if (!reader_.check_keys(node, keys::kLineage)) return;
  auto lineage = std::make_shared<LineageSpec>();
  const auto read = [&](std::string_view key, std::vector<expr::Template>& into) {
    const Node* list = node.find(key);
    if (list == nullptr || !reader_.is_list(*list, key, "[postgres://db/sales.orders]")) return;
    for (const Node* uri : list->children) {
      auto text = names_.parse_template(*uri, site::kLineage, key);
      if (!text) continue;
      const bool odd =
          text->is_literal() && (text->text().empty() || text->text().find_first_of(" \t\r\n") != std::string::npos);
      if (odd)
        complaints_.error(
            *uri, fmt::format("a dataset has a URI, such as postgres://db/sales.orders, not {}", Reader::shown(*uri)));
      if (std::find(into.begin(), into.end(), *text) != into.end()) {
        complaints_.error(*uri, fmt::format("{} stands twice in '{}'", Reader::shown(*uri), key));
      }
      into.push_back(std::move(*text));
    }
  };
  read("inputs", lineage->inputs);
  read("outputs", lineage->outputs);
  if (lineage->inputs.size() + lineage->outputs.size() > kDatasetsMax) {
    complaints_.error(node, fmt::format("more than {} datasets of one task", kDatasetsMax));
  }
  task.lineage = std::move(lineage);
}

}  // namespace chappe
