#include "tests/support/random_dag.h"

#include <fmt/format.h>

#include "tests/support/dag_builder.h"

namespace chappe::support {
namespace {

using std::chrono::seconds;

void add_edges(Chance& chance, Task& task, std::uint32_t position) {
  for (std::uint32_t upstream = 0; upstream < position; ++upstream) {
    if (!chance.one_in(3)) continue;
    Dependency& edge = task.depends_on.emplace_back();
    edge.task = upstream;
    if (!chance.one_in(5)) continue;
    edge.plain = false;
    edge.on_succeeded = chance.one_in(2);
    edge.on_failed = chance.one_in(2);
    edge.on_skipped = !edge.on_succeeded && !edge.on_failed;
  }
  if (chance.one_in(2)) task.trigger_rule = static_cast<TriggerRule>(chance.number(12));
}

void add_foreach(Chance& chance, Task& task) {
  ForEach foreach;
  foreach
    .sequence = ForEach::Sequence{.start = 1, .count = chance.number(4), .step = 1};
  foreach
    .max_parallel = chance.number(3);
  foreach
    .on_empty = static_cast<ForEach::OnEmpty>(chance.number(3));
  task.foreach = foreach;
}

void add_policies(Chance& chance, Task& task) {
  task.retry.limit = static_cast<std::uint16_t>(chance.number(3));
  task.retry.backoff.initial = seconds(chance.number(20));
  task.retry.avoid_same_worker = chance.one_in(3);
  if (chance.one_in(4)) task.retry.on = {Reason::kExitCode};
  if (chance.one_in(4)) task.retry.max_elapsed = seconds(60);
  task.infra_retry.limit = static_cast<std::uint16_t>(chance.number(4));
  task.allow_failure.always = chance.one_in(6);
  if (chance.one_in(6)) task.queue_timeout = seconds(10 + chance.number(300));
}

void add_gates(Chance& chance, Task& task) {
  if (chance.one_in(6)) {
    task.locks.push_back({.name = expr::Template::literal("x"), .exclusive = chance.one_in(2)});
  }
  if (chance.one_in(8)) task.locks.push_back({.name = expr::Template::literal("y")});
  if (chance.one_in(8)) task.max_active_per_dag = 1 + chance.number(2);
  if (chance.one_in(10)) task.rate = RateLimit{.name = "r", .limit = 2, .per = seconds(5)};
}

void add_output(Chance& chance, Task& task) {
  WorkSpec work = *task.work;
  OutputArtifact& output = work.outputs.emplace_back(OutputArtifact{.name = "out", .path = "out"});
  if (chance.one_in(2)) output.asset = expr::Template::parse(fmt::format("assets/{}", chance.number(3))).value();
  task.work = std::make_shared<const WorkSpec>(std::move(work));
}

void add_work(Chance& chance, Task& task) {
  constexpr std::uint32_t kCpu[] = {500, 1000, 2000};
  if (!chance.one_in(3)) process(kCpu[chance.number(3)])(task);
  // Where even the last try fits the smallest worker.
  if (task.kind == TaskKind::kRun && task.work->resources.cpu_milli << task.retry.limit <= kCpu[2]) {
    task.retry.scale.cpu = 2;
  }
  if (task.work != nullptr && chance.one_in(2)) add_output(chance, task);
  if (chance.one_in(4)) task.pool = chance.one_in(2) ? "a" : "b";
  task.priority = static_cast<std::int32_t>(chance.number(3));
  if (chance.one_in(8)) task.when = expr::Expression::parse("false").value();
}

/// As the loader makes them: `exit` waits for the others.
void add_handlers(Chance& chance, DagBuilder& builder) {
  for (const Handler handler : {Handler::kSuccess, Handler::kFailure, Handler::kCancel, Handler::kExit}) {
    if (chance.one_in(2)) continue;
    builder.task(fmt::format("h{}", static_cast<int>(handler)), {}, [&](Task& task) {
      task.handler = handler;
      add_policies(chance, task);
      add_work(chance, task);
    });
    builder.change([&](Dag& dag) {
      ++dag.handlers;
      if (handler != Handler::kExit) return;
      dag.tasks.back().trigger_rule = TriggerRule::kAllDone;
      for (auto i = static_cast<std::uint32_t>(dag.tasks.size()) - dag.handlers; i + 1 < dag.tasks.size(); ++i) {
        dag.tasks.back().depends_on.push_back({.task = i});
      }
    });
  }
}

}  // namespace

DagPtr random_dag(Chance& chance, std::uint32_t tasks_max) {
  DagBuilder builder(fmt::format("d{}", chance.number(3)));
  const std::uint32_t tasks = 1 + chance.number(tasks_max);
  for (std::uint32_t i = 0; i < tasks; ++i) {
    builder.task(fmt::format("t{}", i), {}, [&](Task& task) {
      add_edges(chance, task, i);
      if (chance.one_in(3)) add_foreach(chance, task);
      add_policies(chance, task);
      add_work(chance, task);
      if (chance.one_in(4)) add_gates(chance, task);
    });
  }
  if (chance.one_in(4)) add_handlers(chance, builder);
  return builder
      .change([&](Dag& dag) {
        if (chance.one_in(3)) dag.fail_fast = static_cast<FailFast>(chance.number(3));
        if (chance.one_in(3)) dag.max_active_tasks = 1 + chance.number(2);
        if (chance.one_in(5)) dag.timeout = seconds(30 + chance.number(600));
        dag.max_runs = 1 + chance.number(2);
      })
      .build();
}

DagPtr with_hooks(Chance& chance, const DagPtr& dag) {
  DagBuilder builder(dag->name);
  const std::uint32_t tasks = static_cast<std::uint32_t>(dag->tasks.size()) - dag->handlers;
  const auto add = [&](std::uint32_t i) {
    builder.task(dag->tasks[i].id, {}, [&](Task& task) { task = dag->tasks[i]; });
  };
  for (std::uint32_t i = 0; i < tasks; ++i) add(i);
  std::uint32_t hooks = 0;
  for (std::uint32_t i = 0; i < tasks; ++i) {
    if (!chance.one_in(2)) continue;
    builder.task(fmt::format("hook{}", i), {}, [&](Task& task) {
      task.hook = static_cast<HookEvent>(1 + chance.number(5));
      task.hook_of = i;
      task.foreach = dag->tasks[i].foreach;
      add_policies(chance, task);
      add_work(chance, task);
      task.allow_failure.always = true;
    });
    builder.change([&](Dag& into) {
      into.tasks[i].hooks.push_back(tasks + hooks);
      into.hooks.push_back(tasks + hooks);
    });
    ++hooks;
  }
  for (std::uint32_t i = tasks; i < dag->tasks.size(); ++i) add(i);
  return builder
      .change([&](Dag& into) {
        for (std::uint32_t i = tasks + hooks; i < into.tasks.size(); ++i) {
          for (Dependency& edge : into.tasks[i].depends_on) edge.task += edge.task >= tasks ? hooks : 0;
        }
        into.handlers = dag->handlers;
        into.fail_fast = dag->fail_fast;
        into.max_active_tasks = dag->max_active_tasks;
        into.timeout = dag->timeout;
        into.max_runs = dag->max_runs;
      })
      .build();
}

}  // namespace chappe::support
