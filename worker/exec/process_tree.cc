#include "worker/exec/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace chappe::exec {
namespace {

/// A small file of /proc whole; empty where it cannot be read.
std::string read_whole(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  std::array<char, 4096> piece{};
  ssize_t got = 0;
  while ((got = ::read(fd, piece.data(), piece.size())) > 0) text.append(piece.data(), static_cast<std::size_t>(got));
  ::close(fd);
  return text;
}

void append_pids(const std::string& text, std::vector<pid_t>& pids) {
  const char* next = text.c_str();
  char* end = nullptr;
  for (long pid = std::strtol(next, &end, 10); end != next; pid = std::strtol(next, &end, 10)) {
    pids.push_back(static_cast<pid_t>(pid));
    next = end;
  }
}

/// 0 where there is no such process.
pid_t parent_of(pid_t pid) {
  const std::string stat = read_whole(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(')');  // The name before it may hold anything.
  if (name_end == std::string::npos || name_end + 4 >= stat.size()) return 0;
  return static_cast<pid_t>(std::strtol(stat.c_str() + name_end + 4, nullptr, 10));
}

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

struct Descendant {
  pid_t pid = 0;
  pid_t parent = 0;
};

/// Parents before their children.
std::vector<Descendant> descendants(const std::set<pid_t>& spared) {
  std::vector<Descendant> found;
  std::set<pid_t> seen{::getpid()};
  const auto add_children = [&](pid_t parent) {
    for (const pid_t child : children_of(parent)) {
      if (!spared.contains(child) && seen.insert(child).second) found.push_back({child, parent});
    }
  };
  add_children(::getpid());
  for (std::size_t next = 0; next < found.size(); ++next) add_children(found[next].pid);
  return found;
}

bool send_signal(const Descendant& to, int signal) {
  const int fd = open_pidfd(to.pid);
  if (fd < 0) return false;
  // The pidfd names one process for good. Is it the one that we found? Its parent says so: the same one still, or us,
  // where that has ended by now.
  const pid_t parent = parent_of(to.pid);
  const bool ours = parent == to.parent || parent == ::getpid();
  const bool sent = ours && ::syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0) == 0;
  ::close(fd);
  return sent;
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> pids;
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(tasks.c_str()), &::closedir);
  if (threads == nullptr) return pids;
  while (const dirent* thread = ::readdir(threads.get())) {
    if (thread->d_name[0] == '.') continue;
    append_pids(read_whole(fmt::format("{}/{}/children", tasks, std::string_view(thread->d_name))), pids);
  }
  return pids;
}

std::size_t signal_descendants(int signal, const std::set<pid_t>& spared) {
  std::size_t signalled = 0;
  for (const Descendant& descendant : descendants(spared)) {
    if (send_signal(descendant, signal)) ++signalled;
  }
  return signalled;
}

}  // namespace chappe::exec
