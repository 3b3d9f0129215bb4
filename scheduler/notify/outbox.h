/// \file
/// What is to be sent, and when: tries and rests, and a bound on how often one channel speaks. Decides only: it has no
/// clock and no thread, and sends nothing.
///
///   pending --> under way --> over (sent, told of in a summary)
///      ^            |
///      +-- rests <--+-------> over (given up)
///
/// A channel sends at most kLettersMax letters in kWindow. What comes beyond waits until it may speak again, and goes
/// out as one summary. Everything that waits is in the store too, so a restart begins with all of it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/records.h"

namespace chappe::notify {

inline constexpr std::uint32_t kTriesMax = 30;  ///< Of one notification: with the rests about four hours.
inline constexpr std::size_t kLettersMax = 10;  ///< Of one channel in any kWindow.
inline constexpr Duration kWindow = std::chrono::minutes(1);
inline constexpr std::size_t kSummaryMax = 1'000;  ///< Notifications that one letter tells of.

/// One message: of one notification, or of several.
struct Letter {
  std::string channel;
  std::vector<NotificationRow> about;  ///< At least one, oldest first.
};

class Outbox {
 public:
  /// `channel`: equal for all that goes the same way to the same people.
  void add(std::string channel, NotificationRow row);

  /// What is to be sent now. It counts as under way until sent() or failed(); of a channel one at a time.
  std::optional<Letter> take(MonoTime now);
  /// When take() may have something next; nullopt: not before something happens.
  std::optional<MonoTime> wake_at() const;

  std::vector<NotificationChange> sent(const Letter& letter, WallTime at);
  /// `for_good`: another try would come to the same.
  std::vector<NotificationChange> failed(Letter letter, const std::string& why, bool for_good, Now now);

  std::size_t waiting() const { return waiting_; }  ///< Under way ones left out.

 private:
  struct Channel {
    std::deque<NotificationRow> waiting;
    std::deque<MonoTime> letters;  ///< When the latest were sent; none older than kWindow.
    MonoTime not_before;           ///< It rests after a failure.
    bool held_back = false;        ///< Something waited because it had spoken too often.
    bool under_way = false;
  };
  static void forget_old_letters(Channel& channel, MonoTime now);

  std::map<std::string, Channel> channels_;
  std::size_t waiting_ = 0;
};

}  // namespace chappe::notify
