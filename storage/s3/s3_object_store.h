/// \file
/// The object store in an S3 bucket:
///
///   PREFIX/objects/KEY   what attempts wrote
///   PREFIX/assets/URI    what was published, or s3://BUCKET/KEY where an asset says so
///
/// Or a bucket as it is (`plain`), to look at what others write there.
///
/// Publishing is a multipart upload that stays open until complete(), filled by server-side copies. Memory of a
/// transfer is bounded whatever the object's size: four buffers of 8 MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/ports/object_store.h"
#include "storage/s3/s3_client.h"

namespace chappe {

struct S3Location {
  std::string bucket;
  std::string prefix;               ///< "" or without slashes at its ends.
  std::uint32_t page_keys = 1'000;  ///< Keys of one list request.
  bool plain = false;               ///< Keys are the bucket's own, without "objects/" before them.
};

/// "s3://BUCKET[/PREFIX]". Errors: kInvalidInput.
Result<S3Location> parse_s3_uri(const std::string& uri);

/// From AWS's environment and files: region, endpoint (with an own one addressing is by path), CA. CHAPPE_S3_ADDRESSING
/// = "path" or "virtual" overrides the addressing. Errors: kInvalidInput.
Result<s3::ClientConfig> s3_config_of(const s3::Environment& environment);

/// Does not touch the network.
std::unique_ptr<ObjectStore> make_s3_object_store(S3Location location, s3::ClientConfig config,
                                                  std::shared_ptr<s3::CredentialSource> credentials);

}  // namespace chappe
