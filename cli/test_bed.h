/// \file
/// A Chappe of its own for one test of a DAG: a directory, a scheduler, a worker, and an end to all of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/own_server.h"
#include "dags/loader/dag_tests.h"

namespace chappe::cli {

/// What came of a run that a test asked for.
struct TestedRun {
  Value run;          ///< As the API tells it.
  ValueList tasks;    ///< All instances.
  ValueList values;   ///< With "task_name".
  ValueList outputs;  ///< Artifacts, likewise.
  bool timed_out = false;
  std::string waits;  ///< What the unfinished tasks waited for when time was up.
};

class TestBed {
 public:
  /// Makes the directory and the files of the fixtures. `keep`: it stays.
  /// Errors: kNotFound and the like, naming the file of a fixture that cannot be read.
  static Result<std::unique_ptr<TestBed>> make(const DagFile& file, const DagTest& test, bool keep);
  ~TestBed();
  TestBed(const TestBed&) = delete;
  TestBed& operator=(const TestBed&) = delete;

  /// Publishes the assets of the fixtures, and runs the DAG with the others to its end, or for the test's `timeout`.
  /// Errors: it could not be begun; kCancelled by SIGINT or SIGTERM (see interrupted()).
  Result<TestedRun> run();

  /// The bytes of an object. Errors: as the store says; kInvalidInput: more than kContentMax.
  Result<std::string> read_object(const std::string& key) const;
  /// The last lines that the task wrote; "" where there are none.
  std::string end_of_log(const std::string& task);
  /// The signal that ended run(); 0: none.
  int interrupted() const { return interrupted_; }
  const std::filesystem::path& directory() const { return directory_; }

  static constexpr std::size_t kContentMax = std::size_t{64} << 20;

 private:
  TestBed(const DagFile& file, const DagTest& test, std::filesystem::path directory, bool keep);
  Result<void> lay_out();
  Result<void> lay_out(const TestContent& content, const std::string& path);
  Result<void> publish_assets(ApiClient& client);
  Result<std::string> submit(ApiClient& client, const std::string& text, const ValueMap& params);
  Result<Value> wait_for_end(ApiClient& client, const std::string& run, std::chrono::steady_clock::time_point deadline);
  Result<void> read_results(ApiClient& client, const std::string& run, TestedRun& out);

  const DagFile& file_;
  const DagTest& test_;
  std::filesystem::path directory_;
  bool keep_;
  FixtureFiles files_;
  Session session_;
  std::unique_ptr<OwnServer> server_;
  std::string run_id_;
  int interrupted_ = 0;
};

/// From here on this process and all it starts know no settings but their own: what is in the environment or in a
/// configuration file is of daemons that a test must not meet. What containers need stays.
void forget_settings();

}  // namespace chappe::cli
