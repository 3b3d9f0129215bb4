// Patterns of parameters: the first line is the pattern of a DAG's author, the rest the text of whoever starts a run.
// It is refused, or matches in time that does not explode; and no message tells a secret.
#include <string>

#include "engine/model/dag.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(param_pattern) {
  const std::string pattern(take_until(input, '\n'));
  if (unfit_pattern(pattern)) return;
  const ParamSpec spec{.name = "p", .pattern = pattern};
  const bool is_fit = !unfit(spec, Value(input)).has_value();
  CHAPPE_ASSERT(is_fit == !unfit(spec, Value(input)).has_value());
  const std::string secret = "0a7f3c" + std::string(input);
  const auto said = unfit({.name = "p", .secret = true, .pattern = pattern}, Value(secret));
  if (said && pattern.find("0a7f3c") == std::string::npos) CHAPPE_ASSERT(said->find("0a7f3c") == std::string::npos);
  const auto resolved = resolve_params({spec}, Value(ValueMap{{"p", input}}));
  CHAPPE_ASSERT(resolved.has_value() == is_fit);
}

}  // namespace chappe::fuzz
