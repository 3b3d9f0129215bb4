/// \file
/// From a URI in the configuration to an object store.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/ports/object_store.h"

namespace chappe {

/// "file:///DIR" (or an absolute path): a directory. "s3://BUCKET[/PREFIX]": S3, with AWS's usual environment and files
/// for credentials, region, endpoint (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL) and CA. Does not touch the network.
Result<std::unique_ptr<ObjectStore>> open_object_store(const std::string& uri);

/// Any bucket of S3 with its own keys, to look at what others write there; credentials and the rest as above.
Result<std::unique_ptr<ObjectStore>> open_bucket(const std::string& bucket);

}  // namespace chappe
