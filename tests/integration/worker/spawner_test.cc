// The spawner with real processes: what is started, how it ends, and that nothing of it is left behind.
#include "worker/exec/spawner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "worker/exec/control_groups.h"
#include "worker/exec/messages.h"
#include "worker/exec/process_tree.h"

namespace chappe::exec {
namespace {

using namespace std::chrono_literals;

class SpawnerDesk {
 public:
  explicit SpawnerDesk(int lock_fd = -1) : spawner_(std::move(*Spawner::start(lock_fd))) {
    directory_ = std::filesystem::temp_directory_path() / ("chappe-spawner-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
  }
  ~SpawnerDesk() {
    EXPECT_TRUE(spawner_->finish(10s));
    std::filesystem::remove_all(directory_);
  }

  ProgramId start(std::vector<std::string> argv, Duration grace = 10s) {
    Launch launch{std::move(argv), {"PATH=/usr/bin:/bin", "NAME=value"}, directory_.string(), grace};
    Result<ProgramId> program = spawner_->launch(launch);
    EXPECT_TRUE(program.has_value());
    return *program;
  }
  ProgramId start_bounded(std::vector<std::string> argv, std::uint64_t memory_bytes) {
    Launch launch{std::move(argv), {"PATH=/usr/bin:/bin"}, directory_.string(), 10s, memory_bytes};
    return *spawner_->launch(launch);
  }
  bool has_groups() const { return spawner_->bounds().find("memory by control groups") != std::string::npos; }
  ProgramId start_behind(ProgramId front, std::vector<std::string> argv) {
    return *spawner_->launch_behind(front, {std::move(argv), {"PATH=/usr/bin:/bin"}, directory_.string(), 10s});
  }
  ProgramId start_script(const std::string& script, Duration grace = 10s) { return start({"sh", "-c", script}, grace); }

  /// Waits, at most 20 s.
  ProcessEnd end_of(ProgramId program) {
    EXPECT_TRUE(until([&] { return ends_.contains(program); })) << "program " << program << " still runs";
    return ends_[program];
  }
  template <typename Condition>
  bool until(const Condition& condition) {
    const MonoTime deadline = boot_time() + 20s;
    while (!condition() && boot_time() < deadline) {
      pollfd fd{spawner_->fd(), POLLIN, 0};
      (void)::poll(&fd, 1, 10);
      spawner_->dispatch({[this](ProgramId program, std::span<const std::byte> bytes) {
                            output_[program].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                          },
                          [this](ProgramId program, const ProcessEnd& end) { ends_[program] = end; }});
    }
    return condition();
  }
  bool until_output(ProgramId program, const std::string& text) {
    return until([&] { return output_[program].find(text) != std::string::npos; });
  }
  bool until_dead(pid_t pid) {
    return until([&] { return ::kill(pid, 0) != 0; });
  }

  const std::string& output(ProgramId program) { return output_[program]; }
  Spawner& spawner() { return *spawner_; }
  std::filesystem::path directory() const { return directory_; }

 private:
  std::unique_ptr<Spawner> spawner_;
  std::filesystem::path directory_;
  std::map<ProgramId, std::string> output_;
  std::map<ProgramId, ProcessEnd> ends_;
};

TEST(Spawner, RunsAProgramWithItsEnvironmentInItsDirectory) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script("echo $NAME; pwd; echo trouble >&2; exit 3");
  const ProcessEnd end = desk.end_of(program);
  EXPECT_EQ(end.kind, EndKind::kExited);
  EXPECT_EQ(end.code, 3);
  EXPECT_EQ(desk.output(program), "value\n" + std::filesystem::canonical(desk.directory()).string() + "\ntrouble\n");
}

TEST(Spawner, GivesTasksNothingButTheirOwn) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script(
      "ls /proc/self/fd | tr '\\n' ' '; cat; ulimit -c; grep NoNewPrivs /proc/self/status; "
      "grep SigBlk /proc/self/status; grep SigIgn /proc/self/status; env | wc -l");
  EXPECT_EQ(desk.end_of(program).code, 0);
  // 3 is the directory that ls itself reads; sh adds PWD to the environment.
  EXPECT_EQ(desk.output(program),
            "0 1 2 3 0\nNoNewPrivs:\t1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n3\n");
}

TEST(Spawner, TellsASignalFromAnExitCode) {
  SpawnerDesk desk;
  const ProcessEnd end = desk.end_of(desk.start_script("kill -USR1 $$"));
  EXPECT_EQ(end.kind, EndKind::kSignalled);
  EXPECT_EQ(end.code, SIGUSR1);
  EXPECT_FALSE(end.terminated);
}

TEST(Spawner, SaysWhyAProgramDidNotStart) {
  SpawnerDesk desk;
  const ProcessEnd missing = desk.end_of(desk.start({"no-such-program"}));
  EXPECT_EQ(missing.kind, EndKind::kNotStarted);
  EXPECT_EQ(missing.code, ENOENT);
  std::ofstream(desk.directory() / "text") << "not a program";
  EXPECT_EQ(desk.end_of(desk.start({"./text"})).code, EACCES);
  EXPECT_EQ(desk.end_of(desk.start({"/nowhere/at/all"})).code, ENOENT);
}

TEST(Spawner, SaysThatTheDirectoryIsNotThere) {
  SpawnerDesk desk;
  const Result<ProgramId> program = desk.spawner().launch({{"true"}, {}, "/nowhere", 1s});
  const ProcessEnd end = desk.end_of(*program);
  EXPECT_EQ(end.kind, EndKind::kNotStarted);
  EXPECT_TRUE(end.directory_failed);
}

TEST(Spawner, RefusesWhatCannotBeRun) {
  SpawnerDesk desk;
  EXPECT_FALSE(desk.spawner().launch({}).has_value());
  EXPECT_FALSE(desk.spawner().launch({{"a", std::string("b\0c", 3)}, {}, "/", 1s}).has_value());
  EXPECT_FALSE(desk.spawner().launch({{"a", std::string(kLaunchBytesMax, 'x')}, {}, "/", 1s}).has_value());
}

TEST(Spawner, TakesArgumentsUpToTheKernelsBound) {
  SpawnerDesk desk;
  std::vector<std::string> argv{"sh", "-c", "echo $#", "sh"};
  argv.resize(12, std::string(100'000, 'x'));
  const ProgramId program = desk.start(argv);
  EXPECT_EQ(desk.end_of(program).code, 0);
  EXPECT_EQ(desk.output(program), "8\n");
  argv.resize(5);
  argv.back() = std::string(200'000, 'x');  // The kernel takes 128 KiB a text.
  EXPECT_EQ(desk.end_of(desk.start(argv)).code, E2BIG);
}

TEST(Spawner, KillsWhatIgnoresSigterm) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(desk.until_output(program, "ready"));
  desk.spawner().stop(program, 100ms);
  const ProcessEnd end = desk.end_of(program);
  EXPECT_EQ(end.kind, EndKind::kSignalled);
  EXPECT_EQ(end.code, SIGKILL);
  EXPECT_TRUE(end.terminated);
}

TEST(Spawner, LetsAProgramCleanUpOnSigterm) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(desk.until_output(program, "ready"));
  desk.spawner().stop(program, 15s);
  EXPECT_EQ(desk.end_of(program).code, 7);
  EXPECT_THAT(desk.output(program), testing::EndsWith("bye\n"));
}

TEST(Spawner, EndsAStoppedProgram) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script("kill -STOP $$; echo never");
  desk.spawner().stop(program, 15s);
  EXPECT_EQ(desk.end_of(program).code, SIGTERM);
}

constexpr char kDaemonise[] =
    "setsid sh -c 'setsid sh -c \"trap \\\"\\\" TERM; echo \\$\\$ > daemon; sleep 1000 & wait; sleep 1000\" & exit 0'; "
    "while ! test -s daemon; do sleep 0.01; done; exit 0";

pid_t read_pid(const std::filesystem::path& file) {
  pid_t pid = 0;
  std::ifstream(file) >> pid;
  return pid;
}

TEST(Spawner, FindsADaemonisedGrandchildThatIgnoresSigterm) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script(kDaemonise, 100ms);
  EXPECT_EQ(desk.end_of(program).code, 0);
  const pid_t daemon = read_pid(desk.directory() / "daemon");
  ASSERT_GT(daemon, 0);
  EXPECT_NE(::kill(daemon, 0), 0);
}

TEST(Spawner, DoesNotWaitForTheOutputThatAGrandchildHolds) {
  SpawnerDesk desk;
  EXPECT_EQ(desk.end_of(desk.start_script("sleep 1000 & exit 0")).code, 0);
}

TEST(Spawner, LeavesOtherProgramsAloneWhenItCleansUp) {
  SpawnerDesk desk;
  const ProgramId other = desk.start_script("echo $$ > other; sleep 1000");
  EXPECT_TRUE(desk.until([&] { return read_pid(desk.directory() / "other") > 0; }));
  (void)desk.end_of(desk.start_script(kDaemonise, 10ms));
  EXPECT_EQ(::kill(read_pid(desk.directory() / "other"), 0), 0);
  desk.spawner().stop(other, 0s);
  EXPECT_EQ(desk.end_of(other).code, SIGKILL);
}

TEST(Spawner, EndsAForkingCrowd) {
  SpawnerDesk desk;
  const ProgramId program =
      desk.start_script("f() { sleep 1000 & sleep 0.01; f & wait; }; f & f & f & f & echo on; wait");
  ASSERT_TRUE(desk.until_output(program, "on"));
  desk.spawner().stop(program, 0s);
  EXPECT_EQ(desk.end_of(program).code, SIGKILL);
}

TEST(Spawner, GivesTheNextProgramAPipeThatBlocks) {
  SpawnerDesk desk;
  const ProgramId first = desk.start({"python3", "-c", "import os; os.set_blocking(1, False)"});
  EXPECT_EQ(desk.end_of(first).code, 0);
  const ProgramId second = desk.start({"python3", "-c", "import os; print(os.get_blocking(1))"});
  EXPECT_EQ(desk.end_of(second).code, 0);
  EXPECT_EQ(desk.output(second), "True\n");
}

TEST(Spawner, CountsTimeAndMemoryOfDescendantsToo) {
  SpawnerDesk desk;
  const ProgramId program = desk.start({"sh", "-c",
                                        "python3 -c 'import time\nx = bytearray(80 << 20)\n"
                                        "while time.process_time() < 0.3: pass'; true"});
  const ProcessEnd end = desk.end_of(program);
  EXPECT_GE(end.cpu_us, 300'000U);
  EXPECT_GE(end.peak_memory_bytes, std::uint64_t{80} << 20);
  EXPECT_LT(end.peak_memory_bytes, std::uint64_t{160} << 20);
}

TEST(Spawner, EndsProgramsWhenTheFencePassesWithoutAWordFromTheWorker) {
  SpawnerDesk desk;
  const MonoTime now = boot_time();
  desk.spawner().fence().set(now + 500ms, now + 600ms);
  const ProgramId program = desk.start_script("trap '' TERM; while :; do sleep 0.01; done");
  const ProcessEnd end = desk.end_of(program);
  EXPECT_TRUE(end.fenced);
  EXPECT_EQ(end.code, SIGKILL);
  EXPECT_GE(boot_time(), now + 600ms);
}

TEST(Spawner, TellsWhenASupervisorIsKilledAndKillsWhatItWatched) {
  SpawnerDesk desk;
  const ProgramId program = desk.start_script(std::string(kDaemonise) + "; sleep 1000; echo $PPID");
  EXPECT_TRUE(desk.until([&] { return read_pid(desk.directory() / "daemon") > 0; }));
  const std::vector<pid_t> spawner = children_of(::getpid());
  ASSERT_EQ(spawner.size(), 1U);
  const std::vector<pid_t> supervisors = children_of(spawner.front());
  ASSERT_EQ(supervisors.size(), 1U);
  ::kill(supervisors.front(), SIGKILL);
  EXPECT_EQ(desk.end_of(program).kind, EndKind::kLost);
  EXPECT_TRUE(desk.until_dead(read_pid(desk.directory() / "daemon")));
  EXPECT_EQ(desk.end_of(desk.start({"true"})).code, 0);  // A new supervisor takes its place.
}

TEST(Spawner, KillsEverythingAndFreesTheLockWhenItsWorkerDies) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("chappe-lock-" + std::to_string(::getpid()));
  const std::string daemon_file = file.string() + ".daemon";
  const pid_t worker = ::fork();
  if (worker == 0) {
    const int lock = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) ::_exit(1);
    auto spawner = std::move(*Spawner::start(lock));
    const std::string script =
        "setsid sh -c 'trap \"\" TERM; echo $$ > " + daemon_file + "; sleep 1000; sleep 1000'; true";
    if (!spawner->launch({{"/bin/sh", "-c", script}, {}, "/", 10s})) ::_exit(1);
    spawner->flush();
    for (;;) ::pause();
  }
  const MonoTime deadline = boot_time() + 20s;
  while (read_pid(daemon_file) == 0 && boot_time() < deadline) ::usleep(2000);
  const pid_t daemon = read_pid(daemon_file);
  ASSERT_GT(daemon, 0);
  const int lock = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_NE(::flock(lock, LOCK_EX | LOCK_NB), 0);
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  while (::flock(lock, LOCK_EX | LOCK_NB) != 0 && boot_time() < deadline) ::usleep(2000);
  EXPECT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  EXPECT_NE(::kill(daemon, 0), 0) << "the lock was free before the last task was dead";
  ::close(lock);
  std::filesystem::remove(file);
  std::filesystem::remove(daemon_file);
}

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
const std::vector<std::string> kHog{"python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))"};

TEST(Spawner, HasTheKernelKillAProgramThatOutgrowsItsMemoryAndNoOther) {
  SpawnerDesk desk;
  if (!desk.has_groups()) GTEST_SKIP() << "no control groups here: " << desk.spawner().bounds();
  const ProgramId neighbour = desk.start_bounded({"sh", "-c", "echo on; sleep 1000"}, 64 * kMiB);
  ASSERT_TRUE(desk.until_output(neighbour, "on"));
  const ProcessEnd end = desk.end_of(desk.start_bounded(kHog, 64 * kMiB));
  EXPECT_EQ(end.kind, EndKind::kSignalled);
  EXPECT_EQ(end.code, SIGKILL);
  EXPECT_TRUE(end.outgrew_memory);
  EXPECT_FALSE(end.terminated);
  EXPECT_LT(end.peak_memory_bytes, 128 * kMiB);
  desk.spawner().stop(neighbour, 15s);
  EXPECT_EQ(desk.end_of(neighbour).code, SIGTERM);
}

TEST(Spawner, CountsTheMemoryOfAllThatAProgramStarts) {
  SpawnerDesk desk;
  if (!desk.has_groups()) GTEST_SKIP() << "no control groups here: " << desk.spawner().bounds();
  const std::string crowd =
      "import os, sys, time\n"
      "for _ in range(2):\n"
      "  if os.fork() == 0: x = bytearray(40 << 20); time.sleep(1000)\n"
      "os.wait(); sys.exit(3)";
  const ProcessEnd end = desk.end_of(desk.start_bounded({"python3", "-c", crowd}, 64 * kMiB));
  EXPECT_EQ(end.code, 3);
  EXPECT_TRUE(end.outgrew_memory);
}

TEST(Spawner, BoundsTheNextProgramByItsOwnMemory) {
  SpawnerDesk desk;
  const std::vector<std::string> large{"python3", "-c", "x = bytearray(200 << 20)"};
  (void)desk.end_of(desk.start_bounded(kHog, 64 * kMiB));
  for (const std::uint64_t bytes : {std::uint64_t{0}, 400 * kMiB}) {
    const ProcessEnd end = desk.end_of(desk.start_bounded(large, bytes));
    EXPECT_EQ(end.code, 0);
    EXPECT_FALSE(end.outgrew_memory);
  }
}

/// The directory of the control group that a program is in, as it says itself.
std::string group_of_program(SpawnerDesk& desk, const std::string& controllers, const std::string& mount) {
  const ProgramId program = desk.start_script("cat /proc/self/cgroup");
  (void)desk.end_of(program);
  return group_directory(desk.output(program), controllers, mount, "pids.max",
                         [](const std::string& file) { return std::filesystem::exists(file); });
}

TEST(Spawner, BoundsTheProcessesOfEachProgramAndRemovesItsGroups) {
  std::string group;
  {
    SpawnerDesk desk;
    if (!desk.has_groups()) GTEST_SKIP() << "no control groups here: " << desk.spawner().bounds();
    group = group_of_program(desk, "pids", "/sys/fs/cgroup/pids");
    if (group.empty()) group = group_of_program(desk, "", "/sys/fs/cgroup");
    std::string bound;
    std::ifstream(group + "/pids.max") >> bound;
    EXPECT_EQ(bound, std::to_string(processes_max()));
  }
  EXPECT_FALSE(std::filesystem::exists(group));
}

TEST(Spawner, BoundsTheDataOfEachProcessWhereItMayMakeNoGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody who may make no groups";
  constexpr int kRefusedMemory = 17;
  const pid_t nobody = ::fork();
  if (nobody == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(1);
    SpawnerDesk desk;
    const std::vector<std::string> hog{"python3", "-c",
                                       "try:\n  x = bytearray(200 << 20)\nexcept MemoryError: exit(17)"};
    if (desk.has_groups() || desk.end_of(desk.start_bounded(hog, 400 * kMiB)).code != 0) ::_exit(2);
    ::_exit(desk.end_of(desk.start_bounded(hog, 64 * kMiB)).code);
  }
  int status = 0;
  ::waitpid(nobody, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kRefusedMemory);
}

TEST(Spawner, RunsManyAtATime) {
  SpawnerDesk desk;
  for (int round = 0; round < 2; ++round) {
    std::vector<ProgramId> programs;
    for (int i = 0; i < 20; ++i) programs.push_back(desk.start({"true"}));
    for (const ProgramId program : programs) (void)desk.end_of(program);
  }
}

TEST(Spawner, StartsTheNextProgramWithoutAWordWhenNothingOfTheFirstIsLeft) {
  SpawnerDesk desk;
  const ProgramId first =
      desk.start_script("echo one; while ! test -e go; do sleep 0.005; done; sleep 1000 & echo $! > left");
  const ProgramId second = desk.start_behind(first, {"sh", "-c", "echo two; kill -0 $(cat left) && echo left"});
  ASSERT_TRUE(desk.until_output(first, "one"));
  EXPECT_FALSE(desk.spawner().can_wait_behind(first));
  EXPECT_TRUE(desk.spawner().can_wait_behind(second));
  EXPECT_EQ(desk.output(second), "");
  std::ofstream(desk.directory() / "go");
  EXPECT_EQ(desk.end_of(first).code, 0);
  EXPECT_EQ(desk.end_of(second).code, 1);
  EXPECT_EQ(desk.output(first), "one\n");
  EXPECT_THAT(desk.output(second), testing::StartsWith("two\n"));
  EXPECT_THAT(desk.output(second), testing::Not(testing::HasSubstr("left\n")));
}

TEST(Spawner, KeepsTheOutputsOfALineOfProgramsApart) {
  SpawnerDesk desk;
  std::vector<ProgramId> line;
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::string> argv{"sh", "-c", i % 4 == 1 ? "exit 0" : "echo $0", std::to_string(i)};
    const bool goes_on = !line.empty() && desk.spawner().can_wait_behind(line.back());
    line.push_back(goes_on ? desk.start_behind(line.back(), argv) : desk.start(argv));
    if (i % 13 == 12) (void)desk.end_of(line[line.size() - 5]);
  }
  for (std::size_t i = 0; i < line.size(); ++i) {
    EXPECT_EQ(desk.end_of(line[i]).code, 0);
    EXPECT_EQ(desk.output(line[i]), i % 4 == 1 ? "" : std::to_string(i) + "\n");
  }
}

TEST(Spawner, KeepsTheOutputOfALongProgramInALineWhole) {
  SpawnerDesk desk;
  const ProgramId first = desk.start({"true"});
  const ProgramId second = desk.start_behind(first, {"sh", "-c", "seq 100000; sleep 0.03; echo end"});
  const ProgramId third = desk.start_behind(second, {"echo", "third"});
  EXPECT_EQ(desk.end_of(third).code, 0);
  EXPECT_EQ(desk.output(first), "");
  EXPECT_EQ(desk.output(second).size(), 588895U + 4U);
  EXPECT_THAT(desk.output(second), testing::EndsWith("100000\nend\n"));
  EXPECT_EQ(desk.output(third), "third\n");
}

TEST(Spawner, TakesNoMoreThanAWholeLine) {
  SpawnerDesk desk;
  std::vector<ProgramId> line{desk.start_script("while ! test -e go; do sleep 0.005; done")};
  while (desk.spawner().can_wait_behind(line.back())) line.push_back(desk.start_behind(line.back(), {"true"}));
  EXPECT_EQ(line.size(), 1 + kLineMax);
  std::ofstream(desk.directory() / "go");
  MonoTime before;
  for (const ProgramId program : line) {
    const ProcessEnd end = desk.end_of(program);
    EXPECT_EQ(end.code, 0);
    EXPECT_GE(end.ended_at, before);
    before = end.ended_at;
  }
  EXPECT_EQ(desk.end_of(desk.start({"true"})).code, 0);  // The slot goes on.
}

TEST(Spawner, WithdrawsFromTheMiddleOfALine) {
  SpawnerDesk desk;
  const ProgramId first = desk.start_script("echo one; while ! test -e go; do sleep 0.005; done");
  const ProgramId second = desk.start_behind(first, {"echo", "two"});
  const ProgramId third = desk.start_behind(second, {"echo", "three"});
  desk.spawner().withdraw(second);
  EXPECT_EQ(desk.end_of(second).kind, EndKind::kWithdrawn);
  std::ofstream(desk.directory() / "go");
  EXPECT_EQ(desk.end_of(third).code, 0);
  EXPECT_EQ(desk.output(first), "one\n");
  EXPECT_EQ(desk.output(second), "");
  EXPECT_EQ(desk.output(third), "three\n");
}

TEST(Spawner, WithdrawsAProgramThatWaits) {
  SpawnerDesk desk;
  const ProgramId first = desk.start_script("echo one; sleep 1000");
  const ProgramId second = desk.start_behind(first, {"echo", "two"});
  desk.spawner().withdraw(first);  // Runs already: nothing.
  desk.spawner().withdraw(second);
  EXPECT_EQ(desk.end_of(second).kind, EndKind::kWithdrawn);
  EXPECT_TRUE(desk.spawner().can_wait_behind(first));
  const ProgramId third = desk.start_behind(first, {"echo", "three"});
  desk.spawner().stop(first, 0s);
  EXPECT_EQ(desk.end_of(first).code, SIGKILL);
  EXPECT_EQ(desk.end_of(third).code, 0);
  EXPECT_EQ(desk.output(third), "three\n");
}

TEST(Spawner, StartsWhatWaitsBehindAProgramThatDidNotStart) {
  SpawnerDesk desk;
  const ProgramId first = desk.start({"no-such-program"});
  if (!desk.spawner().can_wait_behind(first)) GTEST_FAIL() << "an end was told outside dispatch()";
  const ProgramId second = desk.start_behind(first, {"no-such-program"});
  EXPECT_EQ(desk.end_of(first).code, ENOENT);
  EXPECT_EQ(desk.end_of(second).code, ENOENT);
}

}  // namespace
}  // namespace chappe::exec
