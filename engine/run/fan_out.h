/// \file
/// The items of one fan-out, and what names each of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/model/dag.h"

namespace chappe {

/// Bytes of all items together, as JSON: what a store keeps of a fan-out over results.
inline constexpr std::size_t kFanOutBytesMax = std::size_t{16} << 20;

/// What the keys of items may name besides the item, and where they look at dates.
struct KeyNames {
  const Value& params;
  const calendar::Zone& zone;
};

/// Immutable. A sequence takes O(1) memory.
class FanOut {
 public:
  /// Finds the items. `scope`: all that `foreach` may name; `params`: a map, for the keys.
  /// Errors: kInvalidInput: no list, two equal keys, more than `max_items` or kFanOutBytesMax.
  static Result<FanOut> evaluate(const Task& task, const expr::Scope& scope, const Value& params);
  /// Items that were found before, as told() tells them.
  static Result<FanOut> restore(const Task& task, const Value& told, const KeyNames& names);
  /// A list, or {start, count, step} of a sequence.
  Value told() const;

  std::uint32_t size() const;
  std::string key(std::uint32_t position) const;
  Value item(std::uint32_t position) const;
  /// The position of the item with this key.
  std::optional<std::uint32_t> find(std::string_view key) const;
  bool operator==(const FanOut&) const = default;

 private:
  static Result<FanOut> counting(const Task& task, ForEach::Sequence sequence);
  static Result<FanOut> over(const Task& task, ValueList items, const KeyNames& names);
  std::optional<ForEach::Sequence> sequence_;
  ValueList values_;
  std::vector<std::string> keys_;
};

using FanOutPtr = std::shared_ptr<const FanOut>;

}  // namespace chappe
