/// \file
/// JSON objects that are put together. Private to scheduler/launch.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "engine/base/value.h"

namespace chappe::launch {

/// The member, made as null where there is none.
inline Value& member(ValueMap& map, std::string_view name) {
  for (auto& [key, value] : map) {
    if (key == name) return value;
  }
  return map.emplace_back(std::string(name), Value()).second;
}

/// The member as an object: what it was where it is one, else an empty one in its place.
inline ValueMap& object(ValueMap& map, std::string_view name) {
  Value& value = member(map, name);
  if (value.as_map() == nullptr) value = ValueMap();
  return *value.as_map();
}

inline ValueList& list(ValueMap& map, std::string_view name) {
  Value& value = member(map, name);
  if (value.as_list() == nullptr) value = ValueList();
  return *value.as_list();
}

inline void put(ValueMap& map, std::string_view name, Value value) { member(map, name) = std::move(value); }

/// Unless it is there.
inline void put_default(ValueMap& map, std::string_view name, Value value) {
  Value& now = member(map, name);
  if (now.is_null()) now = std::move(value);
}

/// The member at the end of the path; null where there is none.
template <typename... Names>
const Value* find(const Value* value, std::string_view name, const Names&... names) {
  value = value == nullptr ? nullptr : value->find(name);
  if constexpr (sizeof...(names) == 0) {
    return value;
  } else {
    return find(value, names...);
  }
}

/// A text of the value; "" where it is none.
inline std::string text_of(const Value* value) {
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : std::string();
}

inline const ValueList& items_of(const Value* value) {
  static const ValueList kNone;
  return value != nullptr && value->as_list() != nullptr ? *value->as_list() : kNone;
}

}  // namespace chappe::launch
