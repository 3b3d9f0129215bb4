#include "worker/exec/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <deque>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/exec/messages.h"
#include "worker/exec/process_tree.h"

namespace chappe::exec {

MonoTime boot_time() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1'000};
}

namespace {

using namespace std::chrono_literals;

/// Who survives SIGKILL for longer waits for a disk; look again this often.
constexpr Duration kKillAgain = 100ms;
/// The fence is looked at this often at least, in case that it was moved to sooner.
constexpr Duration kFenceLook = 5s;
/// An end that waits for others is told after this time.
constexpr Duration kTellAfter = 10ms;
/// When so few programs are left, the worker is told what has ended, to bring more.
constexpr std::size_t kLineLow = 4;

/// A Launch as execve wants it; points into the message it was read from.
struct Program {
  const char* directory = nullptr;
  std::vector<char*> argv;  ///< Ends with a null pointer, as does envp.
  std::vector<char*> envp;
};

/// Cuts the texts apart. False: fewer texts than were promised.
bool read_program(std::vector<char>& bytes, const Request& request, Program& program) {
  char* next = bytes.data();
  char* const end = next + bytes.size();
  const auto take = [&]() -> char* {
    char* const text = next;
    char* const nul = static_cast<char*>(std::memchr(next, 0, static_cast<std::size_t>(end - next)));
    if (nul == nullptr) return nullptr;
    next = nul + 1;
    return text;
  };
  program.directory = take();
  bool whole = program.directory != nullptr;
  for (auto [list, count] : {std::pair{&program.argv, request.arguments}, {&program.envp, request.variables}}) {
    list->clear();
    for (std::uint32_t i = 0; i < count && whole; ++i) {
      list->push_back(take());
      whole = list->back() != nullptr;
    }
    list->push_back(nullptr);
  }
  return whole && next == end && program.argv.front() != nullptr;
}

std::string_view search_path(const Program& program) {
  for (const char* variable : program.envp) {
    if (variable != nullptr && std::strncmp(variable, "PATH=", 5) == 0) return variable + 5;
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

/// Becomes the program, or returns why not. No allocation: it runs in the memory of the process that vforked.
int execute(const Program& program) {
  const char* name = program.argv.front();
  if (std::strchr(name, '/') != nullptr) {
    ::execve(name, program.argv.data(), program.envp.data());
    return errno;
  }
  const std::size_t name_size = std::strlen(name);
  int error = ENOENT;
  std::string_view path = search_path(program);
  while (!path.empty() && name_size > 0) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    char file[PATH_MAX];
    if (colon > 0 && colon + name_size + 2 <= sizeof file) {
      std::memcpy(file, path.data(), colon);
      file[colon] = '/';
      std::memcpy(file + colon + 1, name, name_size + 1);
      ::execve(file, program.argv.data(), program.envp.data());
      if (errno == EACCES) error = EACCES;  // Perhaps there is another further on; else tell that.
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return errno;
    }
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return error;
}

/// What a vforked child tells its parent through the memory they share.
struct LaunchFailure {
  int error = 0;
  bool directory = false;
};

/// In the new process. False: errno says why. No allocation, as in execute().
bool bound(const SupervisorGroups& groups, bool grouped) {
  if (grouped) return groups.enter();
  const rlimit data{groups.data_limit(), groups.data_limit()};
  return data.rlim_cur == 0 || ::setrlimit(RLIMIT_DATA, &data) == 0;
}

[[gnu::noinline]] pid_t start_program(const Program& program, const SupervisorGroups& groups, bool grouped,
                                      volatile LaunchFailure& failure) {
  const pid_t supervisor = ::getpid();
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::_exit(127);
  if (::chdir(program.directory) != 0) {
    failure.error = errno;
    failure.directory = true;
    ::_exit(127);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  failure.error = bound(groups, grouped) ? execute(program) : errno;
  ::_exit(127);
}

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

/// A launch as it came.
struct Waiting {
  Request request;
  std::vector<char> bytes;
};

class Supervisor {
 public:
  Supervisor(const SupervisorEnds& ends, const std::array<int, kPipes>& read_ends, int signals, const Fence& fence,
             SupervisorGroups groups)
      : ends_(ends), read_ends_(read_ends), signals_(signals), fence_(fence), groups_(std::move(groups)) {
    use_pipe(0);
  }

  void run() {
    while (!worker_gone_ || busy()) {
      wait();
      if (busy()) reap();
      if (busy()) enforce(boot_time());
      start_waiting();
      if (must_tell()) tell();
    }
  }

 private:
  bool busy() const { return current_.program != 0; }
  bool writes_told() const { return current_.pipe != kNoPipe; }

  /// Until a message, the first output of the program, the end of a child, or the next instant at which something is
  /// due.
  void wait() {
    pollfd fds[3] = {{worker_gone_ ? -1 : ends_.socket, POLLIN, 0},
                     {signals_, POLLIN, 0},
                     {busy() && !writes_told() ? read_ends_[pipe_] : -1, POLLIN, 0}};
    const int ready = ::poll(fds, std::size(fds), milliseconds_to_wait());
    if (ready < 0) return;  // EINTR: as if nothing had come.
    if (fds[1].revents != 0) {
      signalfd_siginfo info[2];
      (void)!::read(signals_, info, sizeof info);  // Only a wake-up: reap() asks for the children themselves.
    }
    if (fds[2].revents != 0) tell_that_it_writes();
    if (fds[0].revents != 0) take_requests();
  }

  int milliseconds_to_wait() const {
    if (!busy() && ended_.empty()) return -1;
    const MonoTime now = boot_time();
    MonoTime due = now + (killing_ ? kKillAgain : kFenceLook);
    if (busy() && !terminating_) due = std::min(due, fence_.terminate_at());
    if (busy() && !killing_) due = std::min({due, kill_at_, fence_.kill_at()});
    if (!ended_.empty()) due = std::min(due, ended_.front().end.ended_at + kTellAfter);
    const Duration left = due - now;
    return static_cast<int>(std::clamp<std::int64_t>(left.count() / 1000 + 1, 0, 60'000));
  }

  // ---- What the worker asks for ----

  void take_requests() {
    if (!inbox_.fill(ends_.socket)) return lose_worker();
    Request request;
    while (!worker_gone_ && inbox_.bytes().size() >= sizeof request) {
      std::memcpy(&request, inbox_.bytes().data(), sizeof request);
      if (request.bytes > kLaunchBytesMax) return lose_worker();
      if (inbox_.bytes().size() < sizeof request + request.bytes) return;
      take(request, inbox_.bytes().subspan(sizeof request, request.bytes));
      inbox_.take(sizeof request + request.bytes);
    }
  }

  void take(const Request& request, std::span<const char> bytes) {
    switch (request.kind) {
      case RequestKind::kLaunch:
        if (waiting_.size() > kLineMax) return lose_worker();  // It does not keep to its own rules.
        waiting_.push_back({request, {bytes.begin(), bytes.end()}});
        return start_waiting();
      case RequestKind::kStop:
        if (request.program == current_.program) return terminate(Duration(request.grace_us));
        if (is_next(request.program)) return give_up_next();
        return withdraw(request.program);
      case RequestKind::kWithdraw:
        return withdraw(request.program);
      case RequestKind::kDrained:
        if (request.pipe >= kPipes) return lose_worker();
        unread_[request.pipe] = false;
        return;
    }
    lose_worker();
  }

  /// For the worker it runs already; it only waits for a pipe.
  bool is_next(ProgramId program) const {
    return !busy() && !waiting_.empty() && waiting_.front().request.program == program;
  }

  void give_up_next() {
    current_ = {.program = waiting_.front().request.program};
    waiting_.pop_front();
    not_started(ECANCELED, false);
  }

  void withdraw(ProgramId program) {
    if (is_next(program)) return;
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Waiting& each) { return each.request.program == program; });
    if (found == waiting_.end()) return;  // It runs, or is over: its end is told.
    waiting_.erase(found);
    Answer answer{.program = program};
    answer.end.kind = EndKind::kWithdrawn;
    ended_.push_back(answer);
    tell();
  }

  // ---- A program begins ----

  void start_waiting() {
    while (!busy() && !waiting_.empty() && !worker_gone_) {
      if (unread_[pipe_]) use_pipe((pipe_ + 1) % kPipes);
      if (unread_[pipe_]) return;  // Until the worker has read.
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      launch(next);
    }
  }

  void use_pipe(std::uint32_t pipe) {
    pipe_ = pipe;
    ::dup2(ends_.outputs[pipe], STDOUT_FILENO);
    ::dup2(ends_.outputs[pipe], STDERR_FILENO);
  }

  void launch(Waiting& next) {
    current_ = {.program = next.request.program};
    terminating_ = killing_ = main_ended_ = false;
    kill_at_ = {Fence::kNever};
    grace_ = Duration(next.request.grace_us);
    // A program before may have made it non-blocking, for all who come later.
    (void)::fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY);
    volatile LaunchFailure failure;
    failure.error = 0;
    failure.directory = false;
    Program program;
    if (!read_program(next.bytes, next.request, program)) return not_started(EINVAL, false);
    const bool grouped = groups_.begin(next.request.memory_bytes);
    main_ = start_program(program, groups_, grouped, failure);
    if (main_ < 0) return not_started(errno, false);
    if (failure.error == 0) return;
    while (::waitpid(main_, nullptr, 0) < 0 && errno == EINTR) continue;
    not_started(failure.error, failure.directory);
  }

  void not_started(int error, bool directory) {
    current_.end.kind = EndKind::kNotStarted;
    current_.end.code = error;
    current_.end.directory_failed = directory;
    end();
  }

  // ---- ... and ends ----

  void reap() {
    for (;;) {
      int status = 0;
      rusage usage{};
      const pid_t pid = ::wait4(-1, &status, WNOHANG | __WALL, &usage);
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) return end();  // No child left, so nothing of the program.
      if (pid == 0) break;
      ProcessEnd& end = current_.end;
      end.cpu_us += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
      end.peak_memory_bytes =
          std::max(end.peak_memory_bytes, static_cast<std::uint64_t>(usage.ru_maxrss) * std::uint64_t{1024});
      if (pid == main_) note_main(status);
    }
    if (killing_) (void)signal_descendants(SIGKILL);  // Some were born while others died.
    if (main_ended_ && !terminating_) terminate(grace_);
  }

  void note_main(int status) {
    main_ended_ = true;
    current_.end.kind = WIFSIGNALED(status) ? EndKind::kSignalled : EndKind::kExited;
    current_.end.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  }

  void enforce(MonoTime now) {
    if (now >= fence_.terminate_at() && !terminating_) {
      current_.end.fenced = !main_ended_;
      terminate(fence_.kill_at() - now);
    }
    if (!killing_ && (now >= kill_at_ || now >= fence_.kill_at())) kill();
    if (killing_) (void)signal_descendants(SIGKILL);
  }

  void terminate(Duration grace) {
    if (!main_ended_) current_.end.terminated = true;
    kill_at_ = std::min(kill_at_, boot_time() + std::max(grace, Duration(0)));
    if (!terminating_ && grace > 0us) {
      (void)signal_descendants(SIGTERM);
      (void)signal_descendants(SIGCONT);  // A stopped process takes its SIGTERM only now.
    }
    terminating_ = true;
  }

  void kill() {
    if (!main_ended_) current_.end.terminated = true;
    terminating_ = killing_ = true;
    groups_.forbid_forks();
  }

  void lose_worker() {
    worker_gone_ = true;
    waiting_.clear();
    if (busy()) kill();
  }

  void end() {
    int bytes = 0;
    if (!unread_[pipe_]) (void)::ioctl(read_ends_[pipe_], FIONREAD, &bytes);
    if (bytes > 0) current_.pipe = pipe_;
    unread_[pipe_] = unread_[pipe_] || writes_told();
    const bool succeeded = current_.end.kind == EndKind::kExited && current_.end.code == 0;
    current_.end.outgrew_memory = groups_.end(succeeded);
    current_.end.ended_at = boot_time();
    ended_.push_back(std::exchange(current_, {}));
  }

  // ---- What the worker is told ----

  /// Ends wait for each other while there is more to run than the worker needs to bring more in time.
  bool must_tell() const {
    if (ended_.empty()) return false;
    return !busy() || waiting_.size() == kLineLow || ended_.back().pipe != kNoPipe ||
           boot_time() >= ended_.front().end.ended_at + kTellAfter;
  }

  void tell_that_it_writes() {
    current_.kind = AnswerKind::kWrites;
    current_.pipe = pipe_;
    ended_.push_back(current_);
    current_.kind = AnswerKind::kEnded;
    tell();
  }

  void tell() {
    if (!worker_gone_ && !send_all(ends_.socket, ended_.data(), ended_.size() * sizeof(Answer))) lose_worker();
    ended_.clear();
  }

  const SupervisorEnds ends_;
  const std::array<int, kPipes> read_ends_;
  const int signals_;
  const Fence& fence_;
  SupervisorGroups groups_;
  Inbox inbox_;
  bool worker_gone_ = false;
  std::deque<Waiting> waiting_;        ///< Behind the current program.
  std::vector<Answer> ended_;          ///< To be told.
  std::uint32_t pipe_ = 0;             ///< The program's stdout and stderr.
  std::array<bool, kPipes> unread_{};  ///< The pipe holds, or held, something of a program that ended.
  Answer current_;                     ///< Program 0: none runs, and nothing that one left.
  pid_t main_ = 0;
  bool main_ended_ = false;
  bool terminating_ = false;
  bool killing_ = false;
  MonoTime kill_at_{Fence::kNever};
  Duration grace_{};
};

}  // namespace

void run_supervisor(const SupervisorEnds& ends, const std::array<int, kPipes>& read_ends, const Fence& fence,
                    SupervisorGroups groups) {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return;
  Supervisor(ends, read_ends, signals, fence, std::move(groups)).run();
}

}  // namespace chappe::exec
