/// \file
/// When a DAG would start by itself: the next times, and those around the next change of clocks.
#pragma once

#include <string>
#include <vector>

#include "engine/model/schedule_plan.h"

namespace chappe::cli {

struct PlannedTime {
  WallTime time;
  std::string text;  ///< ISO 8601 with the offset of the first line's zone.
  std::string note;  ///< "clocks of Europe/Berlin change": no run, but what to look at; "" for a run.
};

/// In order. Empty where the plan is, or has no further time.
std::vector<PlannedTime> planned_times(const SchedulePlan& plan, WallTime now);

}  // namespace chappe::cli
