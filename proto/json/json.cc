#include "proto/json/json.h"

#include <fmt/core.h>

#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace chappe {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kComplaintMax = 200;  // The parser quotes what it read last, however long that is.
constexpr std::size_t kLinearKeysMax = 16;  // Up to here comparing all keys is cheaper than a set.

/// Walks over the text and writes down how far it got: the SAX callbacks are not told.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

/// Builds the Value; false from any callback ends the parse with `complaint` set.
class Builder {
 public:
  bool null() { return add(Value()); }
  bool boolean(bool value) { return add(Value(value)); }
  bool number_integer(std::int64_t value) { return add(Value(value)); }
  bool number_unsigned(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return add(Value(static_cast<std::int64_t>(value)));
    }
    return add(Value(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) { return add(Value(value)); }
  bool string(std::string& value) { return add(Value(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) { return false; }  // JSON text has none.

  bool start_object(std::size_t) { return open(Value(ValueMap())); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Value(ValueList())); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Open& map = open_.back();
    if (map.has(name)) return complain(fmt::format("key \"{:.60}\" is there twice", name));
    map.remember(name);
    map.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception...] parse error at line L, column C: what": the place is told in our own words.
    const std::string_view text = error.what();
    const std::size_t place = text.find("column ");
    const std::size_t what = place == text.npos ? text.find("] ") : text.find(": ", place);
    return complain(std::string(what == text.npos ? text : text.substr(what + 2)));
  }

  std::optional<std::string> complaint;
  Value root;

 private:
  struct Open {
    Value value;
    std::string key;                  // Of the member that is being read.
    std::set<std::string> many_keys;  // Filled only past kLinearKeysMax.

    bool has(const std::string& name) const {
      return many_keys.empty() ? value.find(name) != nullptr : many_keys.contains(name);
    }
    void remember(const std::string& name) {
      const ValueMap& members = *value.as_map();
      if (members.size() < kLinearKeysMax) return;
      if (many_keys.empty()) {
        for (const auto& member : members) many_keys.insert(member.first);
      }
      many_keys.insert(name);
    }
  };

  bool complain(std::string what) {
    complaint = std::move(what);
    return false;
  }

  bool add(Value value) {
    if (open_.empty()) {
      root = std::move(value);
      return true;
    }
    Open& parent = open_.back();
    if (ValueList* list = parent.value.as_list()) {
      list->push_back(std::move(value));
    } else {
      parent.value.as_map()->emplace_back(std::move(parent.key), std::move(value));
    }
    return true;
  }

  bool open(Value empty) {
    if (open_.size() == kDepthMax) return complain(fmt::format("nested deeper than {} levels", kDepthMax));
    open_.push_back({.value = std::move(empty), .key = {}, .many_keys = {}});
    return true;
  }

  bool close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }

  std::vector<Open> open_;
};

Failure complaint_at(std::string_view text, std::size_t position, std::string_view what) {
  std::size_t line = 1;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < position; ++i) {
    if (text[i] != '\n') continue;
    ++line;
    line_start = i + 1;
  }
  const std::size_t column = position - line_start + 1;
  const std::string_view cut = what.substr(0, kComplaintMax);
  return fail(ErrorCode::kInvalidInput,
              fmt::format("line {}, column {}: {}{}", line, column, cut, cut.size() < what.size() ? "..." : ""));
}

}  // namespace

Result<Value> parse_json(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return complaint_at(text, 0, fmt::format("{} bytes of JSON; at most {} are read", text.size(), bytes_max));
  }
  const char* reached = text.data();
  Builder builder;
  const CountingIterator begin(text.data(), &reached);
  const CountingIterator end(text.data() + text.size(), &reached);
  if (nlohmann::json::sax_parse(begin, end, &builder)) return std::move(builder.root);
  const auto read = static_cast<std::size_t>(reached - text.data());
  // The last character read is the one that does not fit; at the end of the text there is none.
  const std::size_t position = read == 0 ? 0 : read - 1;
  return complaint_at(text, position, builder.complaint.value_or("not JSON"));
}

}  // namespace chappe
