// DAGs that start one another, and runs that wait for one another: how far the first may go, and how the second is
// told.
#include <fmt/format.h>

#include <algorithm>

#include "engine/model/circles.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

std::int64_t links_in(const Value& event) {
  const Value* chain = event.find("chain");
  const std::int64_t* links = chain == nullptr ? nullptr : chain->as_int();
  return links == nullptr ? 1 : *links;
}

std::string named(const LiveRun& run) { return fmt::format("run {} of {}", run.row.id.text(), run.row.dag); }

std::string name_of_places(const LiveRun& run) {
  return run.row.group.empty() ? run.row.dag : fmt::format("group '{}'", run.row.group);
}

}  // namespace

/// How many runs were started one by the other, by events, until this one was. 0: it was started by no event.
std::int64_t EngineState::chain_of(const LiveRun& run) {
  std::int64_t longest = 0;
  const LiveRun* at = &run;
  for (std::uint32_t depth = 0; at != nullptr && depth <= kRunDepthMax; ++depth) {
    for (const Value& event : at->events) longest = std::max(longest, links_in(event));
    at = at->row.parent.attempt ? find_run(at->row.parent.key.run) : nullptr;
  }
  return longest;
}

/// False, and told to those who listen: DAGs start each other for ever.
bool EngineState::may_start_more(const LiveRun& run, const EventSource& source, std::int64_t chain) {
  if (chain <= kTriggerChainMax) return true;
  const auto listeners = consumers.find(source);
  if (listeners == consumers.end()) return false;
  for (const auto& [dag, position] : listeners->second) {
    Deployment& deployment = deployments.at(dag);
    deployment.row.message = fmt::format(
        "{} started no run: {} is the last of {} that started one another; do DAGs start "
        "each other in a circle?",
        to_text(source), named(run), kTriggerChainMax);
    save(deployment);
  }
  return false;
}

/// A warning of deployed DAGs that start one another, from `dag` back to it; "": none do.
std::string EngineState::circle_of(const Dag& dag) const {
  const auto listeners_of = [&](const EventSource& source) {
    std::vector<DagPtr> found;
    const auto listeners = consumers.find(source);
    if (listeners == consumers.end()) return found;
    for (const auto& [name, position] : listeners->second) {
      const DagPtr& other = deployments.at(name).dag;
      if (other != nullptr) found.push_back(other);
    }
    return found;
  };
  return circle_through(dag, listeners_of).warning;
}

/// Why the run is queued: who has the places of its group. Where one of them waits, by way of other runs, for a place
/// that `asking` has: that both will wait for ever.
std::string EngineState::explain_queued(const LiveRun& queued, const LiveRun& asking) const {
  const std::string group = Places::group_of(queued.row, *queued.dag);
  std::string told = fmt::format("{} of {} places of {} are taken", run_places.taken(group).size(),
                                 queued.dag->max_runs, name_of_places(queued));
  if (const std::string circle = circle_of_runs(queued, asking); !circle.empty()) {
    told += fmt::format("; {}: they wait for each other, cancel one of them", circle);
  }
  return told;
}

/// What a queued run waits for, for people: whose places they are, and who has them.
std::string EngineState::told_turn(const LiveRun& run) const {
  const std::string group = Places::group_of(run.row, *run.dag);
  const std::set<RunSeq>& taken = run_places.taken(group);
  if (run.row.group.empty()) {
    return fmt::format("its turn: {} runs of {} are running, max_runs is {}", taken.size(), run.row.dag,
                       run.dag->max_runs);
  }
  constexpr std::size_t kHoldersShownMax = 3;
  std::string holders;
  std::size_t shown = 0;
  for (auto each = taken.begin(); each != taken.end() && shown < kHoldersShownMax; ++each, ++shown) {
    holders += (shown == 0 ? "" : ", ") + named(*runs.at(*each));
  }
  if (taken.size() > shown) holders += fmt::format(" and {} more", taken.size() - shown);
  const std::set<RunSeq>& line = run_places.line(group);
  const auto before = std::distance(line.begin(), line.find(run.row.seq));
  const std::string in_line = before == 0   ? ""
                              : before == 1 ? ", and 1 run waits before it"
                                            : fmt::format(", and {} runs wait before it", before);
  return fmt::format("a place in group '{}': {} {}; max_runs of {} is {}{}", run.row.group, holders,
                     taken.size() == 1 ? "has one" : "have one", run.row.dag, run.dag->max_runs, in_line);
}

/// Depth first, from a run that waits for a place to those that have one, to those that these wait for.
/// Cost: O(its `max_runs`) a group that is looked at, at most kLookedMax of them.
std::string EngineState::circle_of_runs(const LiveRun& queued, const LiveRun& asking) const {
  constexpr std::size_t kLookedMax = 100;
  struct Step {
    const LiveRun* queued;
    std::string path;
  };
  std::set<std::string> known;  // Groups.
  std::vector<Step> to_visit = {{&queued, ""}};
  while (!to_visit.empty() && known.size() < kLookedMax) {
    const Step step = std::move(to_visit.back());
    to_visit.pop_back();
    const std::string group = Places::group_of(step.queued->row, *step.queued->dag);
    if (!known.insert(group).second) continue;
    for (const RunSeq seq : run_places.taken(group)) {
      const auto& holder = runs.at(seq);
      if (holder.get() == &asking) return fmt::format("{}that one is held by this run", step.path);
      for (const auto& [index, started] : holder->started_runs) {
        const auto child = runs.find(started);
        if (child == runs.end() || child->second->row.state != RunState::kQueued) continue;
        to_visit.push_back(
            {child->second.get(), fmt::format("{}one is held by {}, which waits for a place of {}, and ", step.path,
                                              named(*holder), name_of_places(*child->second))});
      }
    }
  }
  return "";
}

}  // namespace chappe
