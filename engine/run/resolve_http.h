/// \file
/// From a task's HttpSpec to the request that a worker is told of. Private to engine/run.
#pragma once

#include <functional>

#include "engine/model/http_spec.h"

namespace chappe {

/// `told`: what may be said of an error in this text.
/// Errors: kInvalidInput: an expression fails, or what it comes to is past a bound of http_spec.h.
Result<ResolvedHttp> resolve_http(const HttpSpec& spec, const expr::Scope& scope,
                                  const std::function<Error(const expr::Template&, Error)>& told);

}  // namespace chappe
