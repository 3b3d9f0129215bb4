/// \file
/// Invariants that are checked in every build, release included: a broken one ends the process before it can
/// act on a wrong state.
#pragma once

namespace chappe {

/// Prints the broken condition and its place on stderr, then aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace chappe

#define CHAPPE_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::chappe::assertion_failed(#condition, __FILE__, __LINE__))
