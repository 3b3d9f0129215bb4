// Backfills that people ask for. Drawn apart from the rest of a world, so that the other seeds tell what they always
// told.
#include <algorithm>

#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

constexpr std::int64_t kHourUs = 3'600'000'000;
constexpr std::int64_t kFirstHour = 472'000;  ///< Some hour of 2023.

/// A program that leaves nothing: no task needs what another one leaves.
void make_plain(Task& task) {
  if (task.kind != TaskKind::kRun) return;
  WorkSpec work = *task.work;
  work.outputs.clear();
  task.work = std::make_shared<const WorkSpec>(std::move(work));
}

BackfillSpec random_spec(support::Chance& chance, const Dag& dag) {
  const std::int64_t first = kFirstHour + chance.number(4);
  BackfillSpec spec{.from = {first * kHourUs}, .to = {(first + chance.number(5)) * kHourUs}};
  spec.reprocess = static_cast<Reprocess>(chance.number(3));
  spec.newest_first = chance.one_in(3);
  spec.max_active = 1 + chance.number(3);
  if (chance.one_in(4)) {
    const auto tasks = static_cast<std::uint32_t>(dag.tasks.size()) - dag.handlers;
    spec.tasks.push_back(dag.tasks[chance.number(tasks)].id);
  }
  return spec;
}

}  // namespace

std::optional<Past> make_past(const Plan& plan, std::uint32_t number) {
  support::Chance chance(plan.seed * 0x9E3779B97F4A7C15U + 9);
  if (!chance.one_in(4)) return std::nullopt;
  Past past;
  Dag dag = *support::random_dag(chance, std::min(plan.tasks_max, 4U));
  dag.name = "past";
  dag.version = "past-1";
  calendar::Schedule hourly{.rule = calendar::Every{std::chrono::hours(1), WallTime{}},
                            .zone = calendar::Zone::utc(),
                            .dst = {},
                            .text = "every 1h"};
  dag.schedule.lines.push_back({.when = std::move(hourly)});
  for (Task& task : dag.tasks) make_plain(task);
  dag.tasks[0].latest_only = support::Chance(plan.seed * 0x9E3779B97F4A7C15U + 84).one_in(3);
  const std::uint32_t specs = 1 + chance.number(2);
  for (std::uint32_t i = 0; i < specs; ++i) past.specs.push_back(random_spec(chance, dag));
  support::Chance order(plan.seed * 0x9E3779B97F4A7C15U + 85);
  if (order.one_in(2)) {
    dag.on_limit = OnLimit::kQueue;
    for (BackfillSpec& spec : past.specs) spec.newest_first = false;
    for (std::size_t i = 0; i < dag.tasks.size() - dag.handlers; ++i) {
      Task& task = dag.tasks[i];
      task.depends_on_past = task.teardown_of.empty() && !task.is_hook() && order.one_in(2);
    }
  }
  const bool serves = add_services(plan.seed * 0x9E3779B97F4A7C15U + 87, dag);
  const bool newest_first = std::ranges::any_of(past.specs, &BackfillSpec::newest_first);
  if (serves && !newest_first)
    dag.tasks[0].depends_on_past = support::Chance(plan.seed * 0x9E3779B97F4A7C15U + 88).one_in(2);
  past.by_hand = {(kFirstHour + chance.number(6)) * kHourUs};
  Story& story = past.story;
  story = {.seed = plan.seed, .number = number, .program_max = plan.program_max};
  story.request_id = "request-of-the-past";
  story.dag = std::make_shared<const Dag>(std::move(dag));
  story.instances = Instances::expand(story.dag, {}).value();
  return past;
}

}  // namespace chappe::simulation
