/// \file
/// Who is told when something comes to a run that people should know of.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chappe {

/// What people are told of. The numbers are stored: never renumber.
enum class Notice : std::uint8_t {
  kFailure = 0,    ///< A run failed.
  kSuccess = 1,    ///< A run succeeded.
  kRecovered = 2,  ///< A run succeeded after one of its DAG had failed.
  kLate = 3,       ///< A wait takes longer than its `late_after`.
  kGate = 4,       ///< A check said no, or a person is asked.
};
inline constexpr std::array<std::string_view, 5> kNoticeNames{"failure", "success", "recovered", "late", "gate"};
inline std::string_view name_of(Notice notice) { return kNoticeNames[static_cast<std::size_t>(notice)]; }

inline constexpr std::size_t kChannelsMax = 16;            ///< Of one DAG.
inline constexpr std::string_view kNotifyOwner = "owner";  ///< Among addresses: the DAG's owner, where that is one.

/// One way to tell somebody.
struct NotifyChannel {
  std::vector<Notice> on;
  enum class Kind : std::uint8_t {
    kWebhook,  ///< `target`: a URL, or "${{ secrets.NAME }}": whoever sends knows what that is.
    kEmail,    ///< `words`: addresses; of a scheduler's default also kNotifyOwner.
    kCommand,  ///< `words`: a name that the operator gave a program, and its arguments.
  } kind = Kind::kWebhook;
  std::string target;
  std::vector<std::string> words;
};

}  // namespace chappe
