/// \file
/// The list of planted bugs, and how well the laws find them.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/mutant.h"
#include "tests/simulation/batch.h"
#include "tests/simulation/laws.h"

namespace chappe::simulation {

struct PlantedBug {
  Mutant mutant = Mutant::kNone;
  std::string_view name;
  std::string_view breaks;    ///< What it does wrong.
  std::vector<Law> found_by;  ///< Any of these must find it.
  std::vector<Fault> focus;   ///< It shows so rarely that only these come when it is looked for.
  bool hidden = false;        ///< Another guard saves what it breaks: no history is known that shows it.
};

/// All of them, in the order of the enumeration.
std::span<const PlantedBug> planted_bugs();
std::string_view name_of(Mutant mutant);
std::optional<Mutant> parse_mutant(std::string_view name);

/// Plants each bug and looks for it from `starts` seeds on. Prints a table and the score. Returns 0 when all are found.
int run_mutants(const BatchPlan& plan, std::uint32_t starts);

}  // namespace chappe::simulation
