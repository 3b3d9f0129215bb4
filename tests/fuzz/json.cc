// JSON text as users, workers and clouds send it: what is read is written, and reads back equal.
#include "proto/json/json.h"

#include <string>

#include "tests/fuzz/target.h"

namespace chappe::fuzz {

static std::size_t depth_of(const Value& value) {
  std::size_t deepest = 0;
  if (const auto* list = value.as_list()) {
    for (const Value& item : *list) deepest = std::max(deepest, depth_of(item));
  } else if (const auto* map = value.as_map()) {
    for (const auto& member : *map) deepest = std::max(deepest, depth_of(member.second));
  } else {
    return 0;
  }
  return deepest + 1;
}

FUZZ_TARGET(json) {
  const Result<Value> value = parse_json(input);
  if (!value) {
    check_error(value.error());
    CHAPPE_ASSERT(value.error().message.starts_with("line "));
    CHAPPE_ASSERT(!parse_json(input));
    return;
  }
  CHAPPE_ASSERT(depth_of(*value) <= 64);
  const std::string text = to_json(*value);
  const Result<Value> again = parse_json(text);
  CHAPPE_ASSERT(again && *again == *value);
  CHAPPE_ASSERT(to_json(*again) == text);
  CHAPPE_ASSERT(input.empty() || !parse_json(input, input.size() - 1));
}

}  // namespace chappe::fuzz
