#include "engine/model/given_params.h"

namespace chappe {

Result<ValueMap> evaluate(const GivenParams& params, const expr::Scope& scope) {
  ValueMap out;
  for (const auto& [name, param] : params) {
    const bool as_it_stands = param.expression.text().empty();
    auto value = as_it_stands ? Result<Value>(param.value) : param.expression.evaluate(scope);
    if (!value) return fail(std::move(value.error()).in("params." + name));
    out.emplace_back(name, std::move(*value));
  }
  return out;
}

}  // namespace chappe
