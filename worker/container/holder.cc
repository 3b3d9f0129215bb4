#include "worker/container/holder.h"

#include <cstddef>

extern "C" const char chappe_hold[], chappe_hold_end[];

namespace chappe::container {

std::string_view holder_program() { return {chappe_hold, static_cast<std::size_t>(chappe_hold_end - chappe_hold)}; }

}  // namespace chappe::container
