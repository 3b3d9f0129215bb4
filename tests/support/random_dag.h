/// \file
/// DAGs by chance, for laws that must hold for every one.
#pragma once

#include <cstdint>
#include <random>

#include "engine/model/dag.h"

namespace chappe::support {

/// A seeded source of chance; the same seed makes the same everywhere.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  /// 0 to `below` - 1. Requires: `below` > 0.
  std::uint32_t number(std::uint32_t below) { return static_cast<std::uint32_t>(engine_() % below); }
  bool one_in(std::uint32_t times) { return number(times) == 0; }
  template <typename List>
  auto& pick(List& list) {
    return list[number(static_cast<std::uint32_t>(list.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

/// The same DAG, some of whose tasks have hooks, as the loader makes them.
DagPtr with_hooks(Chance& chance, const DagPtr& dag);

/// 1 to `tasks_max` tasks: any trigger rule and kind of edge, fan-outs (empty ones too), conditions, retries, pools
/// "default", "a" and "b", bounds and time-outs. Every task fits a worker of 2 cores.
DagPtr random_dag(Chance& chance, std::uint32_t tasks_max);

}  // namespace chappe::support
