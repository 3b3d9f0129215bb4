/// \file
/// Which task instances a run has: tasks in file order, those of a mapped task side by side. A fan-out over nothing has
/// one instance that stands for it, without key or item, and ends as `on_empty` says.
///
///   list | work | report | work[a] work[b] | ...
///
/// A fan-out over results (ForEach::late) has one instance that stands for the whole of it, for the life of the run.
/// Its items get their instances behind all there are, when they are known. Where a person runs again what they come
/// from, and other items come of it, those before are retired: they keep their positions, and belong to nobody.
///
/// Otherwise a pure function of DAG version and parameters, so it is never stored. Cost: O(tasks), and O(1) memory for
/// sequences.
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
#include "engine/run/fan_out.h"

namespace chappe {

class Instances {
 public:
  /// `params`: resolved. Errors: kInvalidInput: a fan-out that is no list, has two equal keys, or passes a bound.
  static Result<Instances> expand(DagPtr dag, const ValueMap& params);

  /// Gives the items of a late fan-out their instances; the one before of the same task is retired. With no items the
  /// task is as before it had any. Requires: the task's `foreach` is late, has_room() for them.
  void fan_out(std::uint32_t task, FanOutPtr items);
  /// As above, from what a store kept. Errors: kInvalidInput.
  Result<void> fan_out(std::uint32_t task, const Value& told, const Value& params);
  bool has_room(std::uint64_t items) const { return size() + items <= kInstancesMax; }

  std::uint32_t size() const { return late_.empty() ? first_.back() : late_.back().first + late_.back().count(); }
  std::uint32_t first(std::uint32_t task) const;
  std::uint32_t count(std::uint32_t task) const;
  /// The task fans out, over at least one item, and they are known.
  bool mapped(std::uint32_t task) const { return mapped_[task]; }
  /// The items of a late fan-out; null where there are none, or they are not known.
  FanOutPtr late_items(std::uint32_t task) const;
  /// The instance that a task has from the start; of a late fan-out the one that stands for the whole of it.
  std::uint32_t own(std::uint32_t task) const { return first_[task]; }
  /// The instance of a task that goes with one of `from`, which fans out over the same items: a hook's, or that of a
  /// task that fans out depth-first. Requires: `index` is
  /// current, or stands for the whole of its fan-out.
  std::uint32_t in_step(std::uint32_t from, std::uint32_t index, std::uint32_t to) const;
  /// It is one of its task's instances, as first() and count() say: neither retired, nor standing for others.
  bool is_current(std::uint32_t index) const;
  /// It was an item's, and its fan-out has other items by now.
  bool is_retired(std::uint32_t index) const { return index >= early() && !is_current(index); }
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
  struct Late {
    std::uint32_t task = 0;
    std::uint32_t first = 0;
    FanOutPtr items;
    std::uint32_t count() const { return items->size(); }
  };
  std::uint32_t early() const { return first_.back(); }
  const Late& late_at(std::uint32_t index) const;
  DagPtr dag_;
  std::vector<std::uint32_t> first_;                ///< By task; one more at the end: the sum.
  std::vector<bool> mapped_;                        ///< By task.
  std::map<std::uint32_t, FanOutPtr> items_;        ///< By task; of fan-outs that are known from the start.
  std::vector<Late> late_;                          ///< By `first`; behind all of `first_`.
  std::map<std::uint32_t, std::uint32_t> late_of_;  ///< By task: which of `late_` holds its instances.
};

}  // namespace chappe
