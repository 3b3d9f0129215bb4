#include "worker/exec/supervisor.h"

#include <fcntl.h>
#include <poll.h>
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
#include <optional>
#include <string_view>
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

[[gnu::noinline]] pid_t start_program(const Program& program, volatile LaunchFailure& failure) {
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
  failure.error = execute(program);
  ::_exit(127);
}

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

class Supervisor {
 public:
  Supervisor(int socket, int signals, const Fence& fence) : socket_(socket), signals_(signals), fence_(fence) {}

  void run() {
    while (!worker_gone_ || busy_) {
      wait();
      if (busy_) reap();
      if (busy_) enforce(boot_time());
    }
  }

 private:
  /// Until a message, the end of a child, or the next instant at which something is due.
  void wait() {
    pollfd fds[2] = {{worker_gone_ ? -1 : socket_, POLLIN, 0}, {signals_, POLLIN, 0}};
    (void)::poll(fds, 2, busy_ ? milliseconds_to_wait() : -1);  // EINTR: as if nothing had come.
    if (fds[1].revents != 0) {
      signalfd_siginfo info[8];
      (void)!::read(signals_, info, sizeof info);  // Only a wake-up: reap() asks for the children themselves.
    }
    if (fds[0].revents != 0) take_request();
  }

  int milliseconds_to_wait() const {
    MonoTime due = boot_time() + kFenceLook;
    if (!terminating_) due = std::min(due, fence_.terminate_at());
    if (!killing_) due = std::min({due, kill_at_, fence_.kill_at()});
    if (killing_) due = std::min(due, boot_time() + kKillAgain);
    const Duration left = due - boot_time();
    return static_cast<int>(std::clamp<std::int64_t>(left.count() / 1000 + 1, 0, 60'000));
  }

  void take_request() {
    Request request;
    if (!receive_all(socket_, &request, sizeof request) || request.bytes > kLaunchBytesMax) return lose_worker();
    if (request.kind == RequestKind::kStop) {
      if (busy_) terminate(Duration(request.grace_us));
      return;
    }
    bytes_.resize(request.bytes);
    if (!receive_all(socket_, bytes_.data(), bytes_.size()) || busy_) return lose_worker();
    launch(request);
  }

  void launch(const Request& request) {
    end_ = {};
    terminating_ = killing_ = main_ended_ = false;
    kill_at_ = {Fence::kNever};
    grace_ = Duration(request.grace_us);
    // A program before may have made the pipe non-blocking: for the next one, too.
    (void)::fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY);
    volatile LaunchFailure failure;
    failure.error = 0;
    failure.directory = false;
    Program program;
    if (!read_program(bytes_, request, program)) return not_started(EINVAL, false);
    main_ = start_program(program, failure);
    busy_ = true;
    if (main_ < 0) return not_started(errno, false);
    if (failure.error == 0) return;
    while (::waitpid(main_, nullptr, 0) < 0 && errno == EINTR) continue;
    not_started(failure.error, failure.directory);
  }

  void not_started(int error, bool directory) {
    end_.kind = EndKind::kNotStarted;
    end_.code = error;
    end_.directory_failed = directory;
    tell_end();
  }

  void reap() {
    for (;;) {
      int status = 0;
      rusage usage{};
      const pid_t pid = ::wait4(-1, &status, WNOHANG | __WALL, &usage);
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) return tell_end();  // No child left, so nothing of the program.
      if (pid == 0) break;
      end_.cpu_us += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
      end_.peak_memory_bytes =
          std::max(end_.peak_memory_bytes, static_cast<std::uint64_t>(usage.ru_maxrss) * std::uint64_t{1024});
      if (pid == main_) note_main(status);
    }
    if (killing_) (void)signal_descendants(SIGKILL);  // Some were born while others died.
    if (main_ended_ && !terminating_) terminate(grace_);
  }

  void note_main(int status) {
    main_ended_ = true;
    end_.kind = WIFSIGNALED(status) ? EndKind::kSignalled : EndKind::kExited;
    end_.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  }

  void enforce(MonoTime now) {
    const bool fenced = now >= fence_.terminate_at();
    if (fenced && !terminating_) {
      end_.fenced = !main_ended_;
      terminate(fence_.kill_at() - now);
    }
    if (!killing_ && (now >= kill_at_ || now >= fence_.kill_at())) kill();
    if (killing_) (void)signal_descendants(SIGKILL);
  }

  void terminate(Duration grace) {
    if (!main_ended_) end_.terminated = true;
    kill_at_ = std::min(kill_at_, boot_time() + std::max(grace, Duration(0)));
    if (!terminating_ && grace > 0us) {
      (void)signal_descendants(SIGTERM);
      (void)signal_descendants(SIGCONT);  // A stopped process takes its SIGTERM only now.
    }
    terminating_ = true;
  }

  void kill() {
    if (!main_ended_) end_.terminated = true;
    terminating_ = killing_ = true;
  }

  void lose_worker() {
    worker_gone_ = true;
    if (busy_) kill();
  }

  void tell_end() {
    busy_ = false;
    if (!worker_gone_ && !send_all(socket_, &end_, sizeof end_)) worker_gone_ = true;
  }

  const int socket_;
  const int signals_;
  const Fence& fence_;
  std::vector<char> bytes_;
  bool worker_gone_ = false;
  bool busy_ = false;  ///< A program, or something that it left, runs.
  pid_t main_ = 0;
  bool main_ended_ = false;
  bool terminating_ = false;
  bool killing_ = false;
  MonoTime kill_at_{Fence::kNever};
  Duration grace_{};
  ProcessEnd end_;
};

}  // namespace

void run_supervisor(int socket, const Fence& fence) {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return;
  Supervisor(socket, signals, fence).run();
}

}  // namespace chappe::exec
