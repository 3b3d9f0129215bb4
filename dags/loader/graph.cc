#include "dags/loader/graph.h"

#include <algorithm>
#include <unordered_map>

namespace chappe {

std::vector<std::uint32_t> topological_order(const Dag& dag) {
  std::vector<std::vector<std::uint32_t>> children(dag.tasks.size());
  std::vector<std::uint32_t> waits_for(dag.tasks.size());
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    waits_for[i] = static_cast<std::uint32_t>(dag.tasks[i].depends_on.size());
    for (const Dependency& dependency : dag.tasks[i].depends_on) children[dependency.task].push_back(i);
    if (waits_for[i] == 0) order.push_back(i);
  }
  for (std::size_t at = 0; at < order.size(); ++at) {
    for (const std::uint32_t child : children[order[at]]) {
      if (--waits_for[child] == 0) order.push_back(child);
    }
  }
  return order;
}

std::vector<bool> descendants_of(const Dag& dag, const std::vector<std::uint32_t>& tasks) {
  std::vector<std::vector<std::uint32_t>> children(dag.tasks.size());
  for (std::uint32_t i = 0; i < dag.tasks.size(); ++i) {
    for (const Dependency& dependency : dag.tasks[i].depends_on) children[dependency.task].push_back(i);
  }
  std::vector<bool> reached(dag.tasks.size());
  std::vector<std::uint32_t> to_visit = tasks;
  while (!to_visit.empty()) {
    const std::uint32_t at = to_visit.back();
    to_visit.pop_back();
    for (const std::uint32_t child : children[at]) {
      if (reached[child]) continue;
      reached[child] = true;
      to_visit.push_back(child);
    }
  }
  return reached;
}

std::vector<std::vector<std::uint32_t>> find_cycles(const Dag& dag) {
  std::vector<std::vector<std::uint32_t>> cycles;
  std::vector<bool> settled(dag.tasks.size());
  for (const std::uint32_t task : topological_order(dag)) settled[task] = true;
  // Whatever is left waits for something that is left: following that must come back to where it has been.
  std::vector<std::size_t> position(dag.tasks.size());
  for (std::uint32_t start = 0; start < dag.tasks.size(); ++start) {
    std::vector<std::uint32_t> path;
    for (std::uint32_t at = start; !settled[at];) {
      if (position[at] > 0) {
        cycles.emplace_back(path.begin() + static_cast<std::ptrdiff_t>(position[at]) - 1, path.end());
        // Along the edges, from the one that must come first.
        std::reverse(cycles.back().begin(), cycles.back().end());
        break;
      }
      path.push_back(at);
      position[at] = path.size();
      const auto& edges = dag.tasks[at].depends_on;
      const auto next = std::find_if(edges.begin(), edges.end(), [&](const auto& edge) { return !settled[edge.task]; });
      if (next == edges.end()) break;
      at = next->task;
    }
    for (const std::uint32_t task : path) settled[task] = true;
  }
  return cycles;
}

bool demands_success(const Task& task, const Dependency& dependency) {
  if (task.trigger_rule != TriggerRule::kAllSuccess) return false;
  return dependency.plain || (dependency.on_succeeded && !dependency.on_failed && !dependency.on_skipped);
}

namespace {

constexpr std::size_t kWordBits = 64;

/// One pass over the DAG for up to 64 ancestors: bit i of a task's mask stands for the i-th.
class Sweep {
 public:
  explicit Sweep(const Dag& dag) : dag_(dag), upstream_(dag.tasks.size()), certain_(dag.tasks.size()) {}

  void run(const std::vector<std::uint32_t>& order, const std::unordered_map<std::uint32_t, std::size_t>& bits) {
    for (const std::uint32_t at : order) {
      std::uint64_t upstream = 0, certain = 0;
      for (const Dependency& dependency : dag_.tasks[at].depends_on) {
        const auto bit = bits.find(dependency.task);
        const std::uint64_t self = bit == bits.end() ? 0 : std::uint64_t{1} << bit->second;
        upstream |= upstream_[dependency.task] | self;
        const bool up = dag_.consumes(at, dependency.task);  // Whatever the rule.
        if (up || demands_success(dag_.tasks[at], dependency)) certain |= certain_[dependency.task] | self;
      }
      upstream_[at] = upstream;
      certain_[at] = certain;
    }
  }

  void answer(UpstreamQuestion& question, std::size_t bit) const {
    question.upstream = ((upstream_[question.task] >> bit) & 1U) != 0;
    question.certain = ((certain_[question.task] >> bit) & 1U) != 0;
  }

 private:
  const Dag& dag_;
  std::vector<std::uint64_t> upstream_;
  std::vector<std::uint64_t> certain_;
};

/// Most questions are about a neighbour that is demanded: no sweep for those.
void answer_neighbours(const Dag& dag, std::vector<UpstreamQuestion>& questions) {
  std::vector<std::uint32_t> marked(dag.tasks.size());
  std::uint32_t marked_for = 0;
  for (UpstreamQuestion& question : questions) {
    if (marked_for != question.task + 1) {
      marked_for = question.task + 1;
      for (const Dependency& dependency : dag.tasks[question.task].depends_on) {
        const bool up = dag.consumes(question.task, dependency.task);
        if (up || demands_success(dag.tasks[question.task], dependency)) marked[dependency.task] = marked_for;
      }
    }
    if (marked[question.ancestor] == marked_for) question.upstream = question.certain = true;
  }
}

}  // namespace

void answer(const Dag& dag, const std::vector<std::uint32_t>& order, std::vector<UpstreamQuestion>& questions) {
  answer_neighbours(dag, questions);
  std::vector<UpstreamQuestion*> open;
  for (UpstreamQuestion& question : questions) {
    if (!question.certain) open.push_back(&question);
  }
  std::sort(open.begin(), open.end(), [](const auto* a, const auto* b) { return a->ancestor < b->ancestor; });
  Sweep sweep(dag);
  for (std::size_t first = 0; first < open.size();) {
    std::unordered_map<std::uint32_t, std::size_t> bits;
    std::size_t last = first;
    for (; last < open.size(); ++last) {
      const std::uint32_t ancestor = open[last]->ancestor;
      if (bits.size() == kWordBits && !bits.contains(ancestor)) break;
      bits.emplace(ancestor, bits.size());
    }
    sweep.run(order, bits);
    for (; first < last; ++first) sweep.answer(*open[first], bits.at(open[first]->ancestor));
  }
}

}  // namespace chappe
