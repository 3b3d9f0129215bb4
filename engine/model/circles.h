/// \file
/// DAGs that start one another in a circle, by their ends or by what they publish. Pure.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/dag.h"

namespace chappe {

/// What runs of the DAG make news of: their end, and the assets that they publish, as far as the file says which.
std::vector<EventSource> news_of(const Dag& dag);

/// What its triggers are on.
std::vector<EventSource> sources_of(const Dag& dag);
/// DAGs that have a trigger on it.
using ListenersOf = std::function<std::vector<DagPtr>(const EventSource& source)>;

struct DagCircle {
  std::vector<std::string> dags;  ///< Each starts the next, and the last one the first. Empty: there is no circle.
  std::string warning;            ///< "DAGs start each other in a circle (a, b on asset s3://x, a): ...".
};

/// A circle that leads through `dag`. `listeners`: of all DAGs but `dag`, whose own triggers are looked at.
/// Cost: O(tasks of the DAGs that it leads to), of kCircleLooked at most.
inline constexpr std::size_t kCircleLooked = 1'000;
DagCircle circle_through(const Dag& dag, const ListenersOf& listeners);

}  // namespace chappe
