// What people are told of: a row in the transaction of what it is about, so that it is neither lost nor made up.
// Sending is the shell's work; what came of it comes back as an event.
#include <fmt/format.h>

#include <algorithm>

#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::size_t kTextMax = 1'000;  ///< Bytes of a message's text.
constexpr std::size_t kNamesTold = 5;    ///< Failed tasks that the text names.

std::string told_failures(const ValueList& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamesTold; ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", to_text(names[i]));
  }
  return names.size() > kNamesTold ? fmt::format("{} and {} more", text, names.size() - kNamesTold) : text;
}

/// Cut between two characters.
std::string cut(std::string text) {
  if (text.size() <= kTextMax) return text;
  std::size_t end = kTextMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + " ...";
}

}  // namespace

const std::vector<NotifyChannel>& EngineState::channels_of(const Dag& dag) const {
  return dag.says_notify ? dag.notify : config.notify_default;
}

/// `index`: the task instance that it is about. `what`: what happened, behind the name of the run.
void EngineState::notify(const LiveRun& run, Notice notice, std::optional<std::uint32_t> index,
                         const std::string& what) {
  const std::vector<NotifyChannel>& channels = channels_of(*run.dag);
  for (std::uint32_t channel = 0; channel < channels.size(); ++channel) {
    const auto& on = channels[channel].on;
    if (std::find(on.begin(), on.end(), notice) == on.end()) continue;
    NotificationRow row{.id = ++last_notification, .run = run.row.seq, .generation = run.row.generation};
    row.run_id = run.row.id;
    row.dag = run.row.dag;
    row.dag_version = run.row.dag_version;
    row.notice = notice;
    row.channel = channel;
    if (index) row.task = run.instances->name_of(*index);
    row.made_at = now.wall;
    row.text = cut(fmt::format("{} {}: {}", run.row.dag, run.row.id.text(), what));
    if (notifications_pending >= config.notifications_max) {
      row.state = NotificationState::kGivenUp;
      row.told = fmt::format("{} others wait to be sent", notifications_pending);
    } else {
      ++notifications_pending;
      out.notify.push_back(row);
    }
    out.persist.notifications.push_back(std::move(row));
  }
}

/// Requires: the run's row says how it ended.
void EngineState::notify_of_end(const LiveRun& run) {
  LastEnd& last = last_ends[run.row.dag];
  const bool newest = run.row.seq >= last.run;
  const bool failed = run.row.state == RunState::kFailed;
  if (run.row.state == RunState::kSuccess) {
    notify(run, Notice::kSuccess, {}, "succeeded");
    if (last.failed && newest) notify(run, Notice::kRecovered, {}, "succeeded again, after a run that failed");
  }
  if (newest && run.row.state != RunState::kCancelled) last = {run.row.seq, failed};
  if (!failed || channels_of(*run.dag).empty()) return;
  std::string what = "failed";
  if (!run.row.message.empty()) what += ": " + run.row.message;
  const auto tasks = RunScope(run, std::nullopt).resolve(std::vector<std::string>{"run", "failed_tasks"});
  const Value* names = tasks ? tasks->find("failed_tasks") : nullptr;
  if (names != nullptr && !names->as_list()->empty()) what += "; tasks: " + told_failures(*names->as_list());
  notify(run, Notice::kFailure, {}, what);
}

void EngineState::on(const NotificationsTold& event) {
  for (const NotificationChange& change : event.changes) {
    const bool over = change.state != NotificationState::kPending;
    if (over && notifications_pending > 0) --notifications_pending;
    out.persist.notification_changes.push_back(change);
  }
}

}  // namespace chappe
