/// \file
/// Which artifacts of runs that have ended go, and when: those whose retention has passed. Private to engine/run.
///
///   a run ends -> it is due -> its artifacts are marked, kCollectMax at a time -> objects that no artifact refers to
///   any more are doomed in the same transaction -> they are removed -> they are doomed no more
///
/// Marked first, removed after: what is not marked is there, whenever the process dies. What another run refers to (a
/// result that was used again), versions of assets and values stay. One run at a time, one batch at a time; the store
/// says what is due after the commit that asked for it and before anything else changes, so that nothing that is alive
/// comes to refer to an object between the look and the mark.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/events.h"

namespace chappe {

class Collector {
 public:
  static constexpr std::size_t kFencesMax = 1'000;  ///< Runs whose marks lookups under way may not know of.

  void adopt(std::vector<std::string> doomed, std::optional<WallTime> next_due, Effects& out);
  /// A run has ended, or has not any more: fills row.retention.
  void plan(RunRow& row, const Dag& dag);
  /// `live`: of the run that it is about. `lookups`: how many have ever begun; `under_way`: some have not ended.
  void take(const ExpiredLooked& event, bool live, WallTime now, std::uint64_t lookups, bool under_way, Effects& out);
  void take(const ObjectsRemoved& event, Effects& out);
  /// At the end of a step: what is to be asked next, or when.
  void ask(Now now, Effects& out);

  /// In this step artifacts of the run were marked: what was read of it before does not know that.
  bool is_marking(RunSeq run) const { return run && run == marking_; }
  /// The result was looked up before its artifacts were marked.
  bool outdates(const CacheLooked& event) const;
  void all_looked_up() { fences_.clear(); }

 private:
  void mark(const ExpiredLooked& event, RunRow& row, WallTime now, Effects& out);
  static void postpone(const ExpiredLooked& event, RunRow& row, WallTime now);

  std::optional<WallTime> next_;  ///< When to look; not set: nothing will be due.
  bool asked_ = false;
  RunSeq run_;  ///< That is being gone through; 0: none is.
  ArtifactPlace after_;
  std::optional<WallTime> later_;           ///< When the next of its artifacts are due that were passed by.
  std::vector<std::string> removing_;       ///< Of the batch before: the next one waits for their end.
  std::map<RunSeq, std::uint64_t> fences_;  ///< By run with new marks: the newest lookup that does not know them.
  RunSeq marking_;
};

}  // namespace chappe
