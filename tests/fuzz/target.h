/// \file
/// What a fuzz target is: one parser of bytes that others choose, and what must hold whatever they are.
///
/// Compiled with CHAPPE_FUZZ, each file is a program of its own and libFuzzer makes the inputs up; otherwise all are
/// one program, which replays the inputs that are kept in tests/fuzz/corpus/NAME. A property that does not hold aborts
/// (CHAPPE_ASSERT), which both notice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/assert.h"
#include "engine/base/result.h"

namespace chappe::fuzz {

using Target = void (*)(std::string_view input);

#ifdef CHAPPE_FUZZ
#define FUZZ_TARGET(name)                                                                   \
  static void name(std::string_view input);                                                 \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {       \
    /* A copy on the heap, of exactly that size: the sanitizer sees a read past its end. */ \
    name(std::string(reinterpret_cast<const char*>(data), size));                           \
    return 0;                                                                               \
  }                                                                                         \
  static void name(std::string_view input)
#else
/// Makes the target known to the replay. Returns true, for a static to be set.
bool add_target(const char* name, Target target);

#define FUZZ_TARGET(name)                                      \
  static void name(std::string_view input);                    \
  static const bool kIsKnown_##name = add_target(#name, name); \
  static void name([[maybe_unused]] std::string_view input)
#endif

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Takes the text up to `separator` (or all of it) off the front: for inputs that are made of several.
inline std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view head = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return head;
}

/// Asserts what every refusal owes: it says something, and not at any length.
inline void check_error(const Error& error) { CHAPPE_ASSERT(!error.message.empty() && error.message.size() < 4096); }

}  // namespace chappe::fuzz
