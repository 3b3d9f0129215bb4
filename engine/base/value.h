/// \file
/// A small typed value, the JSON data model: parameters, items of a fan-out, values that tasks hand on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace chappe {

class Value;
using ValueList = std::vector<Value>;
/// In insertion order (the order of the file); keys are unique. Small: lookups are linear.
using ValueMap = std::vector<std::pair<std::string, Value>>;

class Value {
 public:
  using Storage = std::variant<std::monostate, bool, std::int64_t, double, std::string, ValueList, ValueMap>;

  Value() = default;
  Value(bool value) : storage_(value) {}                           // NOLINT(google-explicit-constructor)
  Value(std::int64_t value) : storage_(value) {}                   // NOLINT(google-explicit-constructor)
  Value(int value) : storage_(std::int64_t{value}) {}              // NOLINT(google-explicit-constructor)
  Value(double value) : storage_(value) {}                         // NOLINT(google-explicit-constructor)
  Value(std::string value) : storage_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Value(std::string_view value) : storage_(std::string(value)) {}  // NOLINT
  Value(const char* value) : storage_(std::string(value)) {}       // NOLINT
  Value(ValueList value) : storage_(std::move(value)) {}           // NOLINT(google-explicit-constructor)
  Value(ValueMap value) : storage_(std::move(value)) {}            // NOLINT(google-explicit-constructor)

  bool is_null() const { return std::holds_alternative<std::monostate>(storage_); }
  const bool* as_bool() const { return std::get_if<bool>(&storage_); }
  const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&storage_); }
  const double* as_float() const { return std::get_if<double>(&storage_); }
  const std::string* as_string() const { return std::get_if<std::string>(&storage_); }
  const ValueList* as_list() const { return std::get_if<ValueList>(&storage_); }
  const ValueMap* as_map() const { return std::get_if<ValueMap>(&storage_); }
  ValueList* as_list() { return std::get_if<ValueList>(&storage_); }
  ValueMap* as_map() { return std::get_if<ValueMap>(&storage_); }
  bool is_number() const { return as_int() != nullptr || as_float() != nullptr; }
  /// The number as a double. Requires: is_number().
  double number() const;
  /// The member of a map by name; nullptr where there is none, or this is no map.
  const Value* find(std::string_view key) const;

  /// "null", "boolean", "integer", "number", "string", "array" or "object": JSON Schema's words.
  std::string_view type_name() const;

  /// Equal type and content; an integer equals a float of the same value; maps compare without order.
  bool operator==(const Value& other) const;

 private:
  Storage storage_;
};

/// One line of JSON, members in their order; bytes that are no UTF-8 as U+FFFD. Floats in the shortest form that reads
/// back equal; NaN and infinities, which JSON lacks, as null. Reading JSON is proto/json's work.
std::string to_json(const Value& value);
void append_json(std::string& out, const Value& value);
void append_json_string(std::string& out, std::string_view text);

/// As a task or a person sees it in the middle of a text: strings bare, everything else as JSON; null as "".
std::string to_text(const Value& value);

}  // namespace chappe
