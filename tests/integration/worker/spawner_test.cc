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

#include "worker/exec/process_tree.h"

namespace chappe::exec {
namespace {

using namespace std::chrono_literals;

class Desk {
 public:
  explicit Desk(int lock_fd = -1) : spawner_(std::move(*Spawner::start(lock_fd))) {
    directory_ = std::filesystem::temp_directory_path() / ("chappe-spawner-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
  }
  ~Desk() {
    EXPECT_TRUE(spawner_->finish(10s));
    std::filesystem::remove_all(directory_);
  }

  Slot start(std::vector<std::string> argv, Duration grace = 10s) {
    Launch launch{std::move(argv), {"PATH=/usr/bin:/bin", "NAME=value"}, directory_.string(), grace};
    Result<Slot> slot = spawner_->launch(launch);
    EXPECT_TRUE(slot.has_value());
    output_.erase(*slot);
    ends_.erase(*slot);
    return *slot;
  }
  Slot start_script(const std::string& script, Duration grace = 10s) { return start({"sh", "-c", script}, grace); }

  /// Waits, at most 20 s.
  ProcessEnd end_of(Slot slot) {
    EXPECT_TRUE(until([&] { return ends_.contains(slot); })) << "slot " << slot << " still runs";
    return ends_[slot];
  }
  template <typename Condition>
  bool until(const Condition& condition) {
    const MonoTime deadline = boot_time() + 20s;
    while (!condition() && boot_time() < deadline) {
      pollfd fd{spawner_->fd(), POLLIN, 0};
      (void)::poll(&fd, 1, 10);
      spawner_->dispatch({[this](Slot slot, std::span<const std::byte> bytes) {
                            output_[slot].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                          },
                          [this](Slot slot, const ProcessEnd& end) { ends_[slot] = end; }});
    }
    return condition();
  }
  bool until_output(Slot slot, const std::string& text) {
    return until([&] { return output_[slot].find(text) != std::string::npos; });
  }
  bool until_dead(pid_t pid) {
    return until([&] { return ::kill(pid, 0) != 0; });
  }

  const std::string& output(Slot slot) { return output_[slot]; }
  Spawner& spawner() { return *spawner_; }
  std::filesystem::path directory() const { return directory_; }

 private:
  std::unique_ptr<Spawner> spawner_;
  std::filesystem::path directory_;
  std::map<Slot, std::string> output_;
  std::map<Slot, ProcessEnd> ends_;
};

TEST(Spawner, RunsAProgramWithItsEnvironmentInItsDirectory) {
  Desk desk;
  const Slot slot = desk.start_script("echo $NAME; pwd; echo trouble >&2; exit 3");
  const ProcessEnd end = desk.end_of(slot);
  EXPECT_EQ(end.kind, EndKind::kExited);
  EXPECT_EQ(end.code, 3);
  EXPECT_EQ(desk.output(slot), "value\n" + std::filesystem::canonical(desk.directory()).string() + "\ntrouble\n");
}

TEST(Spawner, GivesTasksNothingButTheirOwn) {
  Desk desk;
  const Slot slot = desk.start_script(
      "ls /proc/self/fd | tr '\\n' ' '; cat; ulimit -c; grep NoNewPrivs /proc/self/status; "
      "grep SigBlk /proc/self/status; grep SigIgn /proc/self/status; env | wc -l");
  EXPECT_EQ(desk.end_of(slot).code, 0);
  // 3 is the directory that ls itself reads; sh adds PWD to the environment.
  EXPECT_EQ(desk.output(slot), "0 1 2 3 0\nNoNewPrivs:\t1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n3\n");
}

TEST(Spawner, TellsASignalFromAnExitCode) {
  Desk desk;
  const ProcessEnd end = desk.end_of(desk.start_script("kill -USR1 $$"));
  EXPECT_EQ(end.kind, EndKind::kSignalled);
  EXPECT_EQ(end.code, SIGUSR1);
  EXPECT_FALSE(end.terminated);
}

TEST(Spawner, SaysWhyAProgramDidNotStart) {
  Desk desk;
  const ProcessEnd missing = desk.end_of(desk.start({"no-such-program"}));
  EXPECT_EQ(missing.kind, EndKind::kNotStarted);
  EXPECT_EQ(missing.code, ENOENT);
  std::ofstream(desk.directory() / "text") << "not a program";
  EXPECT_EQ(desk.end_of(desk.start({"./text"})).code, EACCES);
  EXPECT_EQ(desk.end_of(desk.start({"/nowhere/at/all"})).code, ENOENT);
}

TEST(Spawner, SaysThatTheDirectoryIsNotThere) {
  Desk desk;
  const Result<Slot> slot = desk.spawner().launch({{"true"}, {}, "/nowhere", 1s});
  const ProcessEnd end = desk.end_of(*slot);
  EXPECT_EQ(end.kind, EndKind::kNotStarted);
  EXPECT_TRUE(end.directory_failed);
}

TEST(Spawner, RefusesWhatCannotBeRun) {
  Desk desk;
  EXPECT_FALSE(desk.spawner().launch({}).has_value());
  EXPECT_FALSE(desk.spawner().launch({{"a", std::string("b\0c", 3)}, {}, "/", 1s}).has_value());
  EXPECT_FALSE(desk.spawner().launch({{"a", std::string(kLaunchBytesMax, 'x')}, {}, "/", 1s}).has_value());
  EXPECT_EQ(desk.spawner().running(), 0U);
}

TEST(Spawner, TakesArgumentsUpToTheKernelsBound) {
  Desk desk;
  std::vector<std::string> argv{"sh", "-c", "echo $#", "sh"};
  argv.resize(12, std::string(100'000, 'x'));
  const Slot slot = desk.start(argv);
  EXPECT_EQ(desk.end_of(slot).code, 0);
  EXPECT_EQ(desk.output(slot), "8\n");
  argv.resize(5);
  argv.back() = std::string(200'000, 'x');  // The kernel takes 128 KiB a text.
  EXPECT_EQ(desk.end_of(desk.start(argv)).code, E2BIG);
}

TEST(Spawner, KillsWhatIgnoresSigterm) {
  Desk desk;
  const Slot slot = desk.start_script("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(desk.until_output(slot, "ready"));
  desk.spawner().stop(slot, 100ms);
  const ProcessEnd end = desk.end_of(slot);
  EXPECT_EQ(end.kind, EndKind::kSignalled);
  EXPECT_EQ(end.code, SIGKILL);
  EXPECT_TRUE(end.terminated);
}

TEST(Spawner, LetsAProgramCleanUpOnSigterm) {
  Desk desk;
  const Slot slot = desk.start_script("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(desk.until_output(slot, "ready"));
  desk.spawner().stop(slot, 15s);
  EXPECT_EQ(desk.end_of(slot).code, 7);
  EXPECT_EQ(desk.output(slot), "ready\nbye\n");
}

TEST(Spawner, EndsAStoppedProgram) {
  Desk desk;
  const Slot slot = desk.start_script("kill -STOP $$; echo never");
  desk.spawner().stop(slot, 15s);
  EXPECT_EQ(desk.end_of(slot).code, SIGTERM);
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
  Desk desk;
  const Slot slot = desk.start_script(kDaemonise, 100ms);
  EXPECT_EQ(desk.end_of(slot).code, 0);
  const pid_t daemon = read_pid(desk.directory() / "daemon");
  ASSERT_GT(daemon, 0);
  EXPECT_NE(::kill(daemon, 0), 0);
}

TEST(Spawner, DoesNotWaitForTheOutputThatAGrandchildHolds) {
  Desk desk;
  EXPECT_EQ(desk.end_of(desk.start_script("sleep 1000 & exit 0")).code, 0);
}

TEST(Spawner, LeavesOtherProgramsAloneWhenItCleansUp) {
  Desk desk;
  const Slot other = desk.start_script("echo $$ > other; sleep 1000");
  EXPECT_TRUE(desk.until([&] { return read_pid(desk.directory() / "other") > 0; }));
  (void)desk.end_of(desk.start_script(kDaemonise, 10ms));
  EXPECT_EQ(::kill(read_pid(desk.directory() / "other"), 0), 0);
  desk.spawner().stop(other, 0s);
  EXPECT_EQ(desk.end_of(other).code, SIGKILL);
}

TEST(Spawner, EndsAForkingCrowd) {
  Desk desk;
  const Slot slot = desk.start_script("f() { sleep 1000 & sleep 0.01; f & wait; }; f & f & f & f & echo on; wait");
  ASSERT_TRUE(desk.until_output(slot, "on"));
  desk.spawner().stop(slot, 0s);
  EXPECT_EQ(desk.end_of(slot).code, SIGKILL);
}

TEST(Spawner, GivesTheNextProgramAPipeThatBlocks) {
  Desk desk;
  const Slot first = desk.start({"python3", "-c", "import os; os.set_blocking(1, False)"});
  EXPECT_EQ(desk.end_of(first).code, 0);
  const Slot second = desk.start({"python3", "-c", "import os; print(os.get_blocking(1))"});
  EXPECT_EQ(desk.end_of(second).code, 0);
  EXPECT_EQ(second, first);
  EXPECT_EQ(desk.output(second), "True\n");
}

TEST(Spawner, CountsTimeAndMemoryOfDescendantsToo) {
  Desk desk;
  const Slot slot = desk.start({"sh", "-c",
                                "python3 -c 'import time\nx = bytearray(80 << 20)\n"
                                "while time.process_time() < 0.3: pass'; true"});
  const ProcessEnd end = desk.end_of(slot);
  EXPECT_GE(end.cpu_us, 300'000U);
  EXPECT_GE(end.peak_memory_bytes, std::uint64_t{80} << 20);
  EXPECT_LT(end.peak_memory_bytes, std::uint64_t{160} << 20);
}

TEST(Spawner, EndsProgramsWhenTheFencePassesWithoutAWordFromTheWorker) {
  Desk desk;
  const MonoTime now = boot_time();
  desk.spawner().fence().set(now + 500ms, now + 600ms);
  const Slot slot = desk.start_script("trap '' TERM; while :; do sleep 0.01; done");
  const ProcessEnd end = desk.end_of(slot);
  EXPECT_TRUE(end.fenced);
  EXPECT_EQ(end.code, SIGKILL);
  EXPECT_GE(boot_time(), now + 600ms);
}

TEST(Spawner, TellsWhenASupervisorIsKilledAndKillsWhatItWatched) {
  Desk desk;
  const Slot slot = desk.start_script(std::string(kDaemonise) + "; sleep 1000; echo $PPID");
  EXPECT_TRUE(desk.until([&] { return read_pid(desk.directory() / "daemon") > 0; }));
  const std::vector<pid_t> spawner = children_of(::getpid());
  ASSERT_EQ(spawner.size(), 1U);
  const std::vector<pid_t> supervisors = children_of(spawner.front());
  ASSERT_EQ(supervisors.size(), 1U);
  ::kill(supervisors.front(), SIGKILL);
  EXPECT_EQ(desk.end_of(slot).kind, EndKind::kLost);
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

TEST(Spawner, RunsManyAtATimeAndReusesSlots) {
  Desk desk;
  for (int round = 0; round < 2; ++round) {
    std::vector<Slot> slots;
    for (int i = 0; i < 20; ++i) slots.push_back(desk.start({"true"}));
    EXPECT_EQ(*std::max_element(slots.begin(), slots.end()), 19U);
    for (const Slot slot : slots) (void)desk.end_of(slot);
  }
}

}  // namespace
}  // namespace chappe::exec
