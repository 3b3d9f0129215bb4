/// \file
/// What the metadata store keeps of triggers: events that wait for a run or were taken by one, and what of the outside
/// has been seen already.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/base/value.h"
#include "engine/model/triggers.h"

namespace chappe {

/// An event that the trigger of a deployed DAG was told of. It waits for a run to take it, and stays with that run.
struct TriggerEventRow {
  EventId id;
  std::string dag;  ///< Whose trigger.
  EventSource source;
  std::string key;        ///< Where not empty, no other event of this source and this DAG has it.
  Value detail;           ///< Map: `event` in expressions.
  Value params;           ///< Map: those that it gives to the run.
  WallTime logical_time;  ///< Of the run that it came from; not set: it came from none.
  WallTime interval_start;
  WallTime interval_end;
  WallTime at;
  RunSeq run;  ///< That took it; 0: it waits.
  bool operator==(const TriggerEventRow&) const = default;
};

/// "It waits no more."
struct TriggerEventTaken {
  EventId id;
  RunSeq run;  ///< That takes it; 0: it was given up, and its row goes.
  bool operator==(const TriggerEventTaken&) const = default;
};

/// A version of an object that a trigger of a deployed DAG has seen: it is no news any more.
struct SightingRow {
  std::string dag;
  std::string source;  ///< EventSource::name, of a kObject.
  std::string object;  ///< Its key in its store; "": the trigger has looked for the first time.
  std::string stamp;   ///< Says which version: another one is news. Never empty.
  bool operator==(const SightingRow&) const = default;
};

inline constexpr std::size_t kSightingsMax = 10'000;  ///< Of one trigger; where there is more, nothing is news.

/// "It was seen so, now it is seen so." The guard that no version makes two events.
struct SightingChange {
  SightingRow row;
  std::string before;  ///< The stamp that must stand there; "": none may.
  bool gone = false;   ///< Nothing is there any more. Of the object "": forget all of the trigger.
  bool operator==(const SightingChange&) const = default;
};

}  // namespace chappe
