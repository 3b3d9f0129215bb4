/// \file
/// All objects beneath a prefix, in the order of their keys' bytes.
#pragma once

#include <functional>
#include <string>

#include "engine/ports/object_store.h"
#include "storage/local/directory.h"

namespace chappe::local {

/// Cost: memory for the names of one folder at each level.
Result<void> walk_objects(const Directory& root, const std::string& prefix,
                          const std::function<bool(const ObjectInfo&)>& visit);

}  // namespace chappe::local
