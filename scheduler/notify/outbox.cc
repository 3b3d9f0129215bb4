#include "scheduler/notify/outbox.h"

#include <algorithm>
#include <utility>

#include "engine/model/policies.h"

namespace chappe::notify {
namespace {

constexpr Backoff kRest{.initial = std::chrono::seconds(1), .factor = 2, .max = std::chrono::minutes(10)};

}  // namespace

void Outbox::add(std::string channel, NotificationRow row) {
  channels_[std::move(channel)].waiting.push_back(std::move(row));
  ++waiting_;
}

void Outbox::forget_old_letters(Channel& channel, MonoTime now) {
  while (!channel.letters.empty() && channel.letters.front() + kWindow <= now) channel.letters.pop_front();
}

std::optional<Letter> Outbox::take(MonoTime now) {
  for (auto& [name, channel] : channels_) {
    if (channel.waiting.empty() || channel.under_way || now < channel.not_before) continue;
    forget_old_letters(channel, now);
    if (channel.letters.size() >= kLettersMax) {
      channel.held_back = true;
      continue;
    }
    const std::size_t count =
        std::exchange(channel.held_back, false) ? std::min(channel.waiting.size(), kSummaryMax) : 1;
    Letter letter{.channel = name};
    for (std::size_t i = 0; i < count; ++i) {
      letter.about.push_back(std::move(channel.waiting.front()));
      channel.waiting.pop_front();
    }
    waiting_ -= count;
    channel.letters.push_back(now);
    channel.under_way = true;
    return letter;
  }
  return std::nullopt;
}

std::optional<MonoTime> Outbox::wake_at() const {
  std::optional<MonoTime> next;
  for (const auto& [name, channel] : channels_) {
    if (channel.waiting.empty() || channel.under_way) continue;
    MonoTime at = channel.not_before;
    if (channel.letters.size() >= kLettersMax) at = std::max(at, channel.letters.front() + kWindow);
    next = std::min(at, next.value_or(at));
  }
  return next;
}

std::vector<NotificationChange> Outbox::sent(const Letter& letter, WallTime at) {
  Channel& channel = channels_.at(letter.channel);
  channel.under_way = false;
  channel.not_before = {};
  std::vector<NotificationChange> changes;
  const auto state = letter.about.size() > 1 ? NotificationState::kSummarised : NotificationState::kSent;
  for (const NotificationRow& row : letter.about) changes.push_back({row.id, state, row.tries + 1, at, ""});
  if (channel.waiting.empty() && channel.letters.empty()) channels_.erase(letter.channel);
  return changes;
}

std::vector<NotificationChange> Outbox::failed(Letter letter, const std::string& why, bool for_good, Now now) {
  Channel& channel = channels_.at(letter.channel);
  channel.under_way = false;
  channel.held_back = channel.held_back || letter.about.size() > 1;  // Once more as a summary.
  std::vector<NotificationChange> changes;
  std::uint32_t tries = 0;
  for (auto row = letter.about.rbegin(); row != letter.about.rend(); ++row) {
    tries = std::max(tries, ++row->tries);
    const bool over = for_good || row->tries >= kTriesMax;
    const auto state = over ? NotificationState::kGivenUp : NotificationState::kPending;
    changes.push_back({row->id, state, row->tries, over ? now.wall : WallTime{}, why});
    if (over) continue;
    channel.waiting.push_front(std::move(*row));
    ++waiting_;
  }
  channel.not_before = now.mono + backoff_after(std::min(tries, 16U), kRest, 0.5);
  return changes;
}

}  // namespace chappe::notify
