/// \file
/// The functions of expressions that reckon with dates. Private to engine/expr.
///
/// They look at a clock: that of the zone which their last argument names, else the one of the time's own offset, else
/// `zone`, the DAG's. A result is written as what went in: a date stays a date, `Z` stays `Z`.
#pragma once

#include <span>
#include <string>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/calendar/zone.h"
#include "engine/expr/functions.h"

namespace chappe::expr {

Result<Value> date_of(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_add(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_diff(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_end_of(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_in_zone(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_start_of(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_strftime(std::span<Value> arguments, const calendar::Zone& zone);
Result<Value> date_strptime(std::span<Value> arguments, const calendar::Zone& zone);

/// What is wrong with an argument that is written out; "": nothing. `function`: for the message.
std::string literal_mistake(const Function& function, Argument kind, const Value& literal);
/// As Value::type_name() calls it; "": any.
std::string_view type_of(Argument kind);

}  // namespace chappe::expr
