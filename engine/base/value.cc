#include "engine/base/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/assert.h"
#include "engine/base/text.h"

namespace chappe {

double Value::number() const {
  if (const auto* integer = as_int()) return static_cast<double>(*integer);
  const auto* real = as_float();
  CHAPPE_ASSERT(real != nullptr);
  return *real;
}

const Value* Value::find(std::string_view key) const {
  const ValueMap* map = as_map();
  if (map == nullptr) return nullptr;
  for (const auto& [name, value] : *map) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
  return kNames[storage_.index()];
}

namespace {

/// Exactly: from 2^53 on, several integers become the same double.
bool is_worth(std::int64_t integer, double number) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!(number >= -kLimit && number < kLimit)) return false;
  return static_cast<double>(integer) == number && static_cast<std::int64_t>(number) == integer;
}

std::vector<const ValueMap::value_type*> sorted_members(const ValueMap& map) {
  std::vector<const ValueMap::value_type*> members;
  members.reserve(map.size());
  for (const auto& member : map) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) -> const std::string& { return member->first; });
  return members;
}

/// Not by looking each name up: a value from outside may have a hundred thousand.
bool equal_maps(const ValueMap& one, const ValueMap& other) {
  if (one.size() != other.size()) return false;
  return std::ranges::equal(sorted_members(one), sorted_members(other),
                            [](const auto* a, const auto* b) { return *a == *b; });
}

}  // namespace

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (as_int() != nullptr && other.as_int() != nullptr) return *as_int() == *other.as_int();
    if (as_float() != nullptr && other.as_float() != nullptr) return *as_float() == *other.as_float();
    return as_int() != nullptr ? is_worth(*as_int(), *other.as_float()) : is_worth(*other.as_int(), *as_float());
  }
  if (storage_.index() != other.storage_.index()) return false;
  return as_map() == nullptr ? storage_ == other.storage_ : equal_maps(*as_map(), *other.as_map());
}

namespace {

/// A byte that is no UTF-8 becomes U+FFFD: JSON with such a byte in it is none (RFC 8259).
std::string_view take_wide_character(std::string_view& text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  const std::size_t length = character_length(text);
  const std::string_view character = length > 0 ? text.substr(0, length) : kReplacement;
  text.remove_prefix(std::max<std::size_t>(length, 1));
  return character;
}

void append_ascii(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (c < 0x20) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<int>(c));
      } else {
        out += c;
      }
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    if (static_cast<unsigned char>(text[0]) >= 0x80) {
      out += take_wide_character(text);
      continue;
    }
    append_ascii(out, text[0]);
    text.remove_prefix(1);
  }
  out += '"';
}

namespace {

void append_float(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const std::size_t start = out.size();
  fmt::format_to(std::back_inserter(out), "{}", value);
  // A whole float must read back as a float.
  if (out.find_first_of(".eE", start) == std::string::npos) out += ".0";
}

void append_list(std::string& out, const ValueList& list) {
  out += '[';
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ',';
    append_json(out, list[i]);
  }
  out += ']';
}

void append_map(std::string& out, const ValueMap& map) {
  out += '{';
  for (std::size_t i = 0; i < map.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, map[i].first);
    out += ':';
    append_json(out, map[i].second);
  }
  out += '}';
}

}  // namespace

void append_json(std::string& out, const Value& value) {
  if (value.is_null()) {
    out += "null";
  } else if (const auto* boolean = value.as_bool()) {
    out += *boolean ? "true" : "false";
  } else if (const auto* integer = value.as_int()) {
    fmt::format_to(std::back_inserter(out), "{}", *integer);
  } else if (const auto* real = value.as_float()) {
    append_float(out, *real);
  } else if (const auto* text = value.as_string()) {
    append_json_string(out, *text);
  } else if (const auto* list = value.as_list()) {
    append_list(out, *list);
  } else {
    append_map(out, *value.as_map());
  }
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string to_text(const Value& value) {
  if (value.is_null()) return "";
  if (const auto* text = value.as_string()) return *text;
  return to_json(value);
}

}  // namespace chappe
