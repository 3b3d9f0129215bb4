/// \file
/// A directory as one object: tar.zst by libarchive. Equal content gives equal bytes: names sorted, no times, no
/// owners, and of the modes only whether a file can be run.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "worker/artifacts/beneath.h"

namespace chappe::artifacts {

using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

/// Errors: kInvalidInput: a link out of the directory, a device, a socket; kFolderDepthMax passed; those of `sink`.
Result<void> pack(const Folder& folder, const ByteSink& sink);
/// Errors: kInvalidInput: not such an archive, or one with a name or link that leads out; nothing is written there.
Result<void> unpack(int archive_fd, const Folder& into);

}  // namespace chappe::artifacts
