#include "engine/run/instances.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/base/assert.h"

namespace chappe {
namespace {

constexpr std::size_t kKeyMax = 200;  ///< Bytes of a key that a DAG makes.
constexpr std::size_t kKeyOfItemMax = 64;

/// What an expression about one item may name.
class ItemScope : public expr::Scope {
 public:
  ItemScope(const Value& params, const std::string& as, const Value* item, std::size_t position)
      : params_(params), as_(as), item_(item), position_(position) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == "params") return params_;
    if (item_ != nullptr && path[0] == as_) return *item_;
    if (item_ != nullptr && path[0] == "position") return Value(static_cast<std::int64_t>(position_));
    return std::nullopt;
  }

 private:
  const Value& params_;
  const std::string& as_;
  const Value* item_;
  std::size_t position_;
};

Result<ValueList> items_of(const Task& task, const Value& params) {
  const ForEach& foreach = *task.foreach;
  if (foreach.expression.text().empty()) return foreach.items;
  auto value = foreach.expression.evaluate(ItemScope(params, foreach.as, nullptr, 0));
  if (!value) return fail(std::move(value.error()).in(fmt::format("foreach of task '{}'", task.id)));
  if (ValueList* list = value->as_list()) return std::move(*list);
  return fail(ErrorCode::kInvalidInput, fmt::format("foreach of task '{}': '{}' is {}, not a list", task.id,
                                                    foreach.expression.text(), value->type_name()));
}

/// Short scalars name their instance themselves, if they all differ; anything else goes by position.
std::vector<std::string> default_keys(const ValueList& items) {
  std::vector<std::string> keys;
  std::set<std::string> seen;
  for (const Value& item : items) {
    std::string key = to_text(item);
    const bool scalar = item.as_list() == nullptr && item.as_map() == nullptr && !item.is_null();
    if (!scalar || key.empty() || key.size() > kKeyOfItemMax || !seen.insert(key).second) {
      keys.clear();
      for (std::size_t i = 0; i < items.size(); ++i) keys.push_back(fmt::format("{}", i));
      return keys;
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<std::vector<std::string>> keys_of(const Task& task, const Value& params, const ValueList& items) {
  const ForEach& foreach = *task.foreach;
  if (foreach.key.text().empty()) return default_keys(items);
  std::vector<std::string> keys;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto key = foreach.key.expand(ItemScope(params, foreach.as, &items[i], i));
    if (!key) return fail(std::move(key.error()).in(fmt::format("key of task '{}', item {}", task.id, i)));
    const auto wrong = [&](std::string_view what) {
      return fail(ErrorCode::kInvalidInput, fmt::format("key of task '{}', item {}: '{}' {}", task.id, i, *key, what));
    };
    if (key->empty() || key->size() > kKeyMax) return wrong(fmt::format("must have 1 to {} bytes", kKeyMax));
    if (!seen.insert(*key).second) return wrong("names another item already");
    keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace

Result<Instances> Instances::expand(DagPtr dag, const ValueMap& params) {
  const Value params_value(params);
  Instances out;
  std::uint64_t total = 0;
  out.mapped_.resize(dag->tasks.size());
  for (std::uint32_t i = 0; i < dag->tasks.size(); ++i) {
    const Task& task = dag->tasks[i];
    out.first_.push_back(static_cast<std::uint32_t>(total));
    std::uint64_t count = 1;
    if (task.foreach && task.foreach->sequence) {
      count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, task.foreach->sequence->count));
    } else if (task.foreach) {
      auto items = items_of(task, params_value);
      if (!items) return fail(std::move(items.error()));
      auto keys = keys_of(task, params_value, *items);
      if (!keys) return fail(std::move(keys.error()));
      count = items->size();
      out.items_[i] = Items{std::move(*items), std::move(*keys)};
    }
    if (count > kItemsMax) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("foreach of task '{}' has {} items; at most {} are allowed", task.id, count, kItemsMax));
    }
    out.mapped_[i] = task.foreach.has_value() && count > 0;
    total += std::max<std::uint64_t>(count, 1);
    if (total > kInstancesMax) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("the run would have more than {} task instances", kInstancesMax));
    }
  }
  out.first_.push_back(static_cast<std::uint32_t>(total));
  out.dag_ = std::move(dag);
  return out;
}

std::uint32_t Instances::task_of(std::uint32_t index) const {
  CHAPPE_ASSERT(index < size());
  // Runs without a fan-out: the position is the task.
  if (first_.size() == size() + std::size_t{1}) return index;
  const auto after = std::upper_bound(first_.begin(), first_.end(), index);
  return static_cast<std::uint32_t>(after - first_.begin() - 1);
}

std::string Instances::key_of(std::uint32_t index) const {
  const std::uint32_t task = task_of(index);
  if (!mapped_[task]) return "";
  const std::uint32_t position = index - first_[task];
  if (const auto items = items_.find(task); items != items_.end()) return items->second.keys[position];
  const ForEach::Sequence& sequence = *dag_->tasks[task].foreach->sequence;
  return fmt::format("{}", sequence.start + sequence.step * static_cast<std::int64_t>(position));
}

Value Instances::item_of(std::uint32_t index) const {
  const std::uint32_t task = task_of(index);
  if (!mapped_[task]) return {};
  const std::uint32_t position = index - first_[task];
  if (const auto items = items_.find(task); items != items_.end()) return items->second.values[position];
  const ForEach::Sequence& sequence = *dag_->tasks[task].foreach->sequence;
  return sequence.start + sequence.step * static_cast<std::int64_t>(position);
}

std::string Instances::name_of(std::uint32_t index) const {
  const std::uint32_t task = task_of(index);
  return mapped_[task] ? fmt::format("{}[{}]", dag_->tasks[task].id, key_of(index)) : dag_->tasks[task].id;
}

std::optional<std::uint32_t> Instances::find(std::string_view name) const {
  const std::size_t bracket = name.find('[');
  const auto task = dag_->find(name.substr(0, bracket));
  if (!task) return std::nullopt;
  if (bracket == std::string_view::npos) return mapped_[*task] ? std::nullopt : std::optional(first_[*task]);
  if (!mapped_[*task] || name.back() != ']') return std::nullopt;
  const std::string_view key = name.substr(bracket + 1, name.size() - bracket - 2);
  if (const auto items = items_.find(*task); items != items_.end()) {
    const auto& keys = items->second.keys;
    const auto found = std::find(keys.begin(), keys.end(), key);
    if (found == keys.end()) return std::nullopt;
    return first_[*task] + static_cast<std::uint32_t>(found - keys.begin());
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  const ForEach::Sequence& sequence = *dag_->tasks[*task].foreach->sequence;
  if (error != std::errc() || end != key.data() + key.size() || sequence.step == 0) return std::nullopt;
  const std::int64_t position = (number - sequence.start) / sequence.step;
  if (position < 0 || position >= sequence.count || sequence.start + position * sequence.step != number) {
    return std::nullopt;
  }
  return first_[*task] + static_cast<std::uint32_t>(position);
}

}  // namespace chappe
