/// \file
/// S3's XML, read and written. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports/object_store.h"

namespace chappe::s3 {

/// `<Error>`; every field may be empty (RGW sends an empty Message).
struct ErrorAnswer {
  std::string code;
  std::string message;
  std::string region;  ///< Where the bucket is, when that was the trouble.
};
/// nullopt: the text holds no `<Error>`.
std::optional<ErrorAnswer> read_error(std::string_view xml);

struct ListPage {
  std::vector<ObjectInfo> objects;  ///< Keys as they are in the bucket.
  std::string next;                 ///< Continuation token; "" at the end.
};
Result<ListPage> read_list_page(std::string_view xml);

/// `InitiateMultipartUploadResult`'s upload id.
Result<std::string> read_upload_id(std::string_view xml);
/// The ETag, without quotes, of a root element of that name; "" where the element has none (RGW, on completing).
/// Errors: kUnavailable: another root, so what was asked has not happened.
Result<std::string> read_etag(std::string_view xml, std::string_view root);

/// The body that completes an upload; part numbers count from 1.
std::string complete_body(const std::vector<std::string>& part_etags);
std::string without_quotes(std::string_view etag);

}  // namespace chappe::s3
