/// \file
/// The object store in a directory, for a laptop or a shared file system:
///
///   DIR/objects/KEY      what attempts wrote; read-only files
///   DIR/assets/URI       what was published; a hard link to the object (a copy where links are impossible)
///   DIR/staging/...      what is neither yet
///
/// A file appears under its name whole and durable or not at all: written without a name, synced, then linked or
/// renamed, and its folder synced. Metadata is kept in extended attributes, where the file system has them. Unlike S3,
/// "a" and "a/b" cannot both be keys: the second is kInvalidInput.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/ports/object_store.h"

namespace chappe {

/// Makes the directory where it is missing. Errors: kPermissionDenied, kInvalidInput.
Result<std::unique_ptr<ObjectStore>> open_local_object_store(const std::string& directory);

}  // namespace chappe
