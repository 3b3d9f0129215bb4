/// \file
/// `depends` of Argo: which ends of which tasks let a task begin, and what that is in `depends_on` and trigger rules.
///
/// Argo tells six ends apart, Chappe three on an edge with `on`: Errored is `failed`; Omitted is `skipped`, or `failed`
/// below a plain edge whose task failed. Where that would mix two ends up, the condition of the task upstream is asked
/// for as well: what has begun was not omitted. So all of `depends` but a few uses of Omitted is taken over exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chappe::argo {

enum End : unsigned { kSucceeded = 1, kFailed = 2, kSkipped = 4, kErrored = 8, kOmitted = 16, kDaemoned = 32 };
inline constexpr unsigned kBare = kSucceeded | kSkipped | kDaemoned;  ///< A name without a result.
inline constexpr unsigned kAllEnds = 63;
inline constexpr std::size_t kConditionDepthMax = 32;
inline constexpr std::size_t kConditionTermsMax = 2'000;

/// A condition without negations: they are pushed down into the ends.
struct Condition {
  enum class Kind : std::uint8_t { kTrue, kTerm, kAnd, kOr };
  Kind kind = Kind::kTrue;
  std::size_t task = 0;  ///< Of a term: whatever number the reader of the names gave it.
  unsigned ends = 0;     ///< Of a term: those that will do.
  bool any = false;      ///< Of a term over a fan-out: one item is enough.
  bool bare = false;     ///< Of a term: written without a result.
  std::vector<Condition> parts;

  static Condition term(std::size_t task, unsigned ends);
  /// Flat: no kAnd beneath a kAnd, no kTrue beneath either, one term for each task.
  static Condition all(std::vector<Condition> parts);
  static Condition either(std::vector<Condition> parts);
  std::size_t terms() const;
};

/// Reads `A && (B.Succeeded || !C.Failed)`. `find`: the number of a task; nullopt where there is none by this name.
/// Returns nullopt and sets `problem` where it is not understood.
std::optional<Condition> parse_depends(std::string_view text,
                                       const std::function<std::optional<std::size_t>(std::string_view)>& find,
                                       std::string& problem);

}  // namespace chappe::argo
