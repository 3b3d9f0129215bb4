/// \file
/// Which runs of long ago go, and when. Private to engine/run.
///
///   a person asks, or the retention of runs has passed -> runs that may go are looked for, those that ended last first
///   -> each that nothing refers to is marked -> its objects are removed, its rows deleted kPruneRowsMax at a time
///   -> it is marked no more, and what is left is one row: which run it was, when it was, and how it ended
///
/// Marked first, deleted after: whatever is not marked is whole, whenever the process dies. A run goes only when no run
/// that is there was handed anything of it; so the chain upstream of a version of an asset stays, link by link. What
/// refers to what stands in the store, which says it after the commit that asked for it and before anything else
/// changes: nothing that is alive comes to refer to a run between the look and the mark.
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

struct EngineState;

class EnginePruner {
 public:
  static constexpr std::size_t kRequestsMax = 16;     ///< That wait for their turn.
  static constexpr std::uint32_t kAnswerMax = 1'000;  ///< Runs that one request looks at, about.
  static constexpr std::size_t kMarkedMax = 64;       ///< Runs that are marked and not gone yet.
  static constexpr std::size_t kFencesMax = 4'096;    ///< Marked runs that lookups under way may not know of.

  explicit EnginePruner(EngineState& state) : state_(state) {}

  /// `marked`: those that were, and are not gone yet.
  void adopt(const std::vector<RunRow>& marked);
  void take(const PruneRequested& event);
  void take(const PruneLooked& event);
  void take(const RunObjectsRemoved& event);
  /// A result of the run was used again: what was found of it so far may not hold any more.
  void note_use(RunSeq run);
  /// At the end of a step: what is to be asked next, or when.
  void ask();

  /// In this step the run was marked: what was read of it before does not know that.
  bool is_marking(RunSeq run) const { return marking_.contains(run); }
  /// The result was looked up before its run was marked.
  bool outdates(const CacheLooked& event) const;
  /// Some lookup has ended.
  void looked_up();

 private:
  /// Going through the runs that ended before a time. Without a ticket: by the retention of runs.
  struct Pass {
    PruneRequested asked;
    std::uint32_t from = 0;  ///< As in PruneQuery.
    RunSeq within;           ///< The run that it is about; 0: none has been begun.
    std::uint32_t looked = 0;
    std::uint32_t pruned = 0;
    std::map<Kept, std::uint32_t> kept;
  };
  struct Marked {
    bool has_rows = true;
    bool has_objects = true;
  };

  void begin_pass();
  void go_through(const PruneLooked& event);
  void mark(const std::vector<RunRow>& rows);
  void remove_objects(const RunRow& row);
  void end_if_gone(RunSeq run);
  void end_pass(bool last);
  bool has_room() const;

  EngineState& state_;
  std::deque<PruneRequested> requests_;
  std::optional<Pass> pass_;
  std::map<RunSeq, Marked> marked_;
  std::set<RunSeq> marking_;                ///< Of the step under way.
  std::map<RunSeq, std::uint64_t> fences_;  ///< By marked run: the newest lookup that does not know it.
  bool asked_ = false;
  bool asked_for_pass_ = false;  ///< And not only for the marked ones.
  MonoTime rests_until_;
  std::optional<MonoTime> next_;  ///< When those whose retention has passed are looked for.
};

}  // namespace chappe
