/// \file
/// Writes YAML for people: block style, short lists and maps in one line, scripts as literal blocks, quotes only where
/// YAML 1.2 needs them. What it writes, dags/loader reads back as the same values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chappe::argo {

/// A value to write. Order is kept.
class Yaml {
 public:
  static Yaml text(std::string text);  ///< Reads back as a text, whatever it looks like.
  static Yaml raw(std::string text);   ///< A number, true, false or null: as it stands.
  static Yaml number(long long value) { return raw(std::to_string(value)); }
  static Yaml number_or_text(std::string_view text);
  static Yaml list();
  static Yaml map();

  Yaml& set(std::string key, Yaml value);  ///< Of a map. Returns this.
  Yaml& add(Yaml value);                   ///< To a list. Returns this.
  Yaml& comment(std::string line);         ///< Stands above it, as "# line".
  Yaml& block();                           ///< Never in one line.
  bool empty() const { return members_.empty(); }
  bool has(std::string_view key) const;

  /// The whole document.
  std::string write() const;

 private:
  enum class Kind { kText, kRaw, kList, kMap };
  /// In one line, between commas where `nested`.
  std::string flow(bool nested) const;
  bool fits(std::size_t room) const;
  void write_members(std::string& out, std::size_t indent) const;
  void write_value(std::string& out, std::size_t indent, std::size_t column) const;

  Kind kind_ = Kind::kMap;
  bool block_ = false;
  std::string text_;
  std::vector<std::string> comments_;
  std::vector<std::pair<std::string, Yaml>> members_;  ///< Of a list without keys.
};

/// One scalar in one line. `flow`: between commas and brackets.
std::string yaml_scalar(std::string_view text, bool flow);

}  // namespace chappe::argo
