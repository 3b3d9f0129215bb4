#include "engine/run/instances.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"

namespace chappe {
namespace {

/// What a fan-out may name that is known from the start.
class ParamsScope : public expr::Scope {
 public:
  ParamsScope(const Value& params, const calendar::Zone& zone) : params_(params), zone_(zone) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == "params") return params_;
    return std::nullopt;
  }
  const calendar::Zone& zone() const override { return zone_; }

 private:
  const Value& params_;
  const calendar::Zone& zone_;
};

Failure too_many_instances() {
  return fail(ErrorCode::kInvalidInput, fmt::format("the run would have more than {} task instances", kInstancesMax));
}

}  // namespace

Result<Instances> Instances::expand(DagPtr dag, const ValueMap& params) {
  const Value params_value(params);
  Instances out;
  std::uint64_t total = 0;
  out.mapped_.resize(dag->tasks.size());
  std::map<std::uint32_t, FanOutPtr> known;  // Of those whose items others share.
  const auto items_of = [&](std::uint32_t task) -> Result<FanOutPtr> {
    if (const auto found = known.find(task); found != known.end()) return found->second;
    auto items = FanOut::evaluate(dag->tasks[task], ParamsScope(params_value, *dag->zone), params_value);
    if (!items) return fail(std::move(items.error()));
    auto shared = std::make_shared<const FanOut>(std::move(*items));
    if (!dag->tasks[task].followers.empty()) known[task] = shared;
    return FanOutPtr(std::move(shared));
  };
  for (std::uint32_t i = 0; i < dag->tasks.size(); ++i) {
    const Task& task = dag->tasks[i];
    out.first_.push_back(static_cast<std::uint32_t>(total));
    std::uint64_t count = 1;
    if (task.foreach && !task.foreach->late) {
      auto items = items_of(task.foreach->depth_first ? task.foreach->leader : i);
      if (!items) return fail(std::move(items.error()));
      count = (*items)->size();
      out.items_[i] = std::move(*items);
      out.mapped_[i] = count > 0;
    }
    total += std::max<std::uint64_t>(count, 1);
    if (total > kInstancesMax) return too_many_instances();
  }
  out.first_.push_back(static_cast<std::uint32_t>(total));
  out.dag_ = std::move(dag);
  return out;
}

void Instances::fan_out(std::uint32_t task, FanOutPtr items) {
  CHAPPE_ASSERT(dag_->tasks[task].foreach && dag_->tasks[task].foreach->late && has_room(items->size()));
  late_of_.erase(task);
  mapped_[task] = items->size() > 0;
  if (!mapped_[task]) return;
  late_of_[task] = static_cast<std::uint32_t>(late_.size());
  late_.push_back({.task = task, .first = size(), .items = std::move(items)});
}

Result<void> Instances::fan_out(std::uint32_t task, const Value& told, const Value& params) {
  const bool late = task < dag_->tasks.size() && dag_->tasks[task].foreach && dag_->tasks[task].foreach->late;
  if (!late) return fail(ErrorCode::kInvalidInput, "items are kept of a task that has none");
  const ForEach& foreach = *dag_->tasks[task].foreach;
  auto items = FanOut::restore(dag_->tasks[foreach.depth_first ? foreach.leader : task], told, {params, *dag_->zone});
  if (!items) return fail(std::move(items.error()));
  if (!has_room(items->size())) return too_many_instances();
  fan_out(task, std::make_shared<const FanOut>(std::move(*items)));
  return {};
}

std::uint32_t Instances::first(std::uint32_t task) const {
  const auto late = late_of_.find(task);
  return late == late_of_.end() ? first_[task] : late_[late->second].first;
}

std::uint32_t Instances::count(std::uint32_t task) const {
  const auto late = late_of_.find(task);
  return late == late_of_.end() ? first_[task + 1] - first_[task] : late_[late->second].count();
}

FanOutPtr Instances::late_items(std::uint32_t task) const {
  const auto late = late_of_.find(task);
  return late == late_of_.end() ? nullptr : late_[late->second].items;
}

const Instances::Late& Instances::late_at(std::uint32_t index) const {
  const auto after = std::upper_bound(late_.begin(), late_.end(), index,
                                      [](std::uint32_t at, const Late& late) { return at < late.first; });
  return *std::prev(after);
}

std::uint32_t Instances::in_step(std::uint32_t from, std::uint32_t index, std::uint32_t to) const {
  if (index == own(from) && late_of_.contains(from)) return own(to);
  return first(to) + (index - first(from));
}

bool Instances::is_current(std::uint32_t index) const {
  const std::uint32_t task = task_of(index);
  return index >= first(task) && index - first(task) < count(task);
}

std::uint32_t Instances::task_of(std::uint32_t index) const {
  CHAPPE_ASSERT(index < size());
  if (index >= early()) return late_at(index).task;
  // Runs without a fan-out: the position is the task.
  if (first_.size() == early() + std::size_t{1}) return index;
  const auto after = std::upper_bound(first_.begin(), first_.end(), index);
  return static_cast<std::uint32_t>(after - first_.begin() - 1);
}

std::string Instances::key_of(std::uint32_t index) const {
  if (index >= early()) return late_at(index).items->key(index - late_at(index).first);
  const std::uint32_t task = task_of(index);
  const auto items = items_.find(task);
  return items == items_.end() || !mapped_[task] ? "" : items->second->key(index - first_[task]);
}

Value Instances::item_of(std::uint32_t index) const {
  if (index >= early()) return late_at(index).items->item(index - late_at(index).first);
  const std::uint32_t task = task_of(index);
  const auto items = items_.find(task);
  return items == items_.end() || !mapped_[task] ? Value() : items->second->item(index - first_[task]);
}

std::string Instances::name_of(std::uint32_t index) const {
  const std::uint32_t task = task_of(index);
  const bool keyed = index >= early() || (mapped_[task] && items_.contains(task));
  return keyed ? fmt::format("{}[{}]", dag_->tasks[task].id, key_of(index)) : dag_->tasks[task].id;
}

std::optional<std::uint32_t> Instances::find(std::string_view name) const {
  const std::size_t bracket = name.find('[');
  const auto task = dag_->find(name.substr(0, bracket));
  if (!task) return std::nullopt;
  if (bracket == std::string_view::npos) {
    return mapped_[*task] && items_.contains(*task) ? std::nullopt : std::optional(first_[*task]);
  }
  if (!mapped_[*task] || name.back() != ']') return std::nullopt;
  const std::string_view key = name.substr(bracket + 1, name.size() - bracket - 2);
  const auto items = items_.find(*task);
  const FanOutPtr late = late_items(*task);
  const auto position = late != nullptr ? late->find(key) : items->second->find(key);
  if (!position) return std::nullopt;
  return first(*task) + *position;
}

}  // namespace chappe
