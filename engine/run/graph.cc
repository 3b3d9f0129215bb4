#include "engine/run/graph.h"

namespace chappe {

Graph::Graph(const Dag& dag) : first_(dag.tasks.size() + 1) {
  for (const Task& task : dag.tasks) {
    for (const Dependency& dependency : task.depends_on) ++first_[dependency.task + 1];
  }
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  edges_.resize(first_.back());
  std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
  for (std::uint32_t child = 0; child < dag.tasks.size(); ++child) {
    const auto& dependencies = dag.tasks[child].depends_on;
    for (std::uint32_t i = 0; i < dependencies.size(); ++i) edges_[next[dependencies[i].task]++] = {child, i};
  }
}

std::vector<bool> Graph::with_descendants(std::span<const std::uint32_t> tasks) const {
  std::vector<bool> reached(first_.size() - 1);
  std::vector<std::uint32_t> to_visit(tasks.begin(), tasks.end());
  while (!to_visit.empty()) {
    const std::uint32_t task = to_visit.back();
    to_visit.pop_back();
    if (reached[task]) continue;
    reached[task] = true;
    for (const ChildEdge& edge : children(task)) to_visit.push_back(edge.child);
  }
  return reached;
}

std::vector<bool> Graph::with_ancestors(const Dag& dag, std::span<const std::uint32_t> tasks) {
  std::vector<bool> reached(dag.tasks.size());
  std::vector<std::uint32_t> to_visit(tasks.begin(), tasks.end());
  while (!to_visit.empty()) {
    const std::uint32_t task = to_visit.back();
    to_visit.pop_back();
    if (reached[task]) continue;
    reached[task] = true;
    for (const Dependency& edge : dag.tasks[task].depends_on) to_visit.push_back(edge.task);
  }
  return reached;
}

}  // namespace chappe
