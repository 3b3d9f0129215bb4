/// \file
/// What a task is told of values that outlive runs. Private to engine/run.
#pragma once

#include <optional>
#include <string>

#include "engine/base/value.h"
#include "engine/model/dag.h"

namespace chappe {

struct EngineState;

/// "dag:NAME" or "namespace:NAME".
std::string state_scope(const Dag& dag, StateUse::Scope scope);
/// What stands there, or the default; nullopt: neither.
std::optional<Value> state_value(const EngineState& state, const Dag& dag, const StateUse& use);

}  // namespace chappe
