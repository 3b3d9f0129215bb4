// Services, and inputs that are objects of S3. Drawn apart from the rest of a story, so that the other seeds tell what
// they always told.
#include <algorithm>
#include <optional>
#include <utility>

#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

/// Makes room for a task in front of all others, which move up by one.
void move_up(Dag& dag) {
  const auto all = [](auto& positions) {
    for (std::uint32_t& each : positions) ++each;
  };
  for (Task& task : dag.tasks) {
    for (Dependency& edge : task.depends_on) ++edge.task;
    for (auto* positions : {&task.teardown_of, &task.hooks, &task.followers}) all(*positions);
    if (task.is_hook()) ++task.hook_of;
    if (task.foreach) ++task.foreach->leader;
    if (task.promote) ++task.promote->from_task;
    if (task.work == nullptr) continue;
    WorkSpec work = *task.work;
    for (InputArtifact& input : work.inputs) {
      if (input.from_task) ++*input.from_task;
    }
    task.work = std::make_shared<const WorkSpec>(std::move(work));
  }
  all(dag.hooks);
  all(dag.watchers);
  for (auto& artifact : dag.outputs.artifacts) ++artifact.task;
}

Task make_service(support::Chance& chance, std::string id) {
  WorkSpec work;
  work.kind = TaskKind::kRun;
  work.command = {expr::Template::literal("serve")};
  work.resources.cpu_milli = 0;  // Whoever depends on it finds room beside it.
  work.service = ServiceSpec{.ready_timeout = std::chrono::seconds(20)};
  for (const std::string_view name : {kServiceAddress, kServiceHost, kServicePort}) {
    work.values.push_back({.name = std::string(name), .file = "", .json_path = "", .default_value = {}});
  }
  Task task{.id = std::move(id), .kind = TaskKind::kRun};
  task.retry.limit = static_cast<std::uint16_t>(chance.number(4));
  task.allow_failure.always = chance.one_in(8);
  task.work = std::make_shared<const WorkSpec>(std::move(work));
  return task;
}

/// Puts a service in front of all others: some of them depend on it. `always`: whoever else does not.
void put_service(support::Chance& chance, Dag& dag, std::string id, std::optional<std::uint32_t> always) {
  move_up(dag);
  dag.tasks.insert(dag.tasks.begin(), make_service(chance, std::move(id)));
  if (dag.max_active_tasks > 0) ++dag.max_active_tasks;
  bool needed = false;
  for (std::uint32_t i = 1; i < dag.tasks.size(); ++i) {
    Task& task = dag.tasks[i];
    const bool fits = !dag.is_handler(i) && !task.is_hook() && task.teardown_of.empty();
    const bool must = always && i == *always + 1;
    if (!must && (!fits || (needed && chance.one_in(2)))) continue;
    task.depends_on.push_back({.task = 0});
    needed = true;
  }
}

}  // namespace

bool add_services(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(4)) return false;
  put_service(chance, dag, "service", {});
  support::Chance more(seed + 1);
  if (more.one_in(3)) put_service(more, dag, "base", 0);
  dag.index_tasks();
  return true;
}

void add_object_inputs(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(4)) return;
  for (Task& task : dag.tasks) {
    if (task.kind != TaskKind::kRun || task.cache || !chance.one_in(3)) continue;
    WorkSpec work = *task.work;
    InputArtifact input{.name = "drop", .path = "drop"};
    input.s3 = expr::Template::literal("s3://outside/drop");
    work.inputs.push_back(std::move(input));
    task.work = std::make_shared<const WorkSpec>(std::move(work));
  }
}

}  // namespace chappe::simulation
