/// \file
/// Which keys every object store takes.
#pragma once

#include <string_view>

#include "engine/base/result.h"

namespace chappe {

constexpr std::size_t kObjectKeyBytesMax = 900;  ///< S3 has 1,024; the rest is for the store's own prefix.

/// UTF-8 of 1 to kObjectKeyBytesMax bytes without NUL, whose segments between "/" are none of "", "." and "..".
/// Errors: kInvalidInput.
Result<void> check_object_key(std::string_view key);

}  // namespace chappe
