#include "tests/simulation/seen.h"

#include <fmt/format.h>

namespace chappe::simulation {
namespace {

constexpr std::array<std::string_view, kSights> kSightNames{"run_succeeded",
                                                            "run_failed",
                                                            "run_cancelled",
                                                            "run_queued_behind_another",
                                                            "run_queued_behind_another_dag",
                                                            "run_published",
                                                            "run_stopped_by_fail_fast",
                                                            "run_stopped_by_timeout",
                                                            "run_tried_again",
                                                            "run_pruned",
                                                            "handler_ran",
                                                            "hook_called",
                                                            "hook_called_again",
                                                            "lock_shared",
                                                            "handlers_cut_short",
                                                            "request_repeated",
                                                            "request_answered_from_store",
                                                            "request_refused",
                                                            "hello_asked_for",
                                                            "forget_sent",
                                                            "cancel_sent",
                                                            "winner_acknowledged_again",
                                                            "attempt_lost",
                                                            "attempt_returned",
                                                            "asked_for_more",
                                                            "late_result",
                                                            "outputs_dropped",
                                                            "value_in_object",
                                                            "value_read_again",
                                                            "publish_repeated",
                                                            "publish_restaged",
                                                            "shown_again",
                                                            "publish_failed",
                                                            "publish_rested",
                                                            "upload_swept",
                                                            "old_epoch_refused",
                                                            "commit_failed",
                                                            "stale_scheduler",
                                                            "fenced",
                                                            "killed_by_fence",
                                                            "lined_up",
                                                            "lined_up_started",
                                                            "withdrawn",
                                                            "withdrawn_too_late",
                                                            "program_timed_out",
                                                            "two_attempts_at_once",
                                                            "worker_left",
                                                            "worker_gone_for_good",
                                                            "old_worker_starts",
                                                            "infra_budget_used_up",
                                                            "orphan_left",
                                                            "wire_used",
                                                            "calm_seed",
                                                            "oracle_compared",
                                                            "restored_compared",
                                                            "dataset_declared",
                                                            "alias_moved_by_task",
                                                            "previous_kept",
                                                            "alias_moved_by_person",
                                                            "check_passed",
                                                            "check_failed",
                                                            "fanned_out_late",
                                                            "item_went_ahead",
                                                            "results_followed",
                                                            "fanned_out_anew",
                                                            "item_tolerated",
                                                            "looked_in_vain",
                                                            "look_found",
                                                            "wait_ended_by_time",
                                                            "wait_ended_by_asset",
                                                            "wait_ended_by_look",
                                                            "wait_given_up",
                                                            "wait_skipped",
                                                            "wait_used_last",
                                                            "question_answered",
                                                            "loop_went_on",
                                                            "loop_gave_up",
                                                            "asset_told",
                                                            "end_told",
                                                            "call_told",
                                                            "run_started_by_task",
                                                            "torn_down",
                                                            "torn_down_though_stopped",
                                                            "time_made",
                                                            "time_missed",
                                                            "past_allowed",
                                                            "past_mended",
                                                            "run_late",
                                                            "task_late",
                                                            "task_too_old",
                                                            "delivery_repeated",
                                                            "object_told",
                                                            "object_was_there",
                                                            "object_gone",
                                                            "event_waited",
                                                            "events_collapsed",
                                                            "result_used_again",
                                                            "result_not_found",
                                                            "artifact_collected",
                                                            "removed_again",
                                                            "removal_refused",
                                                            "task_marked",
                                                            "backfill_made_run",
                                                            "backfill_skipped",
                                                            "backfill_paused",
                                                            "backfill_cancelled",
                                                            "pod_made",
                                                            "pod_swept",
                                                            "pod_evicted",
                                                            "pod_lost",
                                                            "pod_key_stolen",
                                                            "fleet_grew",
                                                            "fleet_shrank",
                                                            "worker_rested",
                                                            "state_moved",
                                                            "state_refused",
                                                            "people_told",
                                                            "told_after_restart",
                                                            "service_ready",
                                                            "service_stopped",
                                                            "service_failed",
                                                            "object_read"};

constexpr Reason kReasonsSeen[] = {
    Reason::kNone,        Reason::kExitCode,   Reason::kSignal,      Reason::kTimeout,       Reason::kQueueTimeout,
    Reason::kOom,         Reason::kLostWorker, Reason::kArtifactIo,  Reason::kInvalidOutput, Reason::kCancelled,
    Reason::kCheckFailed, Reason::kUpstream,   Reason::kLaunchFailed};

template <typename Visit>
void each_edge(const Visit& visit) {
  for (std::size_t from = 0; from < kTaskStates; ++from) {
    for (std::size_t to = 0; to < kTaskStates; ++to) {
      if (is_edge(static_cast<TaskState>(from), static_cast<TaskState>(to))) visit(from, to);
    }
  }
}

std::string edge_name(std::size_t from, std::size_t to) {
  return fmt::format("{} -> {}", name_of(static_cast<TaskState>(from)), name_of(static_cast<TaskState>(to)));
}

}  // namespace

std::string_view name_of(Sight sight) { return kSightNames[static_cast<std::size_t>(sight)]; }

bool is_edge(TaskState from, TaskState to) {
  using enum TaskState;
  switch (from) {
    case kNone:
      return to == kQueued || to == kWaiting || is_final(to);
    case kScheduled:  // Stored only when a worker gave an attempt back.
      return to == kQueued || to == kFailed || to == kCancelled || to == kNone || to == kSkipped ||
             to == kUpstreamFailed;
    case kQueued:
      return to != kQueued && to != kSkipped && to != kUpstreamFailed;
    case kRunning:
      return to == kCommitting || to == kUpForRetry || to == kWaiting || to == kSuccess || to == kFailed ||
             to == kCancelled;
    case kCommitting:
      return to == kSuccess || to == kFailed;
    case kUpForRetry:  // For want of a service, or of somebody who needs it, some end without another try.
      return to == kQueued || to == kFailed || to == kCancelled || to == kNone || to == kSuccess || to == kSkipped ||
             to == kUpstreamFailed;
    case kWaiting:
      return to == kWaiting || to == kQueued || to == kSuccess || to == kFailed || to == kSkipped || to == kCancelled ||
             to == kUpstreamFailed || to == kNone;
    default:
      return to == kNone;  // A person runs it again.
  }
}

void Seen::add(const Seen& other) {
  for (std::size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
  for (std::size_t i = 0; i < kSights; ++i) sights[i] += other.sights[i];
  for (std::size_t i = 0; i < reasons.size(); ++i) reasons[i] += other.reasons[i];
  each_edge([&](std::size_t from, std::size_t to) { edges[from][to] += other.edges[from][to]; });
  events += other.events;
  commits += other.commits;
  simulated_us += other.simulated_us;
}

std::vector<std::string> Seen::missing(std::uint64_t least) const {
  std::vector<std::string> out;
  const auto look = [&](std::uint64_t count, std::string name) {
    if (count < least) out.push_back(fmt::format("{} ({} times)", name, count));
  };
  for (std::size_t i = 0; i < kFaults; ++i) look(faults[i], fmt::format("fault {}", name_of(static_cast<Fault>(i))));
  for (std::size_t i = 0; i < kSights; ++i) look(sights[i], std::string(kSightNames[i]));
  for (const Reason reason : kReasonsSeen) {
    look(reasons[static_cast<std::size_t>(reason)], fmt::format("reason {}", name_of(reason)));
  }
  // Once in some 50,000 seeds: a worker gives back what waits again for a task that a person runs again; in some
  // 10,000: what was given back passes its queue_timeout.
  const auto is_rare = [](std::size_t from, std::size_t to) {
    const auto edge = std::pair(static_cast<TaskState>(from), static_cast<TaskState>(to));
    const bool for_services = (edge.first == TaskState::kScheduled || edge.first == TaskState::kUpForRetry ||
                               edge == std::pair(TaskState::kWaiting, TaskState::kUpstreamFailed)) &&
                              (edge.second == TaskState::kSuccess || edge.second == TaskState::kSkipped ||
                               edge.second == TaskState::kUpstreamFailed);
    return for_services || edge == std::pair(TaskState::kQueued, TaskState::kNone) ||
           edge == std::pair(TaskState::kScheduled, TaskState::kFailed);
  };
  each_edge([&](std::size_t from, std::size_t to) {
    if (!is_rare(from, to)) look(edges[from][to], edge_name(from, to));
  });
  return out;
}

std::string Seen::table() const {
  std::string out;
  const auto line = [&](std::uint64_t count, const std::string& name) {
    out += fmt::format("{:>12}  {}\n", count, name);
  };
  for (std::size_t i = 0; i < kFaults; ++i) line(faults[i], fmt::format("fault {}", name_of(static_cast<Fault>(i))));
  for (std::size_t i = 0; i < kSights; ++i) line(sights[i], std::string(kSightNames[i]));
  for (const Reason reason : kReasonsSeen) {
    line(reasons[static_cast<std::size_t>(reason)], fmt::format("reason {}", name_of(reason)));
  }
  each_edge([&](std::size_t from, std::size_t to) { line(edges[from][to], edge_name(from, to)); });
  return out;
}

}  // namespace chappe::simulation
