#include "worker/container/keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "engine/ports/log.h"
#include "worker/container/container_api.h"
#include "worker/container/runtime.h"
#include "worker/exec/descriptors.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookMost = 1s;      ///< A scheduler may come back with a shorter lease.
constexpr Duration kKillAgain = 500ms;  ///< While something still runs past the fence.
constexpr Duration kRemoveMost = 12s;   ///< Less than a worker waits for the lock of its directory.

void become_a_keeper(int line, int lock_fd) {
  ::setsid();
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, "chappe-keeper");
  exec::close_all_but({line, lock_fd});
}

class Watch {
 public:
  Watch(int line, const std::string& socket, std::string owner, const exec::Fence& fence)
      : line_(line), api_(socket), owner_(std::move(owner)), fence_(fence) {}

  void run() {
    while (!worker_is_gone(next_look())) enforce_fence();
    if (auto removed = remove_all(api_, owner_, kRemoveMost); !removed) {
      log::error("containers may be left behind: {}", removed.error().message);
    } else if (*removed > 0) {
      log::warn("the worker is gone: removed {} containers that it left", *removed);
    }
  }

 private:
  bool worker_is_gone(Duration wait) const {
    pollfd fd{line_, POLLIN, 0};
    return ::poll(&fd, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count())) > 0;
  }

  Duration next_look() const {
    const MonoTime now = exec::boot_time();
    if (now >= fence_.kill_at()) return kKillAgain;
    const MonoTime next = now >= fence_.terminate_at() ? fence_.kill_at() : fence_.terminate_at();
    if (next.us == exec::Fence::kNever) return kLookMost;
    return std::clamp<Duration>(next - now, 0ms, kLookMost);
  }

  void enforce_fence() {
    const MonoTime now = exec::boot_time();
    const bool kill = now >= fence_.kill_at();
    if (now < fence_.terminate_at()) {
      terminated_ = false;
    } else if (kill || !std::exchange(terminated_, true)) {
      signal_all(kill ? "SIGKILL" : "SIGTERM");
    }
  }

  void signal_all(const char* name) {
    const auto ids = api_.labelled(owner_label(owner_), ContainerApi::Which::kRunning);
    if (!ids) return log::error("stop what runs past the fence: {}", ids.error().message);
    for (const std::string& id : *ids) {
      if (auto sent = api_.signal(id, name); !sent) log::warn("stop container {}: {}", id, sent.error().message);
    }
  }

  const int line_;
  ContainerApi api_;
  const std::string owner_;
  const exec::Fence& fence_;
  bool terminated_ = false;
};

}  // namespace

Result<Keeper> Keeper::start(const std::string& socket, const std::string& owner, int lock_fd,
                             const exec::Fence& fence) {
  int ends[2] = {-1, -1};
  const bool paired = ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0;
  const pid_t pid = paired ? ::fork() : -1;
  if (pid < 0) return fail(ErrorCode::kUnavailable, fmt::format("start the keeper: {}", std::strerror(errno)));
  if (pid == 0) {
    become_a_keeper(ends[1], lock_fd);
    Watch(ends[1], socket, owner, fence).run();
    ::_exit(0);
  }
  ::close(ends[1]);
  return Keeper(ends[0]);
}

Keeper::Keeper(Keeper&& other) noexcept : line_(std::exchange(other.line_, -1)) {}

Keeper::~Keeper() {
  if (line_ >= 0) ::close(line_);
}

}  // namespace chappe::container
