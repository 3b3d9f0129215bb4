#include "tests/simulation/plan.h"

#include <algorithm>
#include <span>

#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, kFaults> kFaultNames{"lose_message",
                                                            "duplicate_message",
                                                            "replay_message",
                                                            "reorder_message",
                                                            "delay_message",
                                                            "break_link",
                                                            "clog_link",
                                                            "swizzle_clog",
                                                            "partition_link",
                                                            "crash_worker",
                                                            "pause_worker",
                                                            "suspend_worker",
                                                            "drain_worker",
                                                            "kill_program",
                                                            "crash_scheduler",
                                                            "pause_scheduler",
                                                            "second_scheduler",
                                                            "crash_before_commit",
                                                            "commit_lost",
                                                            "commit_unknown",
                                                            "crash_after_commit",
                                                            "crash_among_effects",
                                                            "object_unavailable",
                                                            "object_timeout",
                                                            "object_outage",
                                                            "sweep_uploads",
                                                            "crash_among_objects",
                                                            "wall_jump",
                                                            "drift",
                                                            "cancel_run",
                                                            "retry_run",
                                                            "move_alias",
                                                            "repeat_request",
                                                            "foreign_report",
                                                            "foreign_object",
                                                            "evict_pod",
                                                            "lose_pod",
                                                            "stick_pod",
                                                            "steal_key",
                                                            "fail_api",
                                                            "take_pod_name"};

/// Once in how many occasions a fault comes: about so often in one life of a world that it is seen, and survived.
std::uint32_t usual_rate(Fault fault) {
  switch (fault) {
    case Fault::kLoseMessage:
    case Fault::kDuplicateMessage:
    case Fault::kReorderMessage:
    case Fault::kReplayMessage:
      return 30;
    case Fault::kDelayMessage:
    case Fault::kObjectUnavailable:
    case Fault::kObjectTimeout:
      return 12;
    case Fault::kCrashBeforeCommit:
    case Fault::kCommitLost:
    case Fault::kCommitUnknown:
    case Fault::kCrashAfterCommit:
    case Fault::kCrashAmongEffects:
      return 60;
    case Fault::kCrashAmongObjects:
    case Fault::kForeignReport:
    case Fault::kForeignObject:
    case Fault::kKillProgram:
    case Fault::kStickPod:
    case Fault::kFailApi:
    case Fault::kTakePodName:
      return 15;
    case Fault::kRepeatRequest:
      return 3;
    default:
      return 1;  // Comes by time, with its share of all that do.
  }
}

constexpr Fault kPodFaults[] = {Fault::kEvictPod, Fault::kLosePod, Fault::kStickPod,
                                Fault::kStealKey, Fault::kFailApi, Fault::kTakePodName};

constexpr std::uint32_t kOftener = 4;  ///< Where a few faults are all there are.

void draw_faults(support::Chance& chance, Plan& plan) {
  const bool calm = chance.one_in(16);
  const bool honest = chance.one_in(3);
  const std::uint32_t density = 1 + chance.number(6);  // Sixths of the faults that this seed knows.
  for (std::size_t i = 0; i < kFaults; ++i) {
    const std::uint32_t rate = usual_rate(static_cast<Fault>(i)) * (1 + chance.number(3));
    if (!calm && chance.number(6) < density) plan.one_in[i] = rate;
  }
  if (!honest) return;
  for (const Fault fault : {Fault::kDuplicateMessage, Fault::kReplayMessage, Fault::kReorderMessage,
                            Fault::kForeignReport, Fault::kForeignObject, Fault::kSecondScheduler}) {
    plan.one_in[static_cast<std::size_t>(fault)] = 0;
  }
}

/// These come, and often, and no others do.
void know_only(Plan& plan, std::span<const Fault> faults) {
  plan.few = true;
  plan.one_in.fill(0);
  for (const Fault fault : faults) {
    plan.one_in[static_cast<std::size_t>(fault)] = std::max(usual_rate(fault) / kOftener, 1U);
    plan.pods = plan.pods || std::ranges::find(kPodFaults, fault) != std::end(kPodFaults);
  }
}

/// What thirty faults at once drown: a few that meet again and again.
std::vector<Fault> draw_few_faults(support::Chance& chance) {
  std::vector<Fault> few(1 + chance.number(4));
  for (Fault& fault : few) fault = static_cast<Fault>(chance.number(kFaults));
  return few;
}

}  // namespace

std::string_view name_of(Fault fault) { return kFaultNames[static_cast<std::size_t>(fault)]; }

std::optional<Fault> parse_fault(std::string_view name) {
  const auto found = std::find(kFaultNames.begin(), kFaultNames.end(), name);
  if (found == kFaultNames.end()) return std::nullopt;
  return static_cast<Fault>(found - kFaultNames.begin());
}

bool Plan::calm() const {
  return std::all_of(one_in.begin(), one_in.end(), [](std::uint32_t rate) { return rate == 0; });
}

bool Plan::spares_workers() const {
  constexpr Fault kElsewhere[] = {Fault::kLosePod, Fault::kStickPod, Fault::kStealKey, Fault::kFailApi,
                                  Fault::kTakePodName};
  Plan rest = *this;
  for (const Fault fault : kElsewhere) rest.one_in[static_cast<std::size_t>(fault)] = 0;
  return rest.calm();
}

bool Plan::honest() const {
  return !knows(Fault::kDuplicateMessage) && !knows(Fault::kReplayMessage) && !knows(Fault::kReorderMessage) &&
         !knows(Fault::kForeignReport) && !knows(Fault::kForeignObject);
}

std::vector<Fault> few_faults(std::uint64_t seed) {
  support::Chance chance(seed * 0x9E3779B97F4A7C15U + 7);
  std::vector<Fault> few;
  while (few.size() < 1 + seed % 3) {
    const auto any = static_cast<Fault>(chance.number(kFaults));
    const bool asks = chance.one_in(4);
    const Fault next = !asks ? any : chance.one_in(3) ? Fault::kCancelRun : Fault::kRetryRun;
    if (std::ranges::find(few, next) == few.end()) few.push_back(next);
  }
  return few;
}

Plan make_plan(std::uint64_t seed, const Reduction& reduction) {
  support::Chance chance(seed * 0x9E3779B97F4A7C15U + 1);
  Plan plan{.seed = seed};
  const bool large = chance.one_in(50);
  plan.workers = 1 + chance.number(large ? 8 : 3);
  plan.runs = 1 + chance.number(large ? 5 : 3);
  plan.tasks_max = large ? 40 : 2 + chance.number(7);
  plan.prefetch = chance.number(4);
  plan.noop_depth = 1 + chance.number(4);
  plan.batch_max = chance.one_in(3) ? 1 : 1 + chance.number(16);
  constexpr Duration kLeases[] = {12s, 24s, 60s};
  plan.lease = kLeases[chance.number(3)];
  plan.heartbeat = plan.lease / 12;
  plan.safety = plan.lease * (2 + chance.number(6));
  plan.latency_min = Duration(50 + chance.number(2'000));
  plan.latency_spread = Duration(1 + chance.number(chance.one_in(4) ? 500'000 : 5'000));
  const Duration lengths[] = {10ms, 500ms, 5s, plan.lease * 2};
  plan.program_max = lengths[chance.number(4)];
  plan.trouble_every = plan.safety / (2 + chance.number(14));
  plan.wire = chance.one_in(8);
  plan.patient = chance.one_in(2);
  plan.timeless = chance.one_in(2);
  draw_faults(chance, plan);
  plan.pods = support::Chance(seed * 0x9E3779B97F4A7C15U + 2).one_in(4);
  for (const Fault fault : kPodFaults) {
    if (!plan.pods) plan.one_in[static_cast<std::size_t>(fault)] = 0;
  }
  plan.scaled = support::Chance(seed * 0x9E3779B97F4A7C15U + 4).one_in(4);
  plan.slow = support::Chance(seed * 0x9E3779B97F4A7C15U + 5).one_in(4);

  plan.workers = std::min(plan.workers, reduction.workers_max.value_or(plan.workers));
  plan.runs = std::min(plan.runs, reduction.runs_max.value_or(plan.runs));
  plan.tasks_max = std::min(plan.tasks_max, reduction.tasks_max.value_or(plan.tasks_max));
  support::Chance few(seed * 0x9E3779B97F4A7C15U + 3);
  if (few.one_in(6)) know_only(plan, draw_few_faults(few));
  if (!reduction.only.empty()) know_only(plan, reduction.only);
  if (reduction.few) know_only(plan, few_faults(seed));
  for (const Fault fault : reduction.without) plan.one_in[static_cast<std::size_t>(fault)] = 0;
  plan.refuses = !plan.calm() && support::Chance(seed * 0x9E3779B97F4A7C15U + 6).one_in(8);
  support::Chance pruning(seed * 0x9E3779B97F4A7C15U + 90);
  if (pruning.one_in(4)) plan.run_retention = std::chrono::seconds(1 + pruning.number(20));
  return plan;
}

}  // namespace chappe::simulation
