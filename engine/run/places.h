/// \file
/// Which runs have one of the places of their group, and which wait for one. Private to engine/run.
///
/// Runs whose `concurrency.group` came to the same text, in one namespace, are a group, whatever their DAGs; without
/// it the runs of the DAG are. How many may have a place each run's own DAG says. Those that wait stand in line by
/// their numbers, and nobody overtakes: so one whose DAG allows few is not passed over for ever.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "engine/run/records.h"

namespace chappe {

class Places {
 public:
  /// The run's group: "NAMESPACE TEXT", or the name of its DAG, which has no blank in it.
  static std::string group_of(const RunRow& row, const Dag& dag);

  /// Those that have one of the `max_runs`.
  const std::set<RunSeq>& taken(const std::string& group) const;
  /// Those in line, the next one first.
  const std::set<RunSeq>& line(const std::string& group) const;
  /// For a run that is not in line: fewer than `max_runs` have one, and nobody stands before it.
  bool is_free(const std::string& group, RunSeq run, std::uint32_t max_runs) const;

  void take(const std::string& group, RunSeq run) { groups_[group].taken.insert(run); }
  void give_back(const std::string& group, RunSeq run);
  void join_line(const std::string& group, const RunRow& row);
  void leave_line(const std::string& group, const RunRow& row);

  std::size_t waiting() const { return waiting_; }       ///< In all lines.
  std::size_t waiting_of(const std::string& dag) const;  ///< Those of one DAG among them.
  std::size_t groups() const { return groups_.size(); }  ///< That have a run.

 private:
  struct Group {
    std::set<RunSeq> taken;
    std::set<RunSeq> line;
  };
  void forget_if_empty(const std::string& group);

  std::map<std::string, Group> groups_;
  std::map<std::string, std::size_t> waiting_of_;
  std::size_t waiting_ = 0;
};

/// `max_runs` is not about it: it counts among the runs of its backfill.
inline bool has_own_place(const RunRow& row) { return static_cast<bool>(row.backfill); }
/// Why a run with this row is not made where `on_limit` is skip.
std::string told_full(const Dag& dag, const RunRow& row);

}  // namespace chappe
