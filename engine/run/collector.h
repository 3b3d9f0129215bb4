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
///
/// What the object store does not let us remove stays doomed, is tried again after a growing rest, and holds up nothing
/// else; but where there is too much of it nothing more is marked.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/run/events.h"

namespace chappe {

class Collector {
 public:
  static constexpr std::size_t kFencesMax = 1'000;   ///< Runs whose marks lookups under way may not know of.
  static constexpr std::size_t kRefusedMax = 1'000;  ///< Objects; above it nothing more is marked.

  void adopt(std::vector<std::string> doomed, std::optional<WallTime> next_due, Effects& out);
  /// A run has ended, or has not any more: fills row.retention.
  void plan(RunRow& row, const Dag& dag);
  /// `live`: of the run that it is about. `lookups`: those under way.
  void take(const ExpiredLooked& event, bool live, WallTime now, const std::set<std::uint64_t>& lookups, Effects& out);
  void take(const ObjectsRemoved& event, MonoTime now, Effects& out);
  /// At the end of a step: what is to be asked next, or when.
  void ask(Now now, Effects& out);

  /// In this step artifacts of the run were marked: what was read of it before does not know that.
  bool is_marking(RunSeq run) const { return run && run == marking_; }
  /// The result was looked up before its artifacts were marked.
  bool outdates(const CacheLooked& event) const;
  /// `lookups`: those that are still under way.
  void looked_up(const std::set<std::uint64_t>& lookups);
  /// Objects that nobody refers to, and that the store does not let us remove.
  std::size_t refused() const { return refused_.size(); }

 private:
  void mark(const ExpiredLooked& event, RunRow& row, WallTime now, Effects& out);
  static void postpone(const ExpiredLooked& event, RunRow& row, WallTime now);
  void try_again(MonoTime now, Effects& out);

  std::optional<WallTime> next_;  ///< When to look; not set: nothing will be due.
  bool asked_ = false;
  RunSeq run_;  ///< That is being gone through; 0: none is.
  ArtifactPlace after_;
  std::optional<WallTime> later_;           ///< When the next of its artifacts are due that were passed by.
  std::vector<std::string> removing_;       ///< Of the batch before: the next one waits for their end.
  std::map<RunSeq, std::uint64_t> fences_;  ///< By run with new marks: the newest lookup that does not know them.
  RunSeq marking_;
  std::deque<std::string> refused_;  ///< Those that are to be tried again first come first.
  std::uint32_t refusals_ = 0;       ///< Rounds in a row in which the store refused some.
  MonoTime refused_until_;           ///< When to try again.
  bool trying_again_ = false;        ///< What is being removed was refused before.
};

}  // namespace chappe
