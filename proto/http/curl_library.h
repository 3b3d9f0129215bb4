/// \file
/// libcurl is loaded when it is first called, and may not be there. Private to proto/http.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "engine/base/result.h"

namespace chappe::http {

/// What `first` returns, which makes the first calls of libcurl. Errors: kInvalidInput: it cannot be loaded, now or
/// later.
template <typename First>
auto with_library(First first) -> Result<decltype(first())> {
  try {
    return first();
  } catch (const std::runtime_error& error) {  // Of lazy_curl.cc.
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}; Chappe makes requests through libcurl: install it (on Debian the package libcurl4)",
                            error.what()));
  }
}

}  // namespace chappe::http
