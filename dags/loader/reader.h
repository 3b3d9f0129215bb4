/// \file
/// Reads one value of the tree at a time, and complains where it is not what it should be.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dags/loader/complaints.h"
#include "dags/loader/yaml_tree.h"
#include "engine/base/time.h"
#include "engine/base/value.h"
#include "engine/model/retention.h"

namespace chappe {

/// The keys that one kind of map may have.
struct KeySet {
  std::string_view what;                         ///< "a task"
  std::span<const std::string_view> known;       ///< Read by this version.
  std::span<const std::string_view> later = {};  ///< Part of the language, but not of this version.
  /// What other systems call it, and what it is here.
  std::span<const std::pair<std::string_view, std::string_view>> foreign = {};
  /// What is said elsewhere, and where: "it gets them by ...".
  std::span<const std::pair<std::string_view, std::string_view>> elsewhere = {};
  std::string_view instead = {};  ///< What somebody meant who wrote something else than a map: "retries: 3".
};

class Reader {
 public:
  explicit Reader(Complaints& complaints) : complaints_(complaints) {}
  Complaints& complaints() { return complaints_; }

  /// Complains of keys that are not in `keys`, and of anything that is no map. True: it is a map.
  bool check_keys(const yaml::Node& node, const KeySet& keys);

  // Each returns nullopt after a complaint. `what` is the key, for the message.
  std::optional<std::string> text(const yaml::Node& node, std::string_view what);  ///< Any scalar, as written.
  std::optional<std::string> identifier(const yaml::Node& node, std::string_view what);
  std::optional<std::int64_t> integer(const yaml::Node& node, std::string_view what, std::int64_t min,
                                      std::int64_t max);
  std::optional<double> number(const yaml::Node& node, std::string_view what, double min, double max);
  std::optional<bool> boolean(const yaml::Node& node, std::string_view what);
  std::optional<Duration> duration(const yaml::Node& node, std::string_view what);  ///< Above zero.
  std::optional<Duration> duration_or_zero(const yaml::Node& node, std::string_view what);
  std::optional<Duration> retention(const yaml::Node& node, std::string_view what);  ///< Above zero, or kForever.
  /// A path in a folder: relative, beneath it, without `.` and `..`.
  std::optional<std::string> path(const yaml::Node& node, std::string_view what,
                                  std::string_view folder = "the work directory");
  /// One of `names`: its position.
  std::optional<std::size_t> choice(const yaml::Node& node, std::string_view what, std::span<const std::string> names);
  std::optional<Value> value(const yaml::Node& node);
  bool is_list(const yaml::Node& node, std::string_view what, std::string_view example);

  // The member `key` of a map, where it is there and right, into `into`.
  template <typename Int>
  void take_integer(const yaml::Node& map, std::string_view key, std::int64_t min, std::int64_t max, Int& into) {
    const yaml::Node* node = map.find(key);
    if (node == nullptr) return;
    if (const auto found = integer(*node, key, min, max)) into = static_cast<Int>(*found);
  }
  template <typename Float>
  void take_number(const yaml::Node& map, std::string_view key, double min, double max, Float& into) {
    const yaml::Node* node = map.find(key);
    if (node == nullptr) return;
    if (const auto found = number(*node, key, min, max)) into = *found;
  }
  template <typename Time>
  void take_duration(const yaml::Node& map, std::string_view key, Time& into) {
    const yaml::Node* node = map.find(key);
    if (node == nullptr) return;
    if (const auto found = duration(*node, key)) into = *found;
  }
  void take_boolean(const yaml::Node& map, std::string_view key, bool& into);
  void take_text(const yaml::Node& map, std::string_view key, std::string& into);
  void take_identifier(const yaml::Node& map, std::string_view key, std::string& into);

  /// "; did you mean 'x'?" or "".
  static std::string suggestion(std::string_view word, std::span<const std::string> candidates);
  static std::string shown(const yaml::Node& node);  ///< For a message: the text in quotes, or "a list".

 private:
  std::string unknown_key(const std::string& key, const KeySet& keys) const;
  Complaints& complaints_;
};

}  // namespace chappe
