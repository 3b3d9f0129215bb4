/// \file
/// What has brought the scheduler down, and how often. The part that touches nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/result.h"

namespace chappe::quarantine {

inline constexpr std::uint32_t kStrikesMax = 3;    ///< From so many on it is left alone.
inline constexpr std::size_t kThingsMax = 10'000;  ///< That are remembered.

enum class Kind : std::uint8_t {
  kRun,   ///< By its number in the store.
  kDag,   ///< What is deployed, by name: its schedule, its triggers, its backfills.
  kText,  ///< Of a DAG, by its SHA-256.
};
std::string_view name_of(Kind kind);  ///< "run"

/// Belongs to one build of Chappe: another one may do better, and begins anew.
class Strikes {
 public:
  explicit Strikes(std::string build) : build_(std::move(build)) {}
  /// Of what to_json() wrote. Of another build, nothing is kept. Errors: kCorrupt: it is no such text.
  static Result<Strikes> parse(std::string_view json, std::string build);
  std::string to_json() const;

  void add(Kind kind, const std::string& id, std::uint32_t strikes = 1);
  bool are_enough(Kind kind, const std::string& id) const;
  std::uint32_t of(Kind kind, const std::string& id) const;
  std::size_t left_alone() const;  ///< So many things.

 private:
  std::string build_;
  std::map<std::pair<Kind, std::string>, std::uint32_t> strikes_;
};

}  // namespace chappe::quarantine
