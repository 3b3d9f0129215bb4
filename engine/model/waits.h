/// \file
/// What a task may wait for without holding a slot: a time, data from outside, or a person.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "engine/expr/expression.h"
#include "engine/model/dag.h"

namespace chappe {

/// What becomes of a task whose wait has taken too long.
enum class OnTimeout : std::uint8_t {
  kFail,
  kSkip,
  kUseLast,  ///< Of an asset: goes on with the newest version that there is; fails where there is none.
};

struct Patience {
  std::optional<Duration> timeout;  ///< From the beginning of the wait; none: for ever.
  OnTimeout on_timeout = OnTimeout::kFail;
  std::optional<Duration> late_after;  ///< Then its owner is told, and it goes on waiting.
  bool operator==(const Patience&) const = default;
};

struct WaitSpec {
  enum class For : std::uint8_t {
    kTime,      ///< A point in time.
    kDuration,  ///< So long, from when the task is ready.
    kAsset,     ///< A version of an asset that is published.
    kObject,    ///< An object of the store; with a "/" at the end any object beneath it.
    kFile,      ///< A file on the scheduler's host.
    kHttp,      ///< A URL that answers with a status.
    kObjects,   ///< The list of all objects beneath a prefix, or that look as a pattern says: for a fan-out over them.
  };
  For what = For::kTime;
  expr::Template target;       ///< The time, the asset's URI or name, the key, the path, the URL.
  Duration length{};           ///< kDuration
  expr::Template newer_than;   ///< kAsset: a time, or a version's number; empty: the start of the run's interval.
  std::uint16_t status = 200;  ///< kHttp
  Duration every = std::chrono::seconds(30);  ///< How often one looks for what nobody tells of.
  Patience patience;
  bool operator==(const WaitSpec&) const = default;
};

/// A question to people. Each field of the form becomes an output of the task.
struct HumanSpec {
  expr::Template prompt;
  std::vector<ParamSpec> form;
  std::vector<std::string> assignees;  ///< Who may answer; empty: every operator.
  Patience patience;
  bool operator==(const HumanSpec&) const = default;
};

/// What a task of these kinds leaves besides the fields of a form: names of values.
std::vector<std::string> output_names(const WaitSpec& spec);
std::vector<std::string> output_names(const HumanSpec& spec);
/// The form as JSON: by field its type, choices and default.
ValueMap shown_form(const HumanSpec& spec);

}  // namespace chappe
