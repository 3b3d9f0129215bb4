#include <algorithm>
#include <cmath>

#include "engine/model/dag.h"

namespace chappe {

std::uint32_t ForEach::may_fail(std::uint32_t all) const {
  constexpr double kRounding = 1e-9;  // 0.7 of 10 are 7, and not what a double makes of it.
  if (min_success > 0) return all - std::min(all, min_success);
  if (min_share > 0) return all - static_cast<std::uint32_t>(std::ceil(min_share * all - kRounding));
  return 0;
}

ValueList multiply_axes(const std::vector<std::pair<std::string, ValueList>>& axes) {
  ValueList out = {Value(ValueMap{})};
  for (const auto& [name, values] : axes) {
    ValueList longer;
    longer.reserve(out.size() * values.size());
    for (const Value& row : out) {
      for (const Value& value : values) {
        ValueMap next = *row.as_map();
        next.emplace_back(name, value);
        longer.emplace_back(std::move(next));
      }
    }
    out = std::move(longer);
  }
  return out;
}

}  // namespace chappe
