// The law of what people are told.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

/// A run has ended: each of its DAG's channels that is for this has its row in the same commit, and only those have.
void Laws::check_told(const Persist& persist, const RunChange& change) {
  const RunView& run = runs_.at(change.row.seq);
  const Notice notice = change.row.state == RunState::kFailed ? Notice::kFailure : Notice::kSuccess;
  const bool concerns = change.row.state != RunState::kCancelled;
  for (std::uint32_t channel = 0; channel < run.story->dag->notify.size(); ++channel) {
    const auto& on = run.story->dag->notify[channel].on;
    const bool wanted = concerns && std::find(on.begin(), on.end(), notice) != on.end();
    const auto rows =
        std::count_if(persist.notifications.begin(), persist.notifications.end(), [&](const NotificationRow& row) {
          return row.run == change.row.seq && row.generation == change.row.generation && row.channel == channel &&
                 (row.notice == Notice::kFailure || row.notice == Notice::kSuccess);
        });
    if (rows != (wanted ? 1 : 0)) {
      broken(Law::kTold, fmt::format("run {} is {}, and {} notifications say so by channel {}", change.row.seq.value,
                                     name_of(change.row.state), rows, channel));
    }
    if (wanted) world_.saw(Sight::kPeopleTold);
  }
}

void Laws::check_notified() {
  for (const auto& [id, row] : world_.store.tables().notifications) {
    if (row.state == NotificationState::kPending) broken(Law::kTold, fmt::format("notification {} still waits", id));
    if (!notified_.contains(id)) broken(Law::kTold, fmt::format("notification {} was never sent", id));
  }
}

}  // namespace chappe::simulation
