#include "scheduler/api/stored_run.h"

#include <utility>

#include "dags/loader/loader.h"
#include "proto/json/json.h"

namespace chappe {

Result<void> complete_stored_run(StoredRun& run) {
  LoadedDag loaded = load_dag(run.dag_source, run.row.dag);
  if (loaded.dag == nullptr) {
    return fail(ErrorCode::kCorrupt,
                loaded.diagnostics.empty() ? "its DAG does not load" : loaded.diagnostics[0].text());
  }
  auto params = parse_json(run.row.params_json);
  if (!params || params->as_map() == nullptr) return fail(ErrorCode::kCorrupt, "its parameters are not a JSON object");
  run.dag = std::move(loaded.dag);
  run.params = std::move(*params);
  return {};
}

}  // namespace chappe
