#include "scheduler/api/value_object.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "proto/json/json.h"
#include "storage/digest/digest.h"

namespace chappe {

Result<Value> read_value_object(ObjectStore& store, const OutputObject& object) {
  std::string text;
  const auto sink = [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.size() <= kValueMax;
  };
  if (auto read = store.read(object.key, 0, std::nullopt, sink); !read) return fail(std::move(read.error()));
  if (text.size() != object.size || to_hex(sha256(text)) != object.sha256) {
    return fail(ErrorCode::kCorrupt, fmt::format("object {} is not what was recorded", object.key));
  }
  auto value = parse_json(text, kValueMax);
  if (!value) return fail(ErrorCode::kCorrupt, fmt::format("object {}: {}", object.key, value.error().message));
  return value;
}

}  // namespace chappe
