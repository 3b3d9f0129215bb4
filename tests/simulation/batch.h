/// \file
/// Many seeds, in processes of their own: an assertion of the product that breaks ends the process, and is a finding
/// like any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/mutant.h"
#include "tests/simulation/laws.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/seen.h"

namespace chappe::simulation {

struct BatchPlan {
  std::uint64_t from = 1;
  std::uint64_t seeds = 1;
  std::uint32_t jobs = 1;
  Reduction reduction;
  Mutant mutant = Mutant::kNone;
  std::uint32_t seconds_max = 0;  ///< Of each process; 0: no bound. Past it, the seed under way is one that hangs.
  bool quiet = false;             ///< Says nothing of assertions that break.
};

struct Finding {
  std::uint64_t seed = 0;
  Violation violation;
};

struct BatchResult {
  Seen seen;
  std::uint64_t seeds = 0;         ///< That were lived through, the one that failed included.
  std::optional<Finding> finding;  ///< The one with the smallest seed.
};

BatchResult run_batch(const BatchPlan& plan);

/// Leaves out faults, runs, tasks and workers while the same law is still broken.
Reduction minimise(const Finding& finding, Mutant mutant, Reduction reduction);

}  // namespace chappe::simulation
