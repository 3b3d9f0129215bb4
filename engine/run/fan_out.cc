#include "engine/run/fan_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>

namespace chappe {
namespace {

constexpr std::size_t kKeyMax = 200;  ///< Bytes of a key that a DAG makes.
constexpr std::size_t kKeyOfItemMax = 64;
constexpr std::int64_t kSequenceEdge = std::int64_t{1} << 53;  ///< Numbers that JSON keeps exactly.

/// What the key of one item may name.
class ItemScope : public expr::Scope {
 public:
  ItemScope(const KeyNames& names, const std::string& as, const Value& item, std::size_t position)
      : names_(names), as_(as), item_(item), position_(position) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == "params") return names_.params;
    if (path[0] == as_) return item_;
    if (path[0] == "position") return Value(static_cast<std::int64_t>(position_));
    return std::nullopt;
  }
  const calendar::Zone& zone() const override { return names_.zone; }

 private:
  const KeyNames& names_;
  const std::string& as_;
  const Value& item_;
  std::size_t position_;
};

std::string foreach_of(const Task& task) { return fmt::format("foreach of task '{}'", task.id); }

Failure wrong(const Task& task, std::string_view what) {
  return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", foreach_of(task), what));
}

Result<Value> evaluated(const Task& task, const expr::Template& expression, const expr::Scope& scope) {
  auto value = expression.evaluate(scope);
  if (!value) return fail(std::move(value.error()).in(foreach_of(task)));
  return value;
}

Result<ValueList> list_of(const Task& task, const expr::Template& expression, const expr::Scope& scope) {
  auto value = evaluated(task, expression, scope);
  if (!value) return fail(std::move(value.error()));
  if (ValueList* list = value->as_list()) return std::move(*list);
  return wrong(task, fmt::format("'{}' is {}, not a list", expression.text(), value->type_name()));
}

Result<std::int64_t> number_of(const Task& task, const expr::Template& expression, const expr::Scope& scope) {
  auto value = evaluated(task, expression, scope);
  if (!value) return fail(std::move(value.error()));
  const std::int64_t* number = value->as_int();
  if (number != nullptr && *number >= -kSequenceEdge && *number <= kSequenceEdge) return *number;
  return wrong(task, fmt::format("'{}' is {}, not a whole number", expression.text(), to_json(*value)));
}

Result<ForEach::Sequence> sequence_of(const Task& task, const expr::Scope& scope) {
  ForEach::Sequence out = *task.foreach->sequence;
  const ForEach::Counted& counted = task.foreach->counted;
  for (const auto& [text, into] :
       {std::pair{&counted.start, &out.start}, {&counted.count, &out.count}, {&counted.step, &out.step}}) {
    if (text->text().empty()) continue;
    const auto number = number_of(task, *text, scope);
    if (!number) return fail(number.error());
    *into = *number;
  }
  if (out.step == 0) return wrong(task, "'step' is 0");
  return out;
}

Failure too_many(const Task& task, std::uint64_t count) {
  const ForEach& foreach = *task.foreach;
  return wrong(task, fmt::format("there are {} items; at most {} are allowed ({})", count, foreach.items_max(),
                                 foreach.max_items == 0 ? "more with max_items" : "max_items"));
}

Result<ValueList> multiplied(const Task& task, const expr::Scope& scope) {
  std::vector<std::pair<std::string, ValueList>> axes;
  std::uint64_t product = 1;
  for (const ForEach::Axis& axis : task.foreach->matrix) {
    Result<ValueList> values = axis.values;
    if (!axis.expression.text().empty()) values = list_of(task, axis.expression, scope);
    if (!values) return fail(std::move(values.error()));
    product *= values->size();
    if (product > task.foreach->items_max()) return too_many(task, product);
    axes.emplace_back(axis.name, std::move(*values));
  }
  std::uint64_t bytes = 0;
  for (const auto& [name, values] : axes) {
    if (!values.empty()) bytes += to_json(values).size() * (product / values.size());
  }
  if (bytes > kFanOutBytesMax) {
    return wrong(task, fmt::format("the combinations take {} bytes; at most {} are allowed", bytes, kFanOutBytesMax));
  }
  return multiply_axes(axes);
}

/// Fewer than must succeed could never be enough. Of none `on_empty` speaks.
Result<void> check_enough(const Task& task, std::uint64_t count) {
  const std::uint32_t least = task.foreach->min_success;
  if (count == 0 || count >= least) return {};
  return wrong(task, fmt::format("there are {} items, and min_success asks for {}", count, least));
}

Result<ValueList> items_of(const Task& task, const expr::Scope& scope) {
  const ForEach& foreach = *task.foreach;
  if (!foreach.matrix.empty()) return multiplied(task, scope);
  if (foreach.expression.text().empty()) return foreach.items;
  return list_of(task, foreach.expression, scope);
}

/// Short scalars name their instance themselves, if they all differ; anything else goes by position.
std::vector<std::string> default_keys(const ValueList& items) {
  std::vector<std::string> keys;
  std::unordered_set<std::string> seen;
  keys.reserve(items.size());
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

Result<std::vector<std::string>> keys_of(const Task& task, const KeyNames& names, const ValueList& items) {
  const ForEach& foreach = *task.foreach;
  if (foreach.key.text().empty()) return default_keys(items);
  std::vector<std::string> keys;
  std::unordered_set<std::string> seen;
  keys.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto key = foreach.key.expand(ItemScope(names, foreach.as, items[i], i));
    if (!key) return fail(std::move(key.error()).in(fmt::format("key of task '{}', item {}", task.id, i)));
    const auto unfit = [&](std::string_view what) {
      return fail(ErrorCode::kInvalidInput, fmt::format("key of task '{}', item {}: '{}' {}", task.id, i, *key, what));
    };
    if (key->empty() || key->size() > kKeyMax) return unfit(fmt::format("must have 1 to {} bytes", kKeyMax));
    if (!seen.insert(*key).second) return unfit("names another item already");
    keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace

Result<FanOut> FanOut::evaluate(const Task& task, const expr::Scope& scope, const Value& params) {
  if (task.foreach->sequence) {
    const auto sequence = sequence_of(task, scope);
    if (!sequence) return fail(sequence.error());
    return counting(task, *sequence);
  }
  auto items = items_of(task, scope);
  if (!items) return fail(std::move(items.error()));
  return over(task, std::move(*items), {params, scope.zone()});
}

Result<FanOut> FanOut::restore(const Task& task, const Value& told, const KeyNames& names) {
  if (const ValueList* items = told.as_list()) return over(task, *items, names);
  ForEach::Sequence sequence;
  for (const auto& [name, into] :
       {std::pair{"start", &sequence.start}, {"count", &sequence.count}, {"step", &sequence.step}}) {
    const Value* number = told.find(name);
    if (number == nullptr || number->as_int() == nullptr) return wrong(task, "the items it was given are not readable");
    *into = *number->as_int();
  }
  return counting(task, sequence);
}

Result<FanOut> FanOut::counting(const Task& task, ForEach::Sequence sequence) {
  sequence.count = std::max<std::int64_t>(sequence.count, 0);
  const auto count = static_cast<std::uint64_t>(sequence.count);
  if (count > task.foreach->items_max()) return too_many(task, count);
  if (auto enough = check_enough(task, count); !enough) return fail(std::move(enough.error()));
  if (count > 0 && std::abs(sequence.step) > kSequenceEdge / sequence.count) {
    return wrong(task, fmt::format("'step' {} leads too far", sequence.step));
  }
  FanOut out;
  out.sequence_ = sequence;
  return out;
}

Result<FanOut> FanOut::over(const Task& task, ValueList items, const KeyNames& names) {
  if (items.size() > task.foreach->items_max()) return too_many(task, items.size());
  if (auto enough = check_enough(task, items.size()); !enough) return fail(std::move(enough.error()));
  const std::size_t bytes = task.foreach->late ? to_json(items).size() : 0;  // Others stand in the file or the params.
  if (bytes > kFanOutBytesMax) {
    return wrong(task, fmt::format("the items take {} bytes; at most {} are allowed", bytes, kFanOutBytesMax));
  }
  auto keys = keys_of(task, names, items);
  if (!keys) return fail(std::move(keys.error()));
  FanOut out;
  out.values_ = std::move(items);
  out.keys_ = std::move(*keys);
  return out;
}

Value FanOut::told() const {
  if (!sequence_) return values_;
  return ValueMap{{"start", sequence_->start}, {"count", sequence_->count}, {"step", sequence_->step}};
}

std::uint32_t FanOut::size() const {
  return static_cast<std::uint32_t>(sequence_ ? static_cast<std::uint64_t>(sequence_->count) : values_.size());
}

std::string FanOut::key(std::uint32_t position) const {
  if (!sequence_) return keys_[position];
  return fmt::format("{}", sequence_->start + sequence_->step * static_cast<std::int64_t>(position));
}

Value FanOut::item(std::uint32_t position) const {
  if (!sequence_) return values_[position];
  return sequence_->start + sequence_->step * static_cast<std::int64_t>(position);
}

std::optional<std::uint32_t> FanOut::find(std::string_view key) const {
  if (!sequence_) {
    const auto found = std::find(keys_.begin(), keys_.end(), key);
    if (found == keys_.end()) return std::nullopt;
    return static_cast<std::uint32_t>(found - keys_.begin());
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc() || end != key.data() + key.size()) return std::nullopt;
  const std::int64_t position = (number - sequence_->start) / sequence_->step;
  if (position < 0 || position >= sequence_->count || sequence_->start + position * sequence_->step != number) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(position);
}

}  // namespace chappe
