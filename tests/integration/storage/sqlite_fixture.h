/// \file
/// A metadata store in a directory of its own, and rows with every field set.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "storage/sqlite/connection.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe {

class SqliteStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = root + "chappe-sqlite-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    path = directory / "chappe.db";
  }
  void TearDown() override {
    store.reset();
    std::filesystem::remove_all(directory);
  }

  void open(const SqliteOptions& options = {}) {
    store.reset();
    auto opened = SqliteMetaStore::open(path, options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  void commit(const Persist& changes) {
    const auto done = store->commit(changes);
    ASSERT_TRUE(done) << done.error().message;
  }
  StoredState load() {
    auto state = store->load();
    EXPECT_TRUE(state) << state.error().message;
    return state ? *state : StoredState{};
  }
  std::unique_ptr<MetaReader> reader() {
    auto opened = SqliteMetaStore::open_reader(path);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  /// The first column of the first row, as text, by a connection of the test's own.
  std::string ask(const std::string& sql) const {
    sqlite::Connection connection(path, SQLITE_OPEN_READWRITE);
    sqlite::Statement statement(connection, sql);
    return statement.query().step() ? statement.next<std::string>() : "";
  }

  std::string root = testing::TempDir();
  std::filesystem::path directory;
  std::filesystem::path path;
  std::unique_ptr<SqliteMetaStore> store;
};

inline RunId run_id(std::uint8_t n) { return RunId::make({1'700'000'000'000'000 + n * 1'000'000'000LL}, {n}); }

inline DagVersionRow some_dag(std::string version = "v1") {
  return {.version = std::move(version), .dag = "nightly", .source = "name: nightly\n", .created_at = {1'000'001}};
}

inline RunRow some_run(std::uint32_t seq = 1) {
  RunRow run{.seq = {seq}, .id = run_id(static_cast<std::uint8_t>(seq)), .dag = "nightly", .dag_version = "v1"};
  run.params_json = R"({"year":2026})";
  run.trigger = "manual";
  run.requested_by = "anna";
  run.logical_time = {11};
  run.interval_start = {12};
  run.interval_end = {13};
  run.state = RunState::kRunning;
  run.instances = 10;
  run.created_at = {14};
  run.started_at = {15};
  run.rerun_of = {16};
  run.late_at = {17};
  run.group = "site_'north'";
  run.outputs = ValueMap{{"values", ValueMap{{"auc", 0.5}}}};
  return run;
}

inline AttemptEnd some_end() {
  return {.reason = Reason::kExitCode,
          .exit_code = -3,
          .started_at = {31},
          .ended_at = {32},
          .usage = {.cpu_us = 33, .peak_memory_bytes = std::uint64_t{1} << 40, .bytes_in = 35, .bytes_out = 36},
          .message = "exit code 3: caf\xc3\xa9 'quoted'",
          .image = "localhost/tools@sha256:0123"};
}

inline TaskRow some_task(std::uint32_t index = 0, std::uint32_t run = 1) {
  return {.key = {{run}, index},
          .state = TaskState::kQueued,
          .attempt = {0x100000001ULL + index},
          .attempt_no = 1,
          .worker = {1},
          .ready_at = {21},
          .queued_at = {22}};
}

inline TaskChange insertion(TaskRow row) { return {.row = std::move(row)}; }
inline TaskChange change(const TaskRow& from, TaskRow to) {
  return {.row = std::move(to), .expect_row = true, .expect_state = from.state, .expect_attempt = from.attempt};
}

inline AssetVersion some_version(std::uint64_t id, std::string uri = "s3://b/model") {
  return {.id = {id},
          .uri = std::move(uri),
          .name = "model",
          .key = "runs/k" + std::to_string(id),
          .size = 41,
          .sha256 = std::string(64, 'a'),
          .packed = true,
          .producer = {{1}, 2},
          .attempt = {0x100000003ULL},
          .artifact = "model",
          .created_at = {42}};
}

/// Changes that name a DAG version and a run, as almost every test begins.
inline Persist first_changes(std::uint32_t runs = 1) {
  Persist changes{.dag_versions = {some_dag()}};
  for (std::uint32_t seq = 1; seq <= runs; ++seq) changes.runs.push_back(some_run(seq));
  return changes;
}

}  // namespace chappe
