/// \file
/// Sends what people are to be told, on threads of its own, and reports what came of it. At its start it takes up what
/// the store still has to be sent: what was committed before a crash is sent after it, at the worst twice.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "engine/run/events.h"
#include "scheduler/notify/channels.h"
#include "scheduler/notify/outbox.h"

namespace chappe::notify {

class Notifier {
 public:
  using FindDag = std::function<Result<DagPtr>(const std::string& version)>;  ///< Called on threads of this.
  using Report = std::function<void(Event)>;                                  ///< Likewise.
  using Clocks = std::function<Now()>;

  static constexpr std::size_t kThreads = 4;  ///< Letters under way at a time.

  Notifier(ChannelConfig config, FindDag find_dag, Report report, Clocks clocks);
  ~Notifier();  ///< Waits for letters under way; what waits is in the store.

  /// What is durable and has to be sent.
  void take(std::vector<NotificationRow> rows);

 private:
  void serve(const std::stop_token& stop);
  void send(Letter letter);
  Result<NotifyChannel> channel_of(const NotificationRow& row);
  void tell(std::vector<NotificationChange> changes);

  std::vector<NotifyChannel> default_;  ///< ChannelConfig::by_default.
  Channels channels_;
  FindDag find_dag_;
  Report report_;
  Clocks clocks_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Outbox outbox_;
  std::vector<std::jthread> threads_;  ///< From the first row on: a start does not wait for them.
};

/// All that waits in the store, oldest first.
Result<std::vector<NotificationRow>> read_pending(MetaReader& reader);

}  // namespace chappe::notify
