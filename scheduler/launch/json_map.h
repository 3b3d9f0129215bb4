/// \file
/// JSON objects that are put together, and what pods are made of. Private to scheduler/launch.
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

/// In place of what the container has at that path.
inline void mount(ValueMap& container, std::string_view volume, std::string_view path, bool read_only) {
  ValueList& mounts = list(container, "volumeMounts");
  std::erase_if(mounts, [&](const Value& each) {
    const Value* at = each.find("mountPath");
    return at != nullptr && *at == Value(path);
  });
  ValueMap one{{"name", volume}, {"mountPath", path}};
  if (read_only) one.emplace_back("readOnly", true);
  mounts.emplace_back(std::move(one));
}

/// An empty directory; unless the operator has another idea of it.
inline void add_volume(ValueList& volumes, std::string_view name, std::string_view size) {
  for (const Value& each : volumes) {
    const Value* known = each.find("name");
    if (known != nullptr && *known == Value(name)) return;
  }
  volumes.emplace_back(ValueMap{{"name", name}, {"emptyDir", ValueMap{{"sizeLimit", size}}}});
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
