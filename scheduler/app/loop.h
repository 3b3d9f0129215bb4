/// \file
/// The scheduler's loop: the one thread that owns the engine, the store's writer and the workers' port.
///
/// One pass: take in what has arrived (bounded), step the engine, commit everything in one transaction, and only then
/// tell anybody. Under load a pass carries thousands of events; at rest it waits in poll().
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "engine/ports/meta_store.h"
#include "engine/run/engine.h"
#include "proto/transport/worker_port.h"
#include "scheduler/api/log_hub.h"
#include "scheduler/api/run_views.h"
#include "scheduler/app/dag_source.h"
#include "scheduler/app/disk_space.h"
#include "scheduler/app/looker.h"
#include "scheduler/app/loop_metrics.h"
#include "scheduler/app/mailbox.h"
#include "scheduler/app/patience.h"
#include "scheduler/app/pods.h"
#include "scheduler/app/publisher.h"
#include "scheduler/app/result_lookups.h"
#include "scheduler/notify/notifier.h"

namespace chappe {

/// What the clocks of this machine say.
Now read_clocks();

class Loop {
 public:
  struct Parts {
    Engine& engine;
    MetaStore& store;
    MetaReader& reader;  ///< Of the same store.
    transport::WorkerPort& port;
    Publisher& publisher;
    Looker& looker;
    DagSource& dags;
    ResultLookups& results;
    notify::Notifier& notifier;
    Mailbox& mailbox;
    api::LogHub& logs;
    DiskSpace& space;  ///< Of the store.
    LoopMetrics& metrics;
    Pods* pods;          ///< Null: this scheduler makes none.
    int stop_fd = -1;    ///< Readable: stop.
    int reload_fd = -1;  ///< Of signals, readable: `reload`.
    std::function<void()> reload;
  };
  explicit Loop(const Parts& parts) : parts_(parts) {}

  /// Until `stop_fd` is readable. Errors: a commit failed: the outcome is unknown, the process must end and come back.
  Result<void> run();

 private:
  static constexpr std::size_t kMessagesMax = 64;  ///< Of one pass: bounds its transaction and its delay.

  static constexpr std::uint64_t kPassesPerLook = 64;  ///< Under load, between two looks at `stop_fd`.

  bool take_in();
  void leave_out_what_needs_space();
  void take_mail(Mail& mail);
  void add_request(Request& request);
  bool answer_repeated(const Request& request);
  bool answer_delivery(const Request& request);
  bool is_out_of_date(const RunId& run, const StoredRun* stored);
  bool is_out_of_date(const Event& event);
  void look_up_dates();
  void look_up_past();
  void look_up_expired();
  void look_up_prunable();
  Result<void> pass();
  std::size_t follow_results(Now now);
  /// `confirm`: there are no changes, and the store is asked all the same whether it is still ours.
  Result<void> commit(const Persist& changes, bool confirm);
  void carry_out(Effects& effects);
  bool wait();
  bool stop_asked() const;
  void reload_if_asked();
  int timeout_ms() const;

  Parts parts_;
  wire::WorkerSays inbox_;
  std::vector<Query> queries_;
  std::vector<Event> kept_;         ///< News of our own threads, while there is no space: nobody would tell them again.
  std::vector<WantedDates> dates_;  ///< To be looked up at the beginning of the next pass.
  std::vector<WantedPast> past_;    ///< Likewise.
  api::RunViews views_;             ///< Of what tasks depend on.
  std::optional<ExpiredQuery> expired_;  ///< Likewise.
  std::optional<PruneQuery> prune_;      ///< Likewise.
  Patience dates_fail_, expired_fails_, prune_fails_;
  bool low_on_space_ = false;
  MonoTime results_are_slow_until_;  ///< Looking some up took too long to wait for; longer each time that it does.
  Duration results_slow_for_ = std::chrono::milliseconds(10);
  std::map<Ticket, api::Backend::Done> waiting_;
  Ticket last_ticket_;
  std::uint64_t passes_ = 0;
  std::optional<MonoTime> wake_at_{MonoTime{}};  ///< The first pass is due at once.
};

}  // namespace chappe
