#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/processes.h"
#include "cli/state_dir.h"
#include "storage/digest/digest.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartMax{30};
constexpr std::chrono::milliseconds kLook{5};
constexpr std::uintmax_t kLogFileMax = std::uintmax_t{10} << 20;
constexpr std::size_t kRequestIdBytes = 16;
constexpr int kTriesMax = 3;

/// What the body of a request for a run holds, without the DAG.
Value run_body(const RunOptions& options, ValueMap params) {
  ValueMap body{{"params", std::move(params)},
                // Sent again after a broken connection, it is still one run.
                {"request_id", options.request_id.empty() ? random_hex(kRequestIdBytes) : options.request_id}};
  if (!options.logical_time.empty()) body.emplace_back("logical_time", options.logical_time);
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

/// A standalone Chappe for the time of one command.
class Companion {
 public:
  /// Errors: kUnavailable with the end of its log.
  static Result<std::unique_ptr<Companion>> start(const Session& session, const std::filesystem::path& state_dir,
                                                  std::uint32_t workers) {
    std::error_code failed;
    std::filesystem::create_directories(state_dir, failed);
    if (failed)
      return fail(ErrorCode::kPermissionDenied, fmt::format("make {}: {}", state_dir.string(), failed.message()));
    std::filesystem::permissions(state_dir, std::filesystem::perms::owner_all, failed);
    const std::filesystem::path log = state_dir / "standalone.log";
    if (std::filesystem::file_size(log, failed) > kLogFileMax && !failed) std::filesystem::remove(log, failed);
    std::vector<std::string> words{"standalone",         "--state-dir", state_dir.string(),
                                   "--quit-with-parent", "--workers",   std::to_string(workers)};
    if (!session.object_store.empty()) words.insert(words.end(), {"--object-store", session.object_store});
    const auto pid = spawn_self({.arguments = std::move(words), .log = log});
    if (!pid) return fail(pid.error());
    std::unique_ptr<Companion> companion(new Companion(*pid));
    if (auto ready = companion->wait_until_ready(state_dir, log); !ready) return fail(ready.error());
    return companion;
  }

  bool is_alive() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
    return pid_ > 0;
  }

  /// Two different signals: the second says not to wait for what runs.
  void hurry() const {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::kill(pid_, SIGINT);
  }

  ~Companion() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    (void)::waitpid(pid_, nullptr, 0);  // It bounds its own end.
  }

 private:
  explicit Companion(int pid) : pid_(pid) {}

  Result<void> wait_until_ready(const std::filesystem::path& state_dir, const std::filesystem::path& log) {
    const auto deadline = Clock::now() + kStartMax;
    while (!read_endpoint(state_dir)) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = 0;
        return fail(ErrorCode::kUnavailable, "the scheduler did not start: " + last_line(log));
      }
      if (Clock::now() > deadline)
        return fail(ErrorCode::kUnavailable,
                    fmt::format("the scheduler is not ready after {} s; see {}", kStartMax.count(), log.string()));
      std::this_thread::sleep_for(kLook);
    }
    return {};
  }

  static std::string last_line(const std::filesystem::path& log) {
    std::ifstream in(log);
    std::string last = "see " + log.string();
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) last = line;
    }
    return last;
  }

  int pid_;
};

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

/// A scheduler and workers for the time of one run, where nobody else serves the state directory.
class OwnServer {
 public:
  OwnServer(const Session& session, std::uint32_t workers) : session_(session), workers_(workers) {}

  /// The server there is, or one that is started now. Two commands that start at once share one; should its owner end
  /// first, the other starts its own and the run goes on.
  Result<ApiClient> find_or_start() {
    auto client = ApiClient::find(session_.server);
    if (client || client.error().code != ErrorCode::kNotFound || !session_.server.server.empty()) return client;
    const auto state_dir = find_state_dir(session_.server.state_dir);
    if (!state_dir) return fail(state_dir.error());
    companion_.reset();
    auto started = Companion::start(session_, *state_dir, workers_);
    if (!started) return fail(started.error());
    companion_ = *std::move(started);
    return ApiClient::find(session_.server);
  }

  /// Starts one where none serves, unless ours is about to bring its scheduler back.
  void revive() {
    if (companion_ == nullptr || !companion_->is_alive()) (void)find_or_start();  // Asked again while it fails.
  }

  /// Tasks that still run are killed, and tried again when somebody serves the state directory next.
  void leave_at_once() {
    if (companion_ != nullptr) companion_->hurry();
  }

 private:
  const Session& session_;
  const std::uint32_t workers_;
  std::unique_ptr<Companion> companion_;
};

}  // namespace

int follow_and_show(const Session& session, const std::string& run, const RunOptions& options) {
  return follow_and_show(session, options, {.run = run});
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
  const int code = follow_and_show(
      session, options, {.run = *run, .cancel_on_interrupt = true, .when_away = [&server] { server.revive(); }});
  const bool over = code == kOk || code == kRunFailed || code == kRunCancelled;
  if (!over) server.leave_at_once();
  return code;
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

}  // namespace chappe::cli
