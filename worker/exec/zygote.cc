#include "worker/exec/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <vector>

#include "worker/exec/descriptors.h"
#include "worker/exec/messages.h"
#include "worker/exec/process_tree.h"
#include "worker/exec/supervisor.h"

namespace chappe::exec {
namespace {

/// What every task inherits: no input, no core files, no way to more privileges, no signal that is ignored.
void settle_down() {
  ::setsid();  // A terminal's Ctrl-C is the worker's business.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_NAME, "chappe-spawner");
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::close(null);
}

class Zygote {
 public:
  Zygote(int control, int lock_fd, const Fence& fence, const ControlGroups& groups)
      : control_(control), lock_fd_(lock_fd), fence_(fence), groups_(groups) {
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    signals_ = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  void run() {
    for (bool children = false; control_ >= 0 || children; children = reap()) wait();
    groups_.remove();
  }

 private:
  void wait() {
    pollfd fds[2] = {{control_, POLLIN, 0}, {signals_, POLLIN, 0}};
    // With orphans left, or nothing left to hear, come back soon and look again.
    (void)::poll(fds, 2, orphans_ || control_ < 0 ? 100 : -1);
    if (fds[1].revents != 0) {
      signalfd_siginfo info[8];
      (void)!::read(signals_, info, sizeof info);
    }
    if (fds[0].revents != 0) take_request();
  }

  void take_request() {
    char byte = 0;
    if (receive_all(control_, &byte, 1) && add_supervisor()) return;
    ::close(control_);
    control_ = -1;
  }

  /// False: the worker is gone, or cannot be given what it asked for.
  bool add_supervisor() {
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return false;
    SupervisorEnds reader{sockets[0], {}};
    SupervisorEnds writer{sockets[1], {}};
    for (std::size_t i = 0; i < kPipes; ++i) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC) != 0) return false;  // The worker is told by the end of `control`.
      reader.outputs[i] = ends[0];
      writer.outputs[i] = ends[1];
    }
    const pid_t pid = ::fork();
    if (pid == 0) become_supervisor(writer, reader.outputs);
    close_ends(writer);
    const bool sent = pid > 0 && send_ends(control_, reader);
    close_ends(reader);
    if (pid > 0) supervisors_.insert(pid);
    return sent;
  }

  static void close_ends(const SupervisorEnds& ends) {
    ::close(ends.socket);
    for (const int fd : ends.outputs) ::close(fd);
  }

  [[noreturn]] void become_supervisor(const SupervisorEnds& ends, const std::array<int, kPipes>& read_ends) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // Not inherited.
    ::prctl(PR_SET_NAME, "chappe-superv");
    close_all_but({ends.socket, ends.outputs[0], ends.outputs[1], read_ends[0], read_ends[1], lock_fd_});
    run_supervisor(ends, read_ends, fence_, groups_.enter(::getpid()));
    ::_exit(0);
  }

  /// Collects the dead and kills what a dead supervisor left to us. True: there are children still.
  bool reap() {
    pid_t pid = 0;
    bool lost = false;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG | __WALL)) > 0) lost = supervisors_.erase(pid) > 0 || lost;
    if (pid < 0) return orphans_ = false;
    const bool had_orphans = orphans_;
    orphans_ = signal_descendants(SIGKILL, supervisors_) > 0;
    if (lost || had_orphans) groups_.sweep(supervisors_);
    return true;
  }

  int control_;
  const int lock_fd_;
  const Fence& fence_;
  const ControlGroups& groups_;
  int signals_ = -1;
  bool orphans_ = false;
  std::set<pid_t> supervisors_;
};

}  // namespace

void run_zygote(int control, int lock_fd, const Fence& fence, const ControlGroups& groups) {
  settle_down();
  close_all_but({control, lock_fd});
  Zygote(control, lock_fd, fence, groups).run();
  ::_exit(0);
}

}  // namespace chappe::exec
