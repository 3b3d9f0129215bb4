/// \file
/// A directory as one object: tar.zst by libarchive. Equal content gives equal bytes: names sorted, no times, no
/// owners, and of the modes only whether a file can be run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "worker/artifacts/beneath.h"

namespace chappe::artifacts {

using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

inline constexpr std::uint64_t kEntriesMax = 1'000'000;  ///< Files, folders and links in one directory.

/// Errors: kInvalidInput: a link out of the directory, a device, a socket; more than kFolderDepthMax or `entries_max`;
/// those of `sink`.
Result<void> pack(const Folder& folder, const ByteSink& sink, std::uint64_t entries_max = kEntriesMax);
/// Errors: kInvalidInput: not such an archive, or one with a name or link that leads out: nothing is written there; one
/// with a file that the disk has no room for, or with more than `entries_max`: a few bytes may unpack to very many.
Result<void> unpack(int archive_fd, const Folder& into, std::uint64_t entries_max = kEntriesMax);

}  // namespace chappe::artifacts
