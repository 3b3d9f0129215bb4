/// \file
/// What starts a deployed DAG beside people and time: news of data, of other DAGs, from outside.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/time.h"
#include "engine/model/given_params.h"
#include "engine/model/policies.h"

namespace chappe {

inline constexpr std::size_t kTriggersMax = 100;        ///< Of one DAG.
inline constexpr std::int64_t kTriggerChainMax = 100;   ///< Runs that events started, one by the other.
inline constexpr std::size_t kTriggerSourcesMax = 100;  ///< What they name, of one DAG.

/// What an event is of.
struct EventSource {
  /// The numbers are stored: never renumber.
  enum class Kind : std::uint8_t {
    kAsset = 1,   ///< A version of it was published.
    kDag = 2,     ///< A run of it ended.
    kObject = 3,  ///< An object came that was not there, or is another one.
    kHook = 4,    ///< Somebody called it.
  } kind = Kind::kAsset;
  std::string name;  ///< URI or short name; DAG; key, "PREFIX/" or a pattern; hook.
  auto operator<=>(const EventSource&) const = default;
  bool operator==(const EventSource&) const = default;
};
std::string_view name_of(EventSource::Kind kind);  ///< As the file's key: "asset".
/// Of a kObject: whether its name says what keys must look like (`*`, `?`), and does not end where they begin.
bool is_pattern(std::string_view object_name);
std::string to_text(const EventSource& source);  ///< "asset s3://bronze/income"

/// One source, or several that must all have events, or any.
struct TriggerCondition {
  enum class Kind : std::uint8_t { kSource, kAll, kAny } kind = Kind::kSource;
  EventSource source;
  std::vector<TriggerCondition> parts;

  using Has = std::function<bool(const EventSource&)>;
  bool holds(const Has& has) const;
  /// The sources that it still needs: "asset a and (asset b or asset c)"; "" where it holds.
  std::string missing(const Has& has) const;
  std::string text() const;  ///< As missing(), of all.
  void collect(std::vector<EventSource>& into) const;
};

/// What becomes of several events that have come.
enum class TriggerMode : std::uint8_t {
  kCollapse,  ///< One run for all of them.
  kEach,      ///< One run each, in their order.
};

struct TriggerSpec {
  TriggerCondition when;
  TriggerMode mode = TriggerMode::kCollapse;
  GivenParams params;  ///< Of its runs; may name `event`.
  // Of a DAG: which ends count.
  bool on_success = true;
  bool on_failed = false;
  bool on_cancelled = false;
  // Of objects.
  Duration every = std::chrono::seconds(30);  ///< How often one looks.
  bool existing = false;                      ///< What is there at the first look is news, too.

  EventSource::Kind kind() const;
  bool concerns(RunState end) const;
};

/// "asset a and asset b, or dag c": of a DAG with these, for people.
std::string to_text(const std::vector<TriggerSpec>& triggers);

}  // namespace chappe
