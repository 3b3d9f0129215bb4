#include "tests/support/dag_builder.h"

#include <fmt/format.h>

#include "engine/base/assert.h"

namespace chappe::support {

DagBuilder& DagBuilder::task(const std::string& id, const std::vector<std::string>& depends_on,
                             const std::function<void(Task&)>& change) {
  Task& task = dag_.tasks.emplace_back();
  task.id = id;
  task.work = std::make_shared<WorkSpec>();
  for (const std::string& name : depends_on) {
    Dependency& edge = task.depends_on.emplace_back();
    while (edge.task < dag_.tasks.size() && dag_.tasks[edge.task].id != name) ++edge.task;
    CHAPPE_ASSERT(edge.task + 1 < dag_.tasks.size());
  }
  if (change) change(dag_.tasks.back());
  return *this;
}

DagPtr DagBuilder::build() {
  static std::uint64_t made = 0;
  Dag dag = dag_;
  dag.version = fmt::format("{}-{}", dag.name, ++made);
  dag.index_tasks();
  return std::make_shared<const Dag>(std::move(dag));
}

std::function<void(Task&)> process(std::uint32_t cpu_milli) {
  return [cpu_milli](Task& task) {
    WorkSpec spec = task.work == nullptr ? WorkSpec{} : *task.work;
    spec.kind = task.kind = TaskKind::kRun;
    spec.script = expr::Template::literal("true");
    spec.resources.cpu_milli = cpu_milli;
    task.work = std::make_shared<const WorkSpec>(std::move(spec));
  };
}

std::function<void(Task&)> all_of(std::vector<std::function<void(Task&)>> changes) {
  return [changes = std::move(changes)](Task& task) {
    for (const auto& change : changes) change(task);
  };
}

std::function<void(Task&)> rule(TriggerRule rule) {
  return [rule](Task& task) { task.trigger_rule = rule; };
}

}  // namespace chappe::support
