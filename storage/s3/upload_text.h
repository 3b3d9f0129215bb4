/// \file
/// A staged upload of the S3 store, written down as text that any process can complete or abort. Pure.
#pragma once

#include <string>
#include <string_view>

#include "storage/s3/bucket.h"

namespace chappe::s3 {

/// `s3-1 BUCKET KEY UPLOAD_ID SIZE MARK IF_ABSENT ETAG[,ETAG...]`, single spaces between, each word percent-encoded.
std::string to_text(const OpenUpload& upload);
/// Errors: kInvalidInput.
Result<OpenUpload> parse_upload(std::string_view text);

}  // namespace chappe::s3
