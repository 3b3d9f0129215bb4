/// \file
/// The commands. Each returns an exit code, writes data to stdout and messages to stderr.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/api_client.h"
#include "cli/list_options.h"
#include "cli/output.h"

namespace chappe::cli {

/// What every command is handed.
struct Session {
  ServerChoice server;
  std::string object_store;  ///< Of a state directory without a scheduler; "": its own.
  Output output;
};

/// Runs `command` with the server that serves the state directory or was named; reading goes to the files themselves
/// where there is none, and kOwn starts one for the time of `command`. Returns its exit code, or one for the error that
/// kept it from starting.
enum class Need : std::uint8_t { kScheduler, kOwn, kReading };
int with_server(const Session& session, Need need, const std::function<int(ApiClient&)>& command);

/// How a run is asked for and waited for.
struct RunOptions {
  std::string target;  ///< A file, or the name of a DAG.
  std::vector<std::string> params;
  std::string params_file;
  std::string logical_time;
  bool no_cache = false;
  std::string request_id;
  std::string timeout;
  bool wait = false;
  std::uint32_t workers = 1;
};

// check.cc
int validate_files(const Session& session, const std::vector<std::string>& files);
int print_schema();

// plan.cc
/// Of `options`: target, parameters and logical time.
int plan_file(const Session& session, const RunOptions& options);

// test_dag.cc
struct TestOptions {
  std::vector<std::string> paths;  ///< Files, and folders of files.
  std::string test;                ///< Only tests with this in their names.
  std::string junit;               ///< Where to write a report as JUnit's XML; "": nowhere.
  bool keep = false;               ///< What each test ran in stays.
};
/// Runs the tests that DAG files hold. Exit code 3 where one fails.
int test_files(const Session& session, const TestOptions& options);

// import.cc
/// An Argo Workflow as a DAG file, on stdout or in `output`; what did not carry over on stderr. `processes`: its tasks
/// run without containers.
int import_argo_file(const std::string& file, const std::string& output, bool processes);

// cron.cc
struct CronOptions {
  std::string expression;
  std::string timezone = "UTC";
  std::string from;
  std::uint32_t count = 10;
  std::string dst;
};
/// The next times of a cron expression, one a line.
int show_cron(const Session& session, const CronOptions& options);

// deploy.cc
/// `paths`: files, and folders of files.
int deploy_files(const Session& session, const std::vector<std::string>& paths);
int pause_dag(const Session& session, const std::string& dag, bool paused);
int undeploy_dag(const Session& session, const std::string& dag);

// states.cc
struct StateOptions {
  std::string dag;
  std::string namespace_name;
  std::string name;
  std::string value;
  std::int64_t expect_version = -1;  ///< Below 0: whatever stands there.
};
int list_states(const Session& session, const StateOptions& options);
int show_state(const Session& session, const StateOptions& options);
int set_state(const Session& session, const StateOptions& options);

// webhooks.cc
/// With their secrets.
int list_webhooks(const Session& session, const std::string& dag);

// show_dags.cc
int list_dags(const Session& session);

// start_run.cc
int run_file(const Session& session, const RunOptions& options);
int submit_file(const Session& session, const RunOptions& options);
int trigger_dag(const Session& session, const RunOptions& options);
/// Where nobody serves the state directory, these serve it themselves, until the run is over.
int cancel_run(const Session& session, const std::string& run);
struct RetryOptions {
  std::string run;
  std::vector<std::string> tasks;
  bool upstream = false;
  bool downstream = false;
  bool only_failed = false;
};
int retry_run(const Session& session, const RetryOptions& retry, const RunOptions& options);
int mark_task(const Session& session, const std::string& run, const std::string& task, const std::string& state,
              const RunOptions& options);
/// `version`: "" for that of the run, "latest", or a hash.
int rerun(const Session& session, const std::string& run, const std::string& version, const RunOptions& options);
/// Follows a run to its end and shows what came of it.
int follow_and_show(const Session& session, const std::string& run, const RunOptions& options);

// backfill.cc
struct BackfillOptions {
  std::string dag;
  std::string from;
  std::string to;
  std::string reprocess = "none";
  std::string order = "oldest";
  std::vector<std::string> tasks;
  std::vector<std::string> params;
  std::string params_file;
  std::uint32_t max_active = 1;
  std::uint32_t id = 0;
  bool dry_run = false;
};
int create_backfill(const Session& session, const BackfillOptions& options);
int list_backfills(const Session& session, const BackfillOptions& options);
int show_backfill(const Session& session, std::uint32_t id);
/// `verb`: "pause", "resume" or "cancel".
int change_backfill(const Session& session, std::uint32_t id, const std::string& verb);

// show_runs.cc
struct ListOptions {
  std::string dag;
  std::string state;
  std::uint32_t backfill = 0;
  PageOptions page;
};
int list_runs(const Session& session, const ListOptions& options);
int show_run(const Session& session, const std::string& run, const std::string& task, bool all);
int explain_run(const Session& session, const std::string& run, const std::string& task);
struct LogOptions {
  bool follow = false;
  bool timestamps = false;
  std::optional<std::uint32_t> tail;  ///< Lines.
  std::string since;                  ///< A duration, or a time; "": from the beginning.
};
int show_log(const Session& session, const std::string& run, const std::string& task, const std::string& attempt,
             const LogOptions& options);
/// What a run left behind, on stdout: result, assets, values, and what to do next. `client` may be any server.
int show_result(ApiClient& client, const std::string& run, const Output& output);

// people.cc
int list_questions(const Session& session);
/// `state`: "" for all.
int list_notifications(const Session& session, const std::string& state);
/// `answers`: FIELD=VALUE; a value is read as the field's type says.
int answer_question(const Session& session, const std::string& run, const std::string& task,
                    const std::vector<std::string>& answers);

// show_assets.cc
struct AliasOptions {
  std::string alias;  ///< "", "MODEL" or "MODEL@ALIAS".
  std::string move_to;
  bool remove = false;
};
int list_assets(const Session& session, const std::string& asset, bool all_versions, const PageOptions& options);
int show_lineage(const Session& session, const std::string& asset, const std::string& direction, std::uint32_t depth);
int show_aliases(const Session& session, const AliasOptions& options);
int list_workers(const Session& session);

// access.cc
struct TokenOptions {
  std::string name;
  std::string role = "viewer";
  std::string expires = "90d";
};
int create_token(const Session& session, const TokenOptions& options);
int list_tokens(const Session& session);
int revoke_token(const Session& session, const std::string& name);
/// A pair of CURVE keys for one more worker; prints its line for `authorized_workers`.
int make_worker_key(const std::string& name, const std::string& directory);
int show_audit(const Session& session, const PageOptions& options);
/// Exit code 1 where a row of the audit log is not as it was written.
int verify_audit(const Session& session);

}  // namespace chappe::cli
