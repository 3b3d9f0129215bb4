/// \file
/// Who waits for whom, by position, in flat arrays: what a finished task touches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/dag.h"

namespace chappe {

/// One edge, seen from the task that ends.
struct ChildEdge {
  std::uint32_t child = 0;
  std::uint32_t dependency = 0;  ///< Position in the child's `depends_on`.
};

/// Immutable; shared by the live runs of a DAG version. 8 bytes an edge, 4 a task.
class Graph {
 public:
  explicit Graph(const Dag& dag);
  std::span<const ChildEdge> children(std::uint32_t task) const {
    return std::span(edges_).subspan(first_[task], first_[task + 1] - first_[task]);
  }
  /// The tasks and all that depend on them, directly or not; one flag a task. Cost: O(edges reached).
  std::vector<bool> with_descendants(std::span<const std::uint32_t> tasks) const;
  /// The tasks and all that they depend on, directly or not; one flag a task. Cost: O(edges reached).
  static std::vector<bool> with_ancestors(const Dag& dag, std::span<const std::uint32_t> tasks);

 private:
  std::vector<std::uint32_t> first_;
  std::vector<ChildEdge> edges_;
};

}  // namespace chappe
