/// \file
/// Which task instances a run has: tasks in file order, those of a mapped task side by side. A fan-out over nothing has
/// one instance that stands for it, without key or item, and ends as `on_empty` says.
///
/// A pure function of DAG version and parameters, so it is never stored. Cost: O(tasks), and O(1) memory for sequences.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/model/dag.h"

namespace chappe {

class Instances {
 public:
  /// `params`: resolved. Errors: kInvalidInput: a fan-out that is no list, has two equal keys, or passes a bound.
  static Result<Instances> expand(DagPtr dag, const ValueMap& params);

  std::uint32_t size() const { return static_cast<std::uint32_t>(first_.back()); }
  std::uint32_t first(std::uint32_t task) const { return first_[task]; }
  std::uint32_t count(std::uint32_t task) const { return first_[task + 1] - first_[task]; }
  /// The task fans out, over at least one item.
  bool mapped(std::uint32_t task) const { return mapped_[task]; }
  std::uint32_t task_of(std::uint32_t index) const;  ///< Cost: O(log tasks).
  /// What names the instance among its task's; "" where the task is not mapped.
  std::string key_of(std::uint32_t index) const;
  /// Null where the task is not mapped.
  Value item_of(std::uint32_t index) const;
  /// "train" or "train[KEY]".
  std::string name_of(std::uint32_t index) const;
  /// The instance called `name`, as name_of() writes it.
  std::optional<std::uint32_t> find(std::string_view name) const;
  const Dag& dag() const { return *dag_; }

 private:
  struct Items {
    ValueList values;
    std::vector<std::string> keys;
  };
  DagPtr dag_;
  std::vector<std::uint32_t> first_;      ///< By task; one more at the end: the sum.
  std::vector<bool> mapped_;              ///< By task.
  std::map<std::uint32_t, Items> items_;  ///< By task; only mapped ones over a list.
};

}  // namespace chappe
