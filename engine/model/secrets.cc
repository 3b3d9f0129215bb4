#include "engine/model/secrets.h"

#include <algorithm>

namespace chappe {
namespace {

bool is_secret(const Dag& dag, const expr::Reference& reference) {
  const bool all = reference.path.size() < 2;
  if (reference.path[0] == "params") {
    return std::any_of(dag.params.begin(), dag.params.end(),
                       [&](const ParamSpec& spec) { return spec.secret && (all || spec.name == reference.path[1]); });
  }
  // What stands in the DAG's `env` names parameters, but no other entry: this goes one step deep.
  return reference.path[0] == "env" && std::any_of(dag.env.begin(), dag.env.end(), [&](const auto& entry) {
           return (all || entry.first == reference.path[1]) && names_secret(dag, entry.second.references());
         });
}

}  // namespace

bool names_secret(const Dag& dag, std::span<const expr::Reference> references) {
  return std::any_of(references.begin(), references.end(),
                     [&](const expr::Reference& reference) { return is_secret(dag, reference); });
}

Error without_secrets(const Dag& dag, const Value& params, std::span<const expr::Reference> references, Error error) {
  const bool given = std::any_of(dag.params.begin(), dag.params.end(), [&](const ParamSpec& spec) {
    const Value* value = spec.secret ? params.find(spec.name) : nullptr;
    return value != nullptr && !value->is_null();
  });
  if (given && names_secret(dag, references)) {
    error.message = "the expression has no value; why is not told, because a secret parameter is in it";
  }
  return error;
}

}  // namespace chappe
