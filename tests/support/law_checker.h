/// \file
/// The laws of the engine, checked from outside after every step: by what the store holds and what was sent, never by
/// asking the engine what it thinks.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/support/engine_world.h"

namespace chappe::support {

/// What docs/guide/dag-file.md says of a trigger rule, read independently of engine/run: may the task run, given the
/// states in which its upstream instances have ended so far?
bool rule_allows(const EngineWorld& world, InstanceKey key);

class LawChecker {
 public:
  explicit LawChecker(const EngineWorld& world) : world_(world) {}

  /// After each step that was committed.
  void check(const Effects& effects);
  /// A worker begins to carry an attempt out.
  void begins(const Assignment& what);
  /// Nothing is under way any more.
  void check_quiet() const;

 private:
  void check_assignments(const Effects& effects);
  void check_drops(const Effects& effects) const;
  void check_final_states();
  void check_budgets() const;
  void check_rooms() const;
  void check_pools() const;
  void check_restored() const;

  const EngineWorld& world_;
  AttemptId newest_;
  int checks_ = 0;
  std::map<InstanceKey, std::pair<std::uint32_t, TaskRow>> final_;  ///< Generation and row.
  std::set<std::pair<InstanceKey, std::uint16_t>> begun_;
};

}  // namespace chappe::support
