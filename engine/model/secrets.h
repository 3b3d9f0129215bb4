/// \file
/// Where secret parameters go: into environments and conditions, and nowhere that is shown or recorded.
#pragma once

#include <span>

#include "engine/base/result.h"
#include "engine/expr/expression.h"
#include "engine/model/dag.h"

namespace chappe {

/// True where one of the names stands for a secret parameter: by itself, as a part of all parameters, or through an
/// entry of the DAG's `env` that is made of one.
bool names_secret(const Dag& dag, std::span<const expr::Reference> references);

/// The error of an expression with these names over these parameters, as it may be told: it may quote the values that
/// it is about. Of a secret parameter that was not given (or not recorded) there is nothing to hide.
Error without_secrets(const Dag& dag, const Value& params, std::span<const expr::Reference> references, Error error);

}  // namespace chappe
