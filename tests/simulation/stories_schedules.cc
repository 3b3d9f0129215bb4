// DAGs that time starts, while faults go on. Drawn apart, so that the other seeds tell what they always told.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/stories.h"
#include "tests/support/dag_builder.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

using support::Chance;
using namespace std::chrono_literals;

SchedulePlan some_schedule(Chance& chance, const Plan& plan) {
  SchedulePlan out;
  const Duration period = std::max<Duration>(1s, plan.safety / (4 + chance.number(12)));
  out.lines.push_back({.when = {.rule = calendar::Every{period, kWallBegin},
                                .zone = calendar::Zone::utc(),
                                .dst = {},
                                .text = "every " + to_text(period)}});
  if (chance.one_in(3)) out.lines[0].jitter = period / 2;
  out.end = kWallBegin + plan.safety;
  if (chance.one_in(2)) out.start = kWallBegin + -period * chance.number(6);
  out.catchup = static_cast<Catchup>(chance.number(3));
  out.max_catchup_runs = chance.one_in(3) ? 1 + chance.number(3) : kCatchUpAll;
  return out;
}

/// A task that waits for a worker, and is for the latest time only.
void add_latest(Dag& dag) {
  Task task;
  task.id = "latest";
  task.work = std::make_shared<const WorkSpec>();
  task.latest_only = true;
  task.depends_on.push_back({.task = 0});
  dag.tasks.push_back(std::move(task));
}

/// A task that begins when the one of the time before has ended well, which not all do.
void add_in_order(Dag& dag) {
  Task task;
  task.id = "in_order";
  task.kind = TaskKind::kRun;
  task.work = std::make_shared<const WorkSpec>(WorkSpec{.kind = TaskKind::kRun});
  task.depends_on_past = true;
  task.depends_on.push_back({.task = 0});
  dag.tasks.push_back(std::move(task));
}

}  // namespace

void add_clocks(const Plan& plan, std::vector<Story>& listeners) {
  constexpr std::uint32_t kWaitMax = 2'000;
  constexpr OnLimit kOnLimit[] = {OnLimit::kQueue, OnLimit::kQueue, OnLimit::kSkip, OnLimit::kReplace};
  Chance chance(plan.seed * 0x9E3779B97F4A7C15U + 82);
  if (!chance.one_in(4)) return;
  Chance latest(plan.seed * 0x9E3779B97F4A7C15U + 83);
  Chance past(plan.seed * 0x9E3779B97F4A7C15U + 86);
  for (std::uint32_t left = 1 + chance.number(2); left > 0; --left) {
    Dag dag;
    dag.name = fmt::format("clock{}", left);
    dag.version = dag.name + "-1";
    dag.max_runs = 1 + chance.number(2);
    dag.on_limit = kOnLimit[chance.number(4)];
    dag.schedule = some_schedule(chance, plan);
    add_wait(dag, std::chrono::milliseconds(chance.number(kWaitMax)));
    if (latest.one_in(2)) add_latest(dag);
    if (past.one_in(2) && dag.on_limit == OnLimit::kQueue) add_in_order(dag);
    add_group(plan.seed + left, dag);
    dag.index_tasks();
    const auto number = static_cast<std::uint32_t>(kListenerNumbers + listeners.size());
    // Short: those that run one after the other must come to an end, too.
    const Duration program_max = std::min<Duration>(plan.program_max, std::chrono::seconds(2));
    Story& story = listeners.emplace_back(Story{.seed = plan.seed, .number = number, .program_max = program_max});
    story.dag = std::make_shared<const Dag>(std::move(dag));
    story.instances = Instances::expand(story.dag, {}).value();
  }
}

}  // namespace chappe::simulation
