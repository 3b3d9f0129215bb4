// The law over datasets outside: what a task declares is recorded with its success, once, and with nothing else.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/laws.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

bool succeeds(const TaskChange& change) {
  return change.row.state == TaskState::kSuccess && holds_attempt(change.expect_state);
}

/// A story's URIs are literal.
std::vector<DatasetRow> declared(const Task& task, const TaskRow& row) {
  std::vector<DatasetRow> out;
  if (task.lineage == nullptr) return out;
  for (const expr::Template& uri : task.lineage->inputs) out.push_back({row.key, row.attempt, false, uri.text()});
  for (const expr::Template& uri : task.lineage->outputs) out.push_back({row.key, row.attempt, true, uri.text()});
  return out;
}

}  // namespace

void Laws::check_datasets(const Persist& persist) {
  std::size_t expected = 0;
  for (const TaskChange& change : persist.tasks) {
    if (!succeeds(change)) continue;
    for (const DatasetRow& row : declared(task_of(runs_.at(change.row.key.run), change.row.key), change.row)) {
      ++expected;
      if (std::count(persist.datasets.begin(), persist.datasets.end(), row) == 1) continue;
      broken(Law::kLineage, fmt::format("{} succeeds, and that it uses {} is not recorded", name(row.key), row.uri));
    }
  }
  if (persist.datasets.size() != expected)
    broken(Law::kLineage, "datasets are recorded that nothing in the commit used");
  if (expected > 0) world_.saw(Sight::kDatasetDeclared);
}

/// What an attempt that won has read by `s3` is recorded with its end, just as it says.
void Laws::check_reads(const Persist& persist) {
  for (const TaskChange& change : persist.tasks) {
    const bool won = change.row.state == TaskState::kSuccess || change.row.state == TaskState::kCommitting;
    const bool wins = won && holds_attempt(change.expect_state) && change.expect_state != TaskState::kCommitting;
    const auto truth = truth_.find(change.row.attempt);
    if (!wins || truth == truth_.end() || truth->second.reason != Reason::kNone) continue;
    for (const InputObject& read : truth->second.read) {
      world_.saw(Sight::kObjectRead);
      const auto same = [&](const InputRow& row) {
        return row.attempt == change.row.attempt && row.object.name == read.name && row.object.s3 == read.s3 &&
               row.object.sha256 == read.sha256;
      };
      if (std::count_if(persist.inputs.begin(), persist.inputs.end(), same) == 1) continue;
      broken(Law::kLineage,
             fmt::format("{} succeeds, and what it read of {} is not recorded", name(change.row.key), read.s3));
    }
  }
}

}  // namespace chappe::simulation
