/// \file
/// Writes one object of any size in constant memory: one request when it fits a part, else a multipart upload whose
/// parts are sent while the next one fills.
#pragma once

#include <memory>

#include "storage/s3/bucket.h"

namespace chappe::s3 {

std::unique_ptr<ObjectWriter> make_multipart_writer(std::shared_ptr<S3Client> client, Location at, PutOptions options,
                                                    std::uint64_t size_hint);

}  // namespace chappe::s3
