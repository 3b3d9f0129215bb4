/// \file
/// The answer of AWS's token service. Pure.
#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "storage/s3/signer.h"

namespace chappe::s3 {

/// AssumeRoleWithWebIdentity. Errors: kPermissionDenied; kUnavailable where the status says so.
Result<Credentials> read_sts(int status, std::string_view xml);

}  // namespace chappe::s3
