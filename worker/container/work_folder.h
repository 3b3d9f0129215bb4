/// \file
/// A directory of the worker's, seen from inside a container.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace chappe::container {

/// Lets any user of the container read and write all that is in the directory. On the machine itself nobody gets there
/// past its parent, which is the worker's alone. Cost: O(files).
Result<void> open_to_everybody(const std::string& directory);

}  // namespace chappe::container
