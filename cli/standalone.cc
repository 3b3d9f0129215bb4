#include "cli/standalone.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "cli/exit_code.h"
#include "cli/processes.h"
#include "cli/state_dir.h"
#include "engine/ports/log.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kRestFirst{100};
constexpr milliseconds kRestMost{10'000};
constexpr std::chrono::seconds kStableAfter{30};  // A life as long as this is none that "keeps dying".
constexpr int kDeathsInARowMax = 10;
constexpr milliseconds kEndpointLook{5};
constexpr std::chrono::seconds kStopMax{75};  // The workers' own bound for draining is the lease, 60 s.

struct Child {
  std::vector<std::string> arguments;
  int pid = 0;  ///< 0: not running.
  Clock::time_point started_at{};
  std::optional<Clock::time_point> start_at;  ///< Set: not running, start it then.
  milliseconds rest = kRestFirst;
  int deaths_in_a_row = 0;
  const std::string& name() const { return arguments.front(); }
};

std::vector<std::string> scheduler_arguments(const StandaloneConfig& config) {
  std::vector<std::string> words{"scheduler", "--state-dir", config.state_dir.string(), "--quit-with-parent"};
  if (!config.object_store.empty()) words.insert(words.end(), {"--object-store", config.object_store});
  words.insert(words.end(), config.scheduler_words.begin(), config.scheduler_words.end());
  return words;
}

/// Cores are shared out so that all workers together take no more tasks than the machine carries.
std::vector<std::string> worker_arguments(const StandaloneConfig& config, std::uint32_t number) {
  std::vector<std::string> words{"worker",
                                 "--state-dir",
                                 config.state_dir.string(),
                                 "--quit-with-parent",
                                 "--name",
                                 fmt::format("local-{}", number)};
  if (!config.object_store.empty()) words.insert(words.end(), {"--object-store", config.object_store});
  if (!config.container_socket.empty()) {
    words.insert(words.end(), {"--container-socket", config.container_socket});
  }
  if (config.workers > 1) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const unsigned share = std::max(1U, cores / config.workers + (number <= cores % config.workers ? 1 : 0));
    words.insert(words.end(), {"--cpus", std::to_string(share)});
  }
  return words;
}

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

class Supervisor {
 public:
  Supervisor(const StandaloneConfig& config, pid_t parent) : config_(config), parent_(parent) {
    children_.push_back({.arguments = scheduler_arguments(config)});
    for (std::uint32_t number = 1; number <= config.workers; ++number) {
      children_.push_back({.arguments = worker_arguments(config, number)});
    }
  }

  int run() {
    const auto now = Clock::now();
    for (Child& child : children_) child.start_at = now;
    while (!stopping_) {
      start_what_is_due();
      announce_when_ready();
      wait_for_signal();
    }
    return stop_all();
  }

 private:
  void start_what_is_due() {
    for (Child& child : children_) {
      if (!child.start_at || *child.start_at > Clock::now()) continue;
      child.start_at.reset();
      child.started_at = Clock::now();
      const auto pid = spawn_self({.arguments = child.arguments, .log = {}});
      if (pid) {
        child.pid = *pid;
      } else {
        log::error("{}", pid.error().message);
        died(child, true);
      }
    }
  }

  void announce_when_ready() {
    if (announced_pid_ == children_.front().pid) return;
    const auto endpoint = read_endpoint(config_.state_dir);
    if (!endpoint || endpoint->pid != children_.front().pid) return;
    announced_pid_ = endpoint->pid;
    fmt::print(stderr, "chappe: the API is at {} (token: {})\n", endpoint->api, (config_.state_dir / "token").string());
  }

  void wait_for_signal() {
    const sigset_t set = watched_signals();
    const timespec wait = time_to_next_start();
    const int number = ::sigtimedwait(&set, nullptr, &wait);
    if (number == SIGCHLD) reap();
    if (number > 0 && number != SIGCHLD) stopping_ = true;
  }

  timespec time_to_next_start() const {
    Clock::duration wait =
        announced_pid_ == children_.front().pid ? Clock::duration(std::chrono::hours(1)) : kEndpointLook;
    for (const Child& child : children_) {
      if (child.start_at) wait = std::min(wait, std::max(Clock::duration::zero(), *child.start_at - Clock::now()));
    }
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
    return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto child = std::ranges::find(children_, pid, &Child::pid);
      if (child == children_.end()) continue;
      child->pid = 0;
      if (stopping_) continue;
      log::warn("{} {} {}", child->name(), pid,
                WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status))
                                    : fmt::format("ended with code {}", WEXITSTATUS(status)));
      died(*child, WIFEXITED(status));
    }
  }

  /// `by_itself`: not by a signal.
  void died(Child& child, bool by_itself) {
    const bool stable = Clock::now() - child.started_at > kStableAfter;
    child.rest = stable ? kRestFirst : std::min(child.rest * 2, kRestMost);
    child.deaths_in_a_row = stable ? 1 : child.deaths_in_a_row + 1;
    child.start_at = Clock::now() + (child.deaths_in_a_row == 1 ? kRestFirst : child.rest);
    // A scheduler that ended by itself before it was ready has said why, and would only say it again.
    const bool gave_up = by_itself && &child == &children_.front() && announced_pid_ == 0;
    if (child.deaths_in_a_row < kDeathsInARowMax && !gave_up) return;
    log::error("{} cannot be kept up: it ended {} times in a row", child.name(), child.deaths_in_a_row);
    stopping_ = true;
    code_ = kFailure;
  }

  /// Workers first: they bring their attempts to an end while the scheduler still listens.
  int stop_all() {
    for (std::size_t i = 1; i < children_.size(); ++i) send(children_[i], SIGTERM);
    wait_until_gone(1, children_.size());
    send(children_.front(), SIGTERM);
    wait_until_gone(0, 1);
    return code_;
  }

  static void send(const Child& child, int number) {
    if (child.pid > 0) ::kill(child.pid, number);
  }

  /// Nobody waits for what runs any more.
  bool is_orphan() const { return config_.quit_with_parent && ::getppid() != parent_; }

  /// Past the bound, or at a second signal of ours, they are killed.
  void wait_until_gone(std::size_t begin, std::size_t end) {
    const auto deadline = is_orphan() ? Clock::now() : Clock::now() + kStopMax;
    const sigset_t set = watched_signals();
    bool killed = false;
    for (;;) {
      reap();
      const auto alive = std::any_of(children_.begin() + static_cast<std::ptrdiff_t>(begin),
                                     children_.begin() + static_cast<std::ptrdiff_t>(end),
                                     [](const Child& child) { return child.pid > 0; });
      if (!alive) return;
      const timespec moment{.tv_sec = 0, .tv_nsec = 100'000'000};
      const int number = ::sigtimedwait(&set, nullptr, &moment);
      if (!killed && ((number > 0 && number != SIGCHLD) || Clock::now() > deadline)) {
        for (std::size_t i = begin; i < end; ++i) send(children_[i], SIGKILL);
        killed = true;
      }
    }
  }

  const StandaloneConfig& config_;
  const pid_t parent_;
  std::vector<Child> children_;  ///< The scheduler first.
  int announced_pid_ = 0;
  bool stopping_ = false;
  int code_ = kOk;
};

}  // namespace

int run_standalone(const StandaloneConfig& config) {
  const pid_t parent = ::getppid();
  if (config.quit_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) return kOk;  // It went before we could ask to be told.
  }
  const sigset_t set = watched_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  if (const auto endpoint = read_endpoint(config.state_dir)) {
    return complain(fmt::format("a scheduler (process {}) serves {} already: {}", endpoint->pid,
                                config.state_dir.string(), endpoint->api),
                    kFailure);
  }
  return Supervisor(config, parent).run();
}

}  // namespace chappe::cli
