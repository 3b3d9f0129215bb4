#include "scheduler/api/run_views.h"

#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/loader.h"
#include "proto/json/json.h"
#include "scheduler/quarantine/quarantine.h"
#include "storage/digest/digest.h"

namespace chappe::api {
namespace {

Result<DagPtr> load_version(MetaReader& reader, const std::string& version) {
  const auto row = reader.dag_version(version);
  if (!row) return fail(row.error());
  const std::string hash = to_hex(sha256(row->source));
  if (quarantine::is_left_alone(quarantine::Kind::kText, hash)) {
    return fail(ErrorCode::kConflict, fmt::format("DAG version {} is {}", version, quarantine::complaint()));
  }
  const quarantine::Hold hold(quarantine::Kind::kText, hash);
  LoadedDag loaded = load_dag(row->source, row->dag);
  if (loaded.dag != nullptr) return loaded.dag;
  return fail(ErrorCode::kCorrupt, fmt::format("DAG version {} does not load any more: {}", version,
                                               loaded.diagnostics.empty() ? "" : loaded.diagnostics.front().text()));
}

bool fans_out_late(const Dag& dag) {
  return std::any_of(dag.tasks.begin(), dag.tasks.end(),
                     [](const Task& task) { return task.foreach && task.foreach->late; });
}

}  // namespace

Result<DagPtr> RunViews::dag(MetaReader& reader, const std::string& version) {
  {
    const std::scoped_lock lock(mutex_);
    if (DagPtr known = dags_.find(version)) return known;
  }
  auto dag = load_version(reader, version);  // Outside the lock: it reads, and may take a moment.
  if (!dag) return dag;
  const std::scoped_lock lock(mutex_);
  dags_.keep(version, *dag);
  return dag;
}

Result<InstancesPtr> RunViews::instances(MetaReader& reader, const RunRow& run) {
  const auto run_dag = dag(reader, run.dag_version);
  if (!run_dag) return fail(run_dag.error());
  std::string name = run.dag_version + run.params_json;
  if (fans_out_late(**run_dag)) {  // Then it has more instances as it goes on, and others than its like.
    name = fmt::format("{}:{}:{}", run.seq.value, run.generation, run.instances);
  }
  {
    const std::scoped_lock lock(mutex_);
    if (InstancesPtr known = instances_.find(name)) return known;
  }
  const auto params = parse_json(run.params_json);
  if (!params || params->as_map() == nullptr)
    return fail(ErrorCode::kCorrupt, "the run's parameters are no JSON object");
  auto expanded = Instances::expand(*run_dag, *params->as_map());
  if (!expanded) return fail(ErrorCode::kCorrupt, "expand the run's tasks: " + expanded.error().message);
  const auto fan_outs = reader.fan_outs(run.seq);
  if (!fan_outs) return fail(fan_outs.error());
  for (const FanOutRow& row : *fan_outs) {
    const auto given = expanded->fan_out(row.task, row.items, *params);
    if (!given) return fail(ErrorCode::kCorrupt, "expand the run's tasks: " + given.error().message);
  }
  auto view = std::make_shared<const Instances>(*std::move(expanded));
  const std::scoped_lock lock(mutex_);
  instances_.keep(name, view);
  return view;
}

}  // namespace chappe::api
