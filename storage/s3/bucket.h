/// \file
/// The requests that the object store is made of, each as one function: what goes out, which answers mean what.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/ports/object_store.h"
#include "storage/s3/s3_client.h"

namespace chappe::s3 {

/// An object's full name.
struct Location {
  std::string bucket;
  std::string key;
};

/// Metadata that marks one write as ours, so that a repeat whose first try did land recognises it.
inline constexpr std::string_view kWriteMark = "chappe-write";
inline constexpr std::size_t kMarkDigits = 32;                              ///< Of a mark that is no content hash.
inline constexpr std::string_view kContentHash = "sha256";                  ///< Metadata: the object's SHA-256, hex.
inline constexpr std::uint64_t kCopyPartBytesMax = std::uint64_t{5} << 30;  ///< S3's bound on one copied part.

/// Headers of a new object: type, metadata, mark. Errors: kInvalidInput: metadata that no header can hold.
Result<Pairs> object_headers(const PutOptions& options, const std::string& mark);

/// ETag, size, version and metadata, as response headers tell them.
ObjectInfo info_of(const http::Response& response, std::string key);

Result<ObjectInfo> head_object(S3Client& client, const Location& at);

struct PutBody {
  std::span<const std::byte> bytes;
  std::string sha256;
};
/// One request. With options.if_absent: kConflict where something else is there, kUnsupported where S3 cannot tell.
Result<ObjectInfo> put_object(S3Client& client, const Location& at, const PutBody& body, PutOptions options);

Result<std::string> open_upload(S3Client& client, const Location& at, const Pairs& headers);
/// Returns the part's ETag. Numbers count from 1.
Result<std::string> put_part(S3Client& client, const Location& at, const std::string& upload, std::uint32_t number,
                             std::span<const std::byte> bytes);

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};
Result<std::string> copy_part(S3Client& client, const Location& at, const std::string& upload, std::uint32_t number,
                              const Location& source, std::optional<ByteRange> range);

/// An open multipart upload and how it ends.
struct OpenUpload {
  Location at;
  std::string id;
  std::vector<std::string> part_etags;
  std::uint64_t size = 0;
  std::string mark;  ///< Value of kWriteMark in its metadata: the object's SHA-256, or kMarkDigits of another kind.
  bool if_absent = false;
  bool is_marked_by_content() const { return mark.size() == 64; }
};
/// Idempotent. Errors: kNotFound: it was aborted, or replaced since; kConflict; kUnsupported: `if_absent`, and the
/// server has no such condition; nothing was at the key a moment ago.
Result<ObjectInfo> complete_upload(S3Client& client, const OpenUpload& upload);
/// Idempotent.
Result<void> abort_upload(S3Client& client, const Location& at, const std::string& id);

}  // namespace chappe::s3
