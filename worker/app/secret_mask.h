/// \file
/// Keeps secret values out of what a task writes, before any of it is kept or told.
///
/// A value is found as it is, and as programs write it: base64 (also in the middle of a longer base64 text),
/// URL-encoded, escaped as in JSON; of a value with several lines, each line too. Three stars stand for whatever of
/// these stood there. Not found: what the task itself makes of a value (reversed, hashed, cut in two), base64 that is
/// broken into lines, and values shorter than `kSecretLeast`, which would hide half of any text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/events.h"

namespace chappe::worker {

inline constexpr std::size_t kSecretLeast = 4;  ///< Bytes; also of a line, and of a form of a value.

/// The values of the run's secret parameters, as texts; of lists and objects, everything in them.
std::vector<std::string> secrets_of(const RunContext& run);

/// All forms in which `secret` is looked for.
std::vector<std::string> forms_of(const std::string& secret);

class SecretMask {
 public:
  SecretMask() = default;  ///< Hides nothing.
  explicit SecretMask(const std::vector<std::string>& secrets);

  bool hides_nothing() const { return patterns_.empty(); }
  /// What can be shown by now. What may be the beginning of a secret is kept back until more has come.
  std::string mask(std::string_view bytes);
  /// Nothing more comes: what was kept back.
  std::string rest();

 private:
  std::string take(bool all);
  std::size_t match_at(std::size_t position) const;
  bool may_go_on(std::size_t position) const;

  std::vector<std::string> patterns_;                            ///< Longest first.
  std::array<std::vector<std::uint32_t>, 256> by_first_byte_{};  ///< Positions in `patterns_`, longest first.
  std::string kept_;                                             ///< Not shown yet; shorter than the longest pattern.
  std::size_t hidden_ = 0;                                       ///< So many bytes of `kept_` belong to a secret.
};

}  // namespace chappe::worker
