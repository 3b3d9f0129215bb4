/// \file
/// What the targets of the API run on: stores that hold a little of everything, and a scheduler that says yes.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dags/loader/loader.h"
#include "engine/base/assert.h"
#include "scheduler/api/backend.h"
#include "scheduler/api/log_hub.h"
#include "storage/local/local_object_store.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe::fuzz {

inline constexpr WallTime kSomeDay{1'790'000'000'000'000};
inline constexpr AttemptId kAttempt{7};
inline constexpr std::string_view kDag =
    "name: d\nparams: {p: {type: string, pattern: '^a'}, s: {type: string, secret: true}}\n"
    "tasks:\n  - {id: a, run: 'true'}\n  - {id: b, noop: true, foreach: {items: [x, é]}}\n";

/// Says yes to everything.
class Yes : public api::Backend {
 public:
  Yes(std::filesystem::path database, ObjectStore& objects) : database_(std::move(database)), objects_(objects) {}
  void request(Event, Done done) override { done(Value(ValueMap{{"state", "running"}})); }
  void explain(const RunId& run, std::string task, std::size_t, Done done) override {
    done(Value(ValueMap{{"run", run.text()}, {"task", task}}));
  }
  void workers(Done done) override { done(Value(ValueMap{{"workers", ValueList{}}})); }
  void questions(std::size_t, Done done) override { done(Value(ValueMap{{"items", ValueList{}}})); }
  Result<std::unique_ptr<MetaReader>> open_reader() override { return SqliteMetaStore::open_reader(database_); }
  ObjectStore& objects() override { return objects_; }
  metrics::Registry& metrics() override { return metrics_; }
  RunId new_run_id() override { return RunId::make(kSomeDay, {}); }

 private:
  std::filesystem::path database_;
  ObjectStore& objects_;
  metrics::Registry metrics_;
};

inline Persist some_history(const Dag& dag) {
  const RunRow run{.seq = {1},
                   .id = RunId::make(kSomeDay, {1}),
                   .dag = dag.name,
                   .dag_version = dag.version,
                   .params_json = R"({"p":"a"})",
                   .trigger = "manual",
                   .request_id = "r",
                   .state = RunState::kRunning,
                   .instances = 3,
                   .created_at = kSomeDay};
  TaskRow task{
      .key = {run.seq, 0}, .state = TaskState::kRunning, .attempt = kAttempt, .attempt_no = 1, .queued_at = kSomeDay};
  const AssetVersion version{.id = {1},
                             .uri = "u/x",
                             .name = "m",
                             .key = "k",
                             .sha256 = std::string(64, '0'),
                             .producer = task.key,
                             .attempt = kAttempt,
                             .artifact = "o",
                             .created_at = kSomeDay,
                             .published_at = kSomeDay};
  Persist changes;
  changes.dag_versions.push_back({dag.version, dag.name, std::string(kDag), kSomeDay});
  changes.runs.push_back(run);
  changes.tasks.push_back({.row = task});
  changes.asset_versions.push_back(version);
  changes.aliases.push_back({.model = "m", .alias = "best", .version = {1}, .by = "x", .at = kSomeDay});
  return changes;
}

/// Made once; left behind in the system's temporary directory only where the process is killed.
class Stores {
 public:
  Stores() {
    std::string name = (std::filesystem::temp_directory_path() / "chappe-fuzz-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    store_ = *SqliteMetaStore::open(directory_ / "db");
    objects_ = *open_local_object_store((directory_ / "objects").string());
    CHAPPE_ASSERT(store_->commit(some_history(*load_dag(kDag, "d").dag)));
    backend_.emplace(directory_ / "db", *objects_);
    logs.append(kAttempt, 0, "hello\n", WallTime{1});
    logs.finish(kAttempt);
  }
  ~Stores() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  Stores(const Stores&) = delete;
  Stores& operator=(const Stores&) = delete;

  Yes& backend() { return *backend_; }
  api::LogHub logs;

 private:
  std::filesystem::path directory_;
  std::unique_ptr<SqliteMetaStore> store_;
  std::unique_ptr<ObjectStore> objects_;
  std::optional<Yes> backend_;
};

}  // namespace chappe::fuzz
