/// \file
/// What would come of a run that began now, as far as nobody does anything for it: which results would be used again
/// and which not, what is skipped, what a gate says, and where work would begin.
///
/// The engine itself decides, in a state of its own that nothing is stored of: it has the store's assets, aliases and
/// results, and no workers. What it wants done is not done, but for looking results up.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "engine/ports/result_lookup.h"
#include "engine/run/events.h"

namespace chappe {

inline constexpr std::size_t kRehearsedLookupsMax = 500;    ///< Results that are looked up; others count as misses.
inline constexpr std::size_t kRehearsedAssetsMax = 50'000;  ///< Assets that the rehearsal knows, the newest.

struct RehearsedTask {
  std::string name;  ///< Of the instance: "train[KEY]".
  std::string task;
  TaskState state = TaskState::kNone;  ///< kScheduled: work would begin. kSuccess: without any.
  bool reused = false;                 ///< With the result of an earlier attempt.
  std::string told;                    ///< Of the result: whose it is, or why there is none.
  std::string waits_for;               ///< Where the state is not final; else why it ended so.
};

struct RehearsalTools {
  MetaReader& reader;
  HeadObject head;
  ReadValueObject read;
  std::function<std::string(std::string_view)> sha256;  ///< As EngineConfig::sha256.
};

/// By instance. Nothing of `run` but its DAG, parameters and times matters. Errors: kInvalidInput: the run would be
/// refused, or has more than `instances_max` instances; those of the reader.
/// Cost: O(instances), and as many reads as there are results to look up.
Result<std::vector<RehearsedTask>> rehearse(RunRequested run, const RehearsalTools& tools, Now now,
                                            std::size_t instances_max);

}  // namespace chappe
