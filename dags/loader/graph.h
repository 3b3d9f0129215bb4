/// \file
/// The edges of a DAG: circles, an order, and who stands upstream of whom. Cost: linear, each 64 questions at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/dag.h"

namespace chappe {

/// Tasks in an order in which each stands behind those it depends on. Those in or behind a circle are left out.
std::vector<std::uint32_t> topological_order(const Dag& dag);

/// One circle for each knot of tasks that wait for each other, in the order of the edges: {a, b, c} for c -> a.
std::vector<std::vector<std::uint32_t>> find_cycles(const Dag& dag);

/// True where `task` starts only if the dependency has ended well (or its failure is allowed).
bool demands_success(const Task& task, const Dependency& dependency);

/// The tasks that depend on these, directly or not; one flag a task. Cost: linear.
std::vector<bool> descendants_of(const Dag& dag, const std::vector<std::uint32_t>& tasks);

/// "Is `ancestor` upstream of `task`, and must it have ended well by the time that `task` starts?"
struct UpstreamQuestion {
  std::uint32_t task = 0;
  std::uint32_t ancestor = 0;
  bool upstream = false;  ///< Answer.
  bool certain = false;   ///< Answer: along some way, each task demands the success of the one before.
};

/// Fills in the answers. `order`: topological_order() of the whole DAG, which must be free of circles.
void answer(const Dag& dag, const std::vector<std::uint32_t>& order, std::vector<UpstreamQuestion>& questions);

}  // namespace chappe
