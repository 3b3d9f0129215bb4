// The whole worker as a process of its own, told what to do by a scripted scheduler over real sockets.
#include "worker/app/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "proto/transport/keys.h"
#include "proto/transport/worker_port.h"
#include "storage/local/local_object_store.h"
#include "worker/app/work_directory.h"
#include "worker/exec/fence.h"

namespace chappe {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr Duration kPatience = 60s;

ResolvedWork command(std::vector<std::string> argv) {
  ResolvedWork work;
  work.kind = TaskKind::kRun;
  work.command = std::move(argv);
  work.kill_grace = 5s;
  return work;
}

ResolvedWork script(std::string text) {
  ResolvedWork work = command({});
  work.script = std::move(text);
  return work;
}

/// Starts a worker process and plays the scheduler for it.
class Desk {
 public:
  explicit Desk(Duration lease = 60s) : lease_(lease) {
    std::string pattern = (std::filesystem::temp_directory_path() / "chappe-worker-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    server_ = *transport::load_or_make_keys(root_, "server");
    worker_keys_ = *transport::load_or_make_keys(root_, "worker");
    start_worker();
    // Threads only after the fork: the worker must begin without any.
    store_ = *open_local_object_store((root_ / "store").string());
    open_port();
    context_ = std::make_shared<RunContext>();
    context_->seq = {1};
    context_->id.bytes[15] = 7;
    context_->dag = "d";
    context_->params_json = R"({"size":3})";
    context_->logical_time = *parse_iso8601("2026-11-20T00:00:00Z");
  }

  ~Desk() {
    if (worker_ > 0) {
      ::kill(worker_, SIGKILL);
      ::waitpid(worker_, nullptr, 0);
    }
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }

  void start_worker() {
    WorkerConfig config;
    config.scheduler = endpoint();
    config.server_key = server_.public_key;
    config.key_file = root_ / "worker.key";
    config.name = "w1";
    config.work_dir = root_ / "work";
    config.object_store = (root_ / "store").string();
    config.cpu_milli = 2000;
    worker_ = ::fork();
    if (worker_ == 0) ::_exit(run_worker(config));
  }
  std::string endpoint() const { return "ipc://" + (root_ / "link").string(); }
  void open_port() {
    port_.reset();
    transport::WorkerPortConfig config;
    config.endpoint = endpoint();
    config.keys = server_;
    config.authorized = {worker_keys_.public_key};
    port_ = *transport::WorkerPort::bind(config);
    connection_ = {};
  }
  /// The scheduler is gone for a while, or comes back with another memory.
  void close_port() { port_.reset(); }

  /// Reads until `condition` holds. Answers hellos and heartbeats, and acknowledges results, as the engine would.
  bool until(const std::function<bool()>& condition) {
    const MonoTime deadline = exec::boot_time() + kPatience;
    while (!condition() && exec::boot_time() < deadline) {
      pollfd fd{port_->fd(), POLLIN, 0};
      (void)::poll(&fd, 1, 5);
      wire::WorkerSays says;
      while (port_->receive(says, 100) > 0) continue;
      for (const Event& event : says.events) std::visit([this](const auto& each) { on(each); }, event);
      for (const wire::LogChunk& chunk : says.logs) take_log(chunk);
    }
    return condition();
  }
  bool until_joined() {
    return until([this] { return static_cast<bool>(connection_); });
  }

  AttemptId assign(const ResolvedWork& work, std::uint16_t attempt_no = 1) {
    return assign_many(work, 1, attempt_no).front();
  }
  /// In one message.
  std::vector<AttemptId> assign_many(const ResolvedWork& work, std::size_t count, std::uint16_t attempt_no = 1) {
    EXPECT_TRUE(until_joined()) << "no hello came";
    WorkerSend message;
    std::vector<AttemptId> attempts;
    const auto shared = std::make_shared<const ResolvedWork>(work);
    for (std::size_t i = 0; i < count; ++i) {
      attempts.push_back({++last_attempt_});
      message.assign.push_back({attempts.back(),
                                {{1}, static_cast<std::uint32_t>(last_attempt_)},
                                attempt_no,
                                "t",
                                "k",
                                R"({"a":1})",
                                context_,
                                shared});
    }
    send(message);
    return attempts;
  }
  void send(WorkerSend send) {
    send.to = connection_;
    send.batch = ++batch_;
    port_->send(send);
  }
  void cancel(AttemptId attempt, bool forget = false) {
    WorkerSend message;
    message.cancel = {{{{{1}, static_cast<std::uint32_t>(attempt.value)}, attempt}, forget, Reason::kCancelled}};
    send(message);
  }

  AttemptFinished result_of(AttemptId attempt) {
    EXPECT_TRUE(until([&] { return results.contains(attempt); })) << "attempt " << to_text(attempt) << " has not ended";
    return results[attempt];
  }
  AttemptFinished run(const ResolvedWork& work) { return result_of(assign(work)); }
  bool until_log(AttemptId attempt, const std::string& text) {
    return until([&] { return logs[attempt].find(text) != std::string::npos; });
  }

  std::string prefix(AttemptId attempt) const { return attempt_prefix("d", context_->id, "t", "k", attempt); }
  std::optional<std::string> object(const std::string& key) const {
    std::string text;
    const auto read = store_->read(key, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    });
    return read ? std::optional(text) : std::nullopt;
  }
  std::string stored_log(AttemptId attempt) const { return object(prefix(attempt) + "log").value_or("(no log)"); }
  int exit_code() {
    int status = 0;
    bool exited = false;
    (void)until([&] { return exited = exited || ::waitpid(worker_, &status, WNOHANG) == worker_; });
    worker_ = exited ? -1 : worker_;
    return exited && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::map<AttemptId, AttemptFinished> results;
  std::map<AttemptId, std::string> logs;
  std::map<AttemptId, bool> started;
  std::vector<WorkerHello> hellos;
  std::size_t draining = 0, left = 0, told = 0, heartbeats = 0;
  bool acknowledges = true;
  bool answers_heartbeats = true;
  Duration heartbeat = 5s;
  pid_t worker() const { return worker_; }
  std::filesystem::path root() const { return root_; }
  ObjectStore& store() { return *store_; }
  RunContext& context() { return *context_; }

 private:
  void on(const WorkerJoined& event) {
    connection_ = event.connection;
    batch_ = 0;
    hellos.push_back(event.hello);
    WorkerSend answer;
    answer.welcome = WorkerSend::Welcome{{1}, 1, heartbeat, lease_};
    send(answer);
  }
  void on(const WorkerHeartbeat& event) {
    ++heartbeats;
    WorkerSend answer;
    answer.hello_please = event.connection != connection_;
    connection_ = event.connection;
    if (answers_heartbeats) send(answer);
  }
  void on(const AttemptFinished& event) {
    ++told;
    results[event.what.attempt] = event;
    if (!acknowledges) return;
    WorkerSend answer;
    answer.acknowledged = {event.what.attempt};
    send(answer);
  }
  void on(const AttemptStarted& event) { started[event.what.attempt] = true; }
  void on(const WorkerDraining&) { ++draining; }
  void on(const WorkerLeft&) { ++left; }
  template <typename Other>
  void on(const Other&) {}
  void take_log(const wire::LogChunk& chunk) {
    std::string& log = logs[chunk.what.attempt];
    EXPECT_GE(chunk.offset, log.size());
    log.resize(chunk.offset, '?');
    log += chunk.data;
  }

  Duration lease_;
  std::filesystem::path root_;
  transport::KeyPair server_, worker_keys_;
  pid_t worker_ = -1;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<transport::WorkerPort> port_;
  std::shared_ptr<RunContext> context_;
  ConnectionId connection_;
  std::uint64_t batch_ = 0;
  std::uint64_t last_attempt_ = 0x10;
};

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // A sanitizer's own memory is many times the program's.
#else
constexpr bool kSanitized = false;
#endif

std::size_t peak_memory_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::size_t peak = 0;
  for (std::string word; status >> word && word != "VmHWM:";) continue;
  status >> peak;
  return peak;
}

ResolvedOutput output(std::string name, std::string path) {
  ResolvedOutput output;
  output.name = std::move(name);
  output.path = std::move(path);
  return output;
}

TEST(Worker, RunsACommandAndTellsWhatItUsed) {
  Desk desk;
  const AttemptFinished result = desk.run(command({"true"}));
  EXPECT_EQ(result.end.reason, Reason::kNone);
  EXPECT_GT(result.end.usage.cpu_us, 0U);
  EXPECT_GT(result.end.usage.peak_memory_bytes, 0U);
  EXPECT_TRUE(result.end.started_at.is_set());
  EXPECT_EQ(desk.hellos.front().name, "w1");
  EXPECT_EQ(desk.hellos.front().capacity.cpu_milli, 2000U);
}

TEST(Worker, StopsAScriptAtTheFirstFailureAndKeepsItsLog) {
  Desk desk;
  const AttemptFinished result = desk.run(script("echo one\nfalse\necho two\n"));
  EXPECT_EQ(result.end.reason, Reason::kExitCode);
  EXPECT_EQ(result.end.exit_code, 1);
  EXPECT_EQ(desk.stored_log(result.what.attempt), "one\n");
}

TEST(Worker, RunsAScriptByTheShellThatItNames) {
  Desk desk;
  ResolvedWork work = script("print('from', 'python')");
  work.shell = "python3 -u";
  EXPECT_EQ(desk.stored_log(desk.run(work).what.attempt), "from python\n");
}

TEST(Worker, TellsTheTaskWhoItIs) {
  Desk desk;
  ResolvedWork work = script("cat \"$CHAPPE_PARAMS\"; echo; env | grep -E '^(CHAPPE|MINE|HOME|TMPDIR)' | sort; pwd");
  work.env = {{"MINE", "a b"}, {"CHAPPE_TASK", "forged"}};
  const AttemptFinished result = desk.run(work);
  const std::string log = desk.stored_log(result.what.attempt);
  const std::string run_id = desk.context().id.text();
  for (const std::string line :
       {R"({"size":3})", R"(CHAPPE_ITEM={"a":1})", "MINE=a b", "CHAPPE_TASK=t", "CHAPPE_MAP_KEY=k", "CHAPPE_ATTEMPT=1",
        "CHAPPE_ATTEMPT_ID=0000000000000011", "CHAPPE_FENCE=17", "CHAPPE_DAG=d",
        "CHAPPE_LOGICAL_TIME=2026-11-20T00:00:00.000000Z"}) {
    EXPECT_THAT(log, HasSubstr(line + "\n"));
  }
  EXPECT_THAT(log, HasSubstr("CHAPPE_RUN_ID=" + run_id));
  EXPECT_THAT(log, ::testing::ContainsRegex("CHAPPE_IDEMPOTENCY_KEY=[0-9a-f]{64}\n"));
  EXPECT_THAT(log, EndsWith("/work\n"));
}

TEST(Worker, GivesTheSameIdempotencyKeyToEveryTryOfATask) {
  Desk desk;
  const ResolvedWork work = script("echo $CHAPPE_IDEMPOTENCY_KEY");
  const AttemptId first = desk.assign(work, 1), second = desk.assign(work, 2);
  (void)desk.result_of(first);
  (void)desk.result_of(second);
  EXPECT_EQ(desk.stored_log(first), desk.stored_log(second));
}

TEST(Worker, KeepsItsOwnSecretsFromTasks) {
  ::setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
  Desk desk;
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  const AttemptFinished result = desk.run(script("env; ls -a ~ $TMPDIR"));
  EXPECT_EQ(result.end.reason, Reason::kNone);
  EXPECT_THAT(desk.stored_log(result.what.attempt), ::testing::Not(HasSubstr("very-secret")));
}

TEST(Worker, SaysWhichProgramIsMissing) {
  Desk desk;
  const AttemptFinished result = desk.run(command({"no-such-program"}));
  EXPECT_EQ(result.end.reason, Reason::kLaunchFailed);
  EXPECT_THAT(result.end.message, HasSubstr("'no-such-program'"));
}

TEST(Worker, TellsASignalAs128AndItsNumber) {
  Desk desk;
  const AttemptFinished result = desk.run(script("kill -SEGV $$"));
  EXPECT_EQ(result.end.reason, Reason::kSignal);
  EXPECT_EQ(result.end.exit_code, 128 + SIGSEGV);
  EXPECT_EQ(result.end.message, "ended by SIGSEGV (11)");
}

TEST(Worker, TakesTheOutputOfOneTaskAsTheInputOfAnother) {
  Desk desk;
  ResolvedWork first = script(
      "mkdir -p out/dir/sub; echo data > out/file; echo deep > out/dir/sub/deep; "
      "echo 0.5 > auc; echo '{\"a\":[{\"b\":\"x\"}]}' > v.json");
  first.outputs = {output("file", "out/file"), output("dir", "out/dir")};
  first.values = {{"auc", "auc", "", {}, true}, {"b", "v.json", "$.a[0].b", {}, false}};
  const AttemptFinished made = desk.run(first);
  ASSERT_EQ(made.end.reason, Reason::kNone) << made.end.message;
  ASSERT_EQ(made.outputs->objects.size(), 2U);
  EXPECT_EQ(made.outputs->values, (std::vector<NamedValue>{{"auc", 0.5, true}, {"b", "x", false}}));
  const OutputObject& file = made.outputs->objects[0];
  EXPECT_EQ(file.key, desk.prefix(made.what.attempt) + "file");
  EXPECT_EQ(file.size, 5U);

  ResolvedWork second = script("cat in/file in/dir/sub/deep");
  for (const OutputObject& object : made.outputs->objects) {
    ResolvedInput input{.name = object.name, .path = "in/" + object.name};
    input.objects = {{.name = object.name,
                      .path = input.path,
                      .key = object.key,
                      .size = object.size,
                      .sha256 = object.sha256,
                      .packed = object.packed}};
    second.inputs.push_back(input);
  }
  const AttemptFinished read = desk.run(second);
  EXPECT_EQ(desk.stored_log(read.what.attempt), "data\ndeep\n");
  EXPECT_EQ(read.end.usage.bytes_in, made.end.usage.bytes_out);

  second.inputs[0].objects[0].sha256[0] ^= 1;
  const AttemptFinished refused = desk.run(second);
  EXPECT_EQ(refused.end.reason, Reason::kArtifactIo);
  EXPECT_THAT(refused.end.message, HasSubstr("not what was recorded"));
  EXPECT_EQ(desk.stored_log(refused.what.attempt), "(no log)");
}

TEST(Worker, LeavesAnAssetsUploadOpen) {
  Desk desk;
  ResolvedWork work = script("echo model > m");
  work.outputs = {output("model", "m")};
  work.outputs[0].asset_uri = "models/m.bin";
  const AttemptFinished result = desk.run(work);
  ASSERT_EQ(result.end.reason, Reason::kNone) << result.end.message;
  EXPECT_FALSE(std::filesystem::exists(desk.root() / "store/assets/models/m.bin"));
  ASSERT_TRUE(desk.store().complete(result.outputs->objects[0].upload).has_value());
  EXPECT_EQ(read_text(desk.root() / "store/assets/models/m.bin"), "model\n");
}

TEST(Worker, FailsAnAttemptThatExitsWellWithoutItsOutput) {
  Desk desk;
  ResolvedWork work = script("echo fine");
  work.outputs = {output("model", "m")};
  const AttemptFinished result = desk.run(work);
  EXPECT_EQ(result.end.reason, Reason::kInvalidOutput);
  EXPECT_EQ(result.end.message, "output 'model': 'm' is not there; the task must write it");
  EXPECT_EQ(desk.stored_log(result.what.attempt), "fine\n");
}

TEST(Worker, StreamsTheLogWhileTheTaskRuns) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("echo first; while ! test -e go; do sleep 0.01; done; echo last"));
  ASSERT_TRUE(desk.until_log(attempt, "first\n"));
  EXPECT_TRUE(desk.until([&] { return desk.started[attempt]; }));
  EXPECT_FALSE(desk.results.contains(attempt));
  for (const auto& entry : std::filesystem::directory_iterator(desk.root() / "work/attempts")) {
    std::ofstream(entry.path() / "work/go");
  }
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kNone);
  EXPECT_TRUE(desk.until_log(attempt, "last\n"));
}

TEST(Worker, BoundsAFloodOfLogAndKeepsItsBeginningAndEnd) {
  Desk desk;
  const AttemptFinished result =
      desk.run(script("echo begin; head -c 100000000 /dev/zero | tr '\\0' 'x'; echo; echo end"));
  EXPECT_EQ(result.end.reason, Reason::kNone);
  const std::string log = desk.stored_log(result.what.attempt);
  EXPECT_LT(log.size(), (std::size_t{64} << 20) + 100);
  EXPECT_THAT(log.substr(0, 6), "begin\n");
  EXPECT_THAT(log.substr(log.size() - 5), "\nend\n");
  EXPECT_NE(log.find("\n[chappe: 32891147 bytes are left out here]\n"), std::string::npos);
  const std::size_t peak_kib = peak_memory_kib(desk.worker());
  EXPECT_GT(peak_kib, 0U);
  EXPECT_TRUE(kSanitized || peak_kib < 64 * 1024) << peak_kib;
}

TEST(Worker, CancelsATaskThatIgnoresSigterm) {
  Desk desk;
  ResolvedWork work = script("trap '' TERM; echo on; while :; do sleep 0.02; done");
  work.kill_grace = 100ms;
  const AttemptId attempt = desk.assign(work);
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  desk.cancel(attempt);
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kCancelled);
}

TEST(Worker, KillsATaskWhoseTimeoutPassed) {
  Desk desk;
  ResolvedWork work = script("sleep 1000");
  work.timeout = 100ms;
  const AttemptFinished result = desk.run(work);
  EXPECT_EQ(result.end.reason, Reason::kTimeout);
  EXPECT_EQ(result.end.message, "still ran after its timeout of 100ms");
}

TEST(Worker, ForgetsAnAttemptWithoutAWord) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("echo on; sleep 1000"));
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  desk.cancel(attempt, true);
  ResolvedWork large = command({"true"});
  large.resources.cpu_milli = 2000;  // Runs when the forgotten one is gone.
  (void)desk.run(large);
  EXPECT_FALSE(desk.results.contains(attempt));
}

TEST(Worker, RemovesWhatTasksLeftAndReusesCleanDirectories) {
  Desk desk;
  (void)desk.run(script("mkdir -p a/b; touch a/b/c; chmod 000 a; echo x > $TMPDIR/y; cd ..; pwd"));
  const auto count = [&] {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(desk.root() / "work/attempts")) {
      if (!entry.is_directory()) ++files;
    }
    return files;
  };
  EXPECT_TRUE(desk.until([&] { return count() == 0; }));
  for (int i = 0; i < 10; ++i) (void)desk.run(command({"true"}));
  const auto folders = std::filesystem::directory_iterator(desk.root() / "work/attempts");
  EXPECT_LE(std::distance(begin(folders), end(folders)), 2);
}

TEST(Worker, RunsALongLineOfShortTasksAndKeepsTheirLogsApart) {
  Desk desk;
  for (int round = 0; round < 20; ++round) {
    for (const AttemptId attempt : desk.assign_many(command({"sh", "-c", "echo $CHAPPE_ATTEMPT_ID"}), 18)) {
      EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kNone);
      EXPECT_EQ(desk.stored_log(attempt), to_text(attempt) + "\n");
    }
  }
}

TEST(Worker, FinishesNoOpsByTheThousand) {
  Desk desk;
  ResolvedWork work;
  work.kind = TaskKind::kNoop;
  for (const AttemptId attempt : desk.assign_many(work, 1000))
    EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kNone);
}

TEST(Worker, TellsAResultAgainUntilItIsAcknowledged) {
  Desk desk;
  desk.acknowledges = false;
  const AttemptFinished result = desk.run(command({"true"}));
  desk.close_port();
  desk.open_port();
  desk.results.clear();
  ASSERT_TRUE(desk.until_joined());
  EXPECT_THAT(desk.hellos.back().held, Contains(result.what));
  desk.acknowledges = true;
  EXPECT_EQ(desk.result_of(result.what.attempt).end.reason, Reason::kNone);
  EXPECT_EQ(desk.told, 2U);
}

TEST(Worker, GoesOnWithItsTasksWhileTheSchedulerIsAway) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("echo on; while ! test -e go; do sleep 0.01; done"));
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  desk.close_port();
  for (const auto& entry : std::filesystem::directory_iterator(desk.root() / "work/attempts")) {
    std::ofstream(entry.path() / "work/go");
  }
  desk.open_port();
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kNone);
}

TEST(Worker, EndsItsTasksWhenTheSchedulerIsSilentForTooLong) {
  Desk desk(2s);
  desk.heartbeat = 200ms;
  const AttemptId attempt = desk.assign(script("echo on; sleep 1000"));
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  desk.answers_heartbeats = false;
  const AttemptFinished result = desk.result_of(attempt);
  EXPECT_EQ(result.end.reason, Reason::kLostWorker);
  EXPECT_THAT(result.end.message, HasSubstr("no word from the scheduler"));
}

TEST(Worker, EndsItsTasksEvenWhileItIsStoppedItself) {
  Desk desk(2s);
  const AttemptId attempt = desk.assign(script("echo $$; sleep 1000"));
  ASSERT_TRUE(desk.until_log(attempt, "\n"));
  const pid_t task = std::stoi(desk.logs[attempt]);
  ::kill(desk.worker(), SIGSTOP);
  EXPECT_TRUE(desk.until([&] { return ::kill(task, 0) != 0; }));
  ::kill(desk.worker(), SIGCONT);
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kLostWorker);
}

TEST(Worker, DrainsWhenToldToEnd) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("echo on; while ! test -e go; do sleep 0.01; done"));
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  ::kill(desk.worker(), SIGTERM);
  EXPECT_TRUE(desk.until([&] { return desk.draining == 1; }));
  for (const auto& entry : std::filesystem::directory_iterator(desk.root() / "work/attempts")) {
    std::ofstream(entry.path() / "work/go");
  }
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kNone);
  EXPECT_TRUE(desk.until([&] { return desk.left == 1; }));
  EXPECT_EQ(desk.exit_code(), 0);
}

TEST(Worker, KillsItsTasksWhenToldToEndTwice) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("trap '' TERM; echo on; while :; do sleep 0.02; done"));
  ASSERT_TRUE(desk.until_log(attempt, "on"));
  ::kill(desk.worker(), SIGTERM);
  EXPECT_TRUE(desk.until([&] { return desk.draining == 1; }));
  ::kill(desk.worker(), SIGINT);
  EXPECT_EQ(desk.result_of(attempt).end.reason, Reason::kLostWorker);
  EXPECT_EQ(desk.exit_code(), 0);
}

TEST(Worker, TakesTheWorkDirectoryOfOneThatWasKilledWhenItsTasksAreDead) {
  Desk desk;
  const AttemptId attempt = desk.assign(script("trap '' TERM; echo $$; touch left; while :; do sleep 0.02; done"));
  ASSERT_TRUE(desk.until_log(attempt, "\n"));
  const pid_t task = std::stoi(desk.logs[attempt]);
  ::kill(desk.worker(), SIGKILL);
  ::waitpid(desk.worker(), nullptr, 0);
  desk.close_port();
  desk.start_worker();
  desk.open_port();
  ASSERT_TRUE(desk.until_joined());
  EXPECT_NE(::kill(task, 0), 0);
  EXPECT_THAT(desk.hellos.back().held, ::testing::IsEmpty());
  EXPECT_EQ(desk.run(script("test ! -e left")).end.reason, Reason::kNone);
}

TEST(Worker, RefusesAWorkDirectoryThatAnotherUses) {
  Desk desk;
  ASSERT_TRUE(desk.until_joined());
  const auto second = worker::WorkDirectory::open(desk.root() / "work", false, 0s);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace chappe
