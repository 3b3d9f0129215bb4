/// \file
/// A look at a message's bytes before anything is allocated for them.
///
/// Two bytes on the wire can become an object of two hundred in memory. The scan walks the fields as the schema nests
/// them and counts what parsing would allocate for: entries of lists, and fields that the schema does not know so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "proto/wire/wire.h"

namespace chappe::wire {

/// What a message of the schema is made of, as far as counting goes.
struct Shape {
  struct Child {
    std::uint32_t field;
    const Shape* shape;  ///< Null: the entries are strings or numbers.
    bool list;           ///< Each occurrence is an entry.
  };
  /// How fields 1, 2, ... are encoded: 'v' varint, 'f' eight bytes, 'b' length and bytes, 'p' eight bytes each, packed.
  std::string_view types;
  std::span<const Child> children = {};
};

extern const Shape kWorkerMessageShape;
extern const Shape kSchedulerMessageShape;

struct Bounds {
  std::size_t bytes = kMessageMax;
  std::size_t entries = kEntriesMax;
};

/// Errors: kInvalidInput: the bytes are more than the bounds, or no protobuf.
/// Cost: O(bytes), a few nanoseconds a field; allocates nothing.
Result<void> check_size_and_entries(std::span<const std::byte> message, const Shape& shape, Bounds bounds = {});

}  // namespace chappe::wire
