#include "scheduler/notify/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/ports/log.h"

namespace chappe::notify {
namespace {

constexpr std::size_t kPage = 1'000;

/// A channel of a DAG, whatever its version says it is: who is told by it is looked up when it is sent.
std::string name_of_channel(const NotificationRow& row) {
  return fmt::format("{} {} {}", row.dag, row.dag_version, row.channel);
}

}  // namespace

Result<std::vector<NotificationRow>> read_pending(MetaReader& reader) {
  std::vector<NotificationRow> all;
  for (;;) {
    auto page = reader.pending_notifications(all.empty() ? 0 : all.back().id, kPage);
    if (!page) return page;
    std::move(page->begin(), page->end(), std::back_inserter(all));
    if (page->size() < kPage) return all;
  }
}

Notifier::Notifier(ChannelConfig config, FindDag find_dag, Report report, Clocks clocks)
    : default_(config.by_default),
      channels_(std::move(config)),
      find_dag_(std::move(find_dag)),
      report_(std::move(report)),
      clocks_(std::move(clocks)) {}

Notifier::~Notifier() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Notifier::take(std::vector<NotificationRow> rows) {
  if (rows.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (NotificationRow& row : rows) {
      std::string name = name_of_channel(row);
      outbox_.add(std::move(name), std::move(row));
    }
    while (threads_.size() < kThreads) threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
  changed_.notify_all();
}

void Notifier::serve(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const MonoTime now = clocks_().mono;
    if (auto letter = outbox_.take(now)) {
      lock.unlock();
      send(std::move(*letter));
      lock.lock();
      continue;
    }
    const auto wake_at = outbox_.wake_at();
    const std::size_t waiting = outbox_.waiting();
    const auto news = [&] { return outbox_.waiting() != waiting; };
    if (wake_at) {
      const auto rest = std::max(*wake_at - now, Duration(std::chrono::milliseconds(1)));
      changed_.wait_for(lock, stop, rest, news);
    } else {
      changed_.wait(lock, stop, news);
    }
  }
}

void Notifier::send(Letter letter) {
  const auto channel = channel_of(letter.about[0]);
  const auto sent = channel ? channels_.send(*channel, letter) : Result<void>(fail(channel.error()));
  const Now now = clocks_();
  std::vector<NotificationChange> changes;
  {
    const std::lock_guard lock(mutex_);
    if (sent) {
      changes = outbox_.sent(letter, now.wall);
    } else {
      const bool for_good = sent.error().code != ErrorCode::kUnavailable;
      log::warn("notification {} of DAG {}: {}{}", letter.about[0].id, letter.about[0].dag, sent.error().message,
                for_good ? "" : "; trying again");
      changes = outbox_.failed(std::move(letter), sent.error().message, for_good, now);
    }
  }
  changed_.notify_all();
  report_(NotificationsTold{std::move(changes)});
}

/// Errors: kUnavailable: the store cannot be read just now; others: there is no such channel any more.
Result<NotifyChannel> Notifier::channel_of(const NotificationRow& row) {
  const auto dag = find_dag_(row.dag_version);
  if (!dag) return fail(dag.error());
  const bool own = (*dag)->says_notify;
  const std::vector<NotifyChannel>& channels = own ? (*dag)->notify : default_;
  if (row.channel >= channels.size()) {
    return fail(ErrorCode::kCorrupt, own ? "its DAG version has no such channel"
                                         : "the scheduler's default has no such channel any more (--notify-default)");
  }
  NotifyChannel channel = channels[row.channel];
  for (std::string& word : channel.words) {
    if (channel.kind != NotifyChannel::Kind::kEmail || word != kNotifyOwner) continue;
    word = (*dag)->owner;
    if (word.find('@') == std::string::npos || word.find_first_of(" ,\r\n") != std::string::npos) {
      return fail(ErrorCode::kInvalidInput, "'owner' stands for the DAG's 'owner', which is no address");
    }
  }
  return channel;
}

}  // namespace chappe::notify
