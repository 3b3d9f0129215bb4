/// \file
/// What a forked process keeps open.
#pragma once

#include <vector>

namespace chappe::exec {

/// Closes all descriptors but the first three and those in `kept`; of these, negative ones are none.
void close_all_but(std::vector<int> kept);

}  // namespace chappe::exec
