/// \file
/// Reads an object in order: the first range straight into the caller's hands, the next ones fetched meanwhile, into at
/// most kRangesAhead buffers. All ranges are of one version (If-Match), and a broken one goes on where it broke off.
#pragma once

#include "storage/s3/bucket.h"

namespace chappe::s3 {

inline constexpr std::uint64_t kRangeBytes = std::uint64_t{8} << 20;
inline constexpr std::size_t kRangesAhead = 3;

Result<ObjectInfo> read_object(S3Client& client, const Location& at, std::uint64_t offset,
                               std::optional<std::uint64_t> length, const http::BodySink& sink);

}  // namespace chappe::s3
