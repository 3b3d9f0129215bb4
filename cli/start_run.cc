#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/own_server.h"
#include "storage/digest/digest.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kRequestIdBytes = 16;
constexpr int kTriesMax = 3;

/// What the body of a request for a run holds, without the DAG.
Value run_body(const RunOptions& options, ValueMap params) {
  ValueMap body{{"params", std::move(params)},
                // Sent again after a broken connection, it is still one run.
                {"request_id", options.request_id.empty() ? random_hex(kRequestIdBytes) : options.request_id}};
  if (!options.logical_time.empty()) body.emplace_back("logical_time", options.logical_time);
  if (options.no_cache) body.emplace_back("no_cache", true);
  return body;
}

/// Asks for a run; a broken connection or a busy server is tried again, which the request id makes safe.
Result<Value> ask_for_run(ApiClient& client, const std::string& path, const Value& body) {
  for (int attempt = 1;; ++attempt) {
    auto answer = client.send("POST", path, body);
    if (answer || answer.error().code != ErrorCode::kUnavailable || attempt == kTriesMax) return answer;
    std::this_thread::sleep_for(std::chrono::milliseconds(200 * attempt));
  }
}

int say_refused(const ApiClient& client, const Error& error) {
  for (const Value& one : list_of(client.problem(), "diagnostics"))
    fmt::print(stderr, "{}\n", printable(text_of(one, "text")));
  return complain(error);
}

/// All users of a machine can read the command lines of all.
void warn_of_secrets_in_sight(const Dag& dag, const std::vector<std::string>& given) {
  for (const ParamSpec& spec : dag.params) {
    const auto names = [&](const std::string& param) { return param.starts_with(spec.name + "="); };
    if (spec.secret && std::any_of(given.begin(), given.end(), names)) {
      fmt::print(stderr, "chappe: warning: '{}' is secret, and others can read command lines: use --params-file\n",
                 spec.name);
    }
  }
}

/// A file that is checked, with the parameters it will run with. Returns an exit code where it cannot run.
struct Ready {
  DagFile file;
  ValueMap params;
};
std::variant<Ready, int> make_ready(const Session& session, const RunOptions& options) {
  auto file = load_dag_file(options.target);
  if (!file) return complain(file.error().message, kUsage);
  show_diagnostics(file->diagnostics, session.output);
  if (file->dag == nullptr) return kUsage;
  warn_of_secrets_in_sight(*file->dag, options.params);
  auto params = read_params(file->dag.get(), options.params_file, options.params);
  if (!params) return complain(params.error());
  return Ready{*std::move(file), *std::move(params)};
}

Result<std::string> submit(ApiClient& client, const Ready& ready, const RunOptions& options) {
  Value body = run_body(options, ready.params);
  body.as_map()->emplace_back("dag_yaml", ready.file.text);
  body.as_map()->emplace_back("file", ready.file.file);
  const auto answer = ask_for_run(client, "/runs", body);
  if (!answer) return fail(answer.error());
  return text_of(*answer, "id");
}

Result<std::optional<Duration>> parse_timeout(const std::string& text) {
  if (text.empty()) return std::optional<Duration>();
  auto duration = parse_duration(text);
  if (!duration) return fail(std::move(duration.error()).in("--timeout"));
  return std::optional<Duration>(*duration);
}

int tell_submitted(const Session& session, const Value& answer) {
  if (session.output.json) {
    print_json(answer);
  } else {
    print(text_of(answer, "id") + "\n");
  }
  return kOk;
}

int follow_and_show(const Session& session, const RunOptions& options, FollowOptions follow) {
  const auto timeout = parse_timeout(options.timeout);
  if (!timeout) return complain(timeout.error());
  follow.timeout = *timeout;
  follow.find_server = [server = session.server] { return ApiClient::find(server); };
  block_interrupts();
  const Followed followed = follow_run(follow, session.output);
  const bool ended = followed.code == kOk || followed.code == kRunFailed || followed.code == kRunCancelled;
  if (!ended) return followed.code;
  auto client = ApiClient::find(session.server);
  if (!client) return complain(client.error());
  const int shown = show_result(*client, follow.run, session.output);
  return followed.code == kOk ? shown : followed.code;
}

/// Follows a run for which `server` was started, or may have to be. Ctrl-C cancels it.
int follow_with(OwnServer& server, const Session& session, const std::string& run, const RunOptions& options) {
  const int code = follow_and_show(
      session, options, {.run = run, .cancel_on_interrupt = true, .when_away = [&server] { server.revive(); }});
  if (code == kTimedOut) {
    fmt::print(
        stderr, "{}\n",
        server.is_ours()
            ? fmt::format("Its scheduler ends with this command: it rests until the next 'chappe run' or 'chappe "
                          "standalone'. To stop it: chappe cancel {}",
                          run)
            : fmt::format("Go on with: chappe show {}", run));
  }
  const bool over = code == kOk || code == kRunFailed || code == kRunCancelled;
  if (!over) server.leave_at_once();
  return code;
}

void tell_change(const Session& session, const Value& answer, const std::string& text) {
  if (session.output.json) {
    print_json(answer);
  } else {
    print(text + "\n");
  }
}

/// Asks for something that lets a run go on, and follows it where nobody else carries it on.
int let_go_on(const Session& session, const std::string& path, const ValueMap& body, const RunOptions& options,
              const std::function<std::string(const Value&)>& told) {
  block_interrupts();
  OwnServer server(session, options.workers);
  auto client = server.find_or_start();
  if (!client) return complain(client.error());
  const auto answer = client->send("POST", path, body);
  if (!answer) return complain(answer.error());
  const std::string id = text_of(*answer, "run");
  if (server.is_ours()) return follow_with(server, session, id, options);
  if (options.wait) return follow_and_show(session, id, options);
  tell_change(session, *answer, told(*answer));
  return kOk;
}

}  // namespace

int follow_and_show(const Session& session, const std::string& run, const RunOptions& options) {
  const int code = follow_and_show(session, options, {.run = run});
  if (code == kTimedOut) fmt::print(stderr, "Go on with: chappe show {}\n", run);
  return code;
}

int run_file(const Session& session, const RunOptions& options) {
  auto made = make_ready(session, options);
  if (const int* code = std::get_if<int>(&made)) return *code;
  const Ready& ready = std::get<Ready>(made);
  // From here on Ctrl-C is taken where the run can be cancelled in good order.
  block_interrupts();
  OwnServer server(session, options.workers);
  auto client = server.find_or_start();
  if (!client) return complain(client.error());
  const auto run = submit(*client, ready, options);
  if (!run) return say_refused(*client, run.error());
  return follow_with(server, session, *run, options);
}

int submit_file(const Session& session, const RunOptions& options) {
  auto made = make_ready(session, options);
  if (const int* code = std::get_if<int>(&made)) return *code;
  const Ready& ready = std::get<Ready>(made);
  std::string run;
  const int code = with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto id = submit(client, ready, options);
    if (!id) return say_refused(client, id.error());
    run = *id;
    return options.wait ? int{kOk} : tell_submitted(session, ValueMap{{"id", run}});
  });
  return code != kOk || !options.wait ? code : follow_and_show(session, run, options);
}

int trigger_dag(const Session& session, const RunOptions& options) {
  std::string run;
  const int code = with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto known = client.get("/dags/" + segment(options.target));
    if (!known) return complain(known.error());
    const LoadedDag loaded = load_dag(text_of(*known, "source"), options.target);
    const auto params = read_params(loaded.dag.get(), options.params_file, options.params);
    if (!params) return complain(params.error());
    const auto answer = ask_for_run(client, "/dags/" + segment(options.target) + "/runs", run_body(options, *params));
    if (!answer) return say_refused(client, answer.error());
    run = text_of(*answer, "id");
    return options.wait ? int{kOk} : tell_submitted(session, *answer);
  });
  return code != kOk || !options.wait ? code : follow_and_show(session, run, options);
}

int retry_run(const Session& session, const RetryOptions& retry, const RunOptions& options) {
  ValueMap body;
  if (!retry.tasks.empty()) body.emplace_back("tasks", ValueList(retry.tasks.begin(), retry.tasks.end()));
  if (retry.upstream) body.emplace_back("upstream", true);
  if (retry.downstream) body.emplace_back("downstream", true);
  if (retry.only_failed) body.emplace_back("only_failed", true);
  return let_go_on(session, "/runs/" + segment(retry.run) + "/retry", body, options, [](const Value& answer) {
    return fmt::format("run {} goes on: {} task instances run again", text_of(answer, "run"),
                       text_of(answer, "instances"));
  });
}

int mark_task(const Session& session, const std::string& run, const std::string& task, const std::string& state,
              const RunOptions& options) {
  const std::string path = "/runs/" + segment(run) + "/tasks/" + segment(task) + "/mark";
  return let_go_on(session, path, {{"state", state}}, options, [](const Value& answer) {
    return fmt::format("{} of run {} is {}, it was {}", printable(text_of(answer, "task")), text_of(answer, "run"),
                       text_of(answer, "state"), text_of(answer, "before"));
  });
}

int rerun(const Session& session, const std::string& run, const std::string& version, const RunOptions& options) {
  std::string id;
  const int code = with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto first = client.get("/runs/" + segment(run));
    if (!first) return complain(first.error());
    std::string dag = "/dags/" + segment(text_of(*first, "dag"));
    if (version != "latest") dag += "?version=" + segment(version.empty() ? text_of(*first, "dag_version") : version);
    const auto known = client.get(dag);
    if (!known) return complain(known.error());
    const LoadedDag loaded = load_dag(text_of(*known, "source"), text_of(*first, "dag"));
    const auto params = read_params(loaded.dag.get(), options.params_file, options.params, false);
    if (!params) return complain(params.error());
    Value body = run_body(options, *params);
    if (!version.empty()) body.as_map()->emplace_back("version", version);
    const auto answer = ask_for_run(client, "/runs/" + segment(run) + "/rerun", body);
    if (!answer) return say_refused(client, answer.error());
    id = text_of(*answer, "id");
    return options.wait ? int{kOk} : tell_submitted(session, *answer);
  });
  return code != kOk || !options.wait ? code : follow_and_show(session, id, options);
}

int cancel_run(const Session& session, const std::string& run) {
  block_interrupts();
  OwnServer server(session, 1);
  auto client = server.find_or_start();
  if (!client) return complain(client.error());
  const auto answer = client->send("POST", "/runs/" + segment(run) + "/cancel", ValueMap{});
  if (!answer) return complain(answer.error());
  const std::string id = text_of(*answer, "run");
  if (!server.is_ours()) {
    tell_change(session, *answer, fmt::format("run {} is being cancelled", id));
    return kOk;
  }
  const Followed followed = follow_run({.run = id,
                                        .when_away = [&server] { server.revive(); },
                                        .find_server = [choice = session.server] { return ApiClient::find(choice); }},
                                       session.output);
  server.leave_at_once();  // Other runs that went on meanwhile rest again.
  if (followed.code != kRunCancelled) return followed.code;
  tell_change(session, *answer, fmt::format("run {} is cancelled", id));
  return kOk;
}

}  // namespace chappe::cli
