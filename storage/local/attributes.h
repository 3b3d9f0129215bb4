/// \file
/// An object's metadata as extended attributes `user.chappe.NAME` of its file.
#pragma once

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "storage/local/directory.h"

namespace chappe::local {

using Metadata = std::vector<std::pair<std::string, std::string>>;

/// A file system without extended attributes keeps none, and that is no error.
Result<void> write_attributes(const File& file, const Metadata& metadata, std::string_view path);
/// In the order of their names.
Metadata read_attributes(const File& file);
WallTime modified_at(const struct stat& status);

}  // namespace chappe::local
