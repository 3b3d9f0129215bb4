#include "scheduler/notify/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace chappe::notify {
namespace {

/// A descriptor that is closed in the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// A file without a name, so that a program that does not read cannot hold anybody up.
int file_with(const std::string& text) {
  const int fd = memfd_create("notification", MFD_CLOEXEC);
  if (fd < 0) return fd;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t part = write(fd, text.data() + written, text.size() - written);
    if (part <= 0) break;
    written += static_cast<std::size_t>(part);
  }
  (void)lseek(fd, 0, SEEK_SET);
  return fd;
}

struct SpawnSettings {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

/// In a process group of its own, with the signals as a program expects them. 0, or an error number.
int start(const std::vector<std::string>& command, int input, pid_t& pid) {
  SpawnSettings settings;
  posix_spawn_file_actions_adddup2(&settings.actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&settings.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&settings.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  posix_spawnattr_setflags(&settings.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path.data(), nullptr};
  return posix_spawn(&pid, command[0].c_str(), &settings.actions, &settings.attributes, arguments.data(), environment);
}

}  // namespace

Result<void> run_program(const std::vector<std::string>& command, const std::string& input, std::chrono::seconds time) {
  const Descriptor file(file_with(input));
  if (file.get() < 0) return fail(ErrorCode::kUnavailable, "no memory for a program's input");
  pid_t pid = 0;
  if (const int error = start(command, file.get(), pid); error != 0) {
    return fail(ErrorCode::kInvalidInput, fmt::format("the program does not start: {}", std::strerror(error)));
  }
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const auto deadline = std::chrono::steady_clock::now() + time;
  int ready = 0;
  do {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    ready = poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  } while (ready < 0 && errno == EINTR);
  (void)kill(-pid, SIGKILL);  // What it left behind, or all of it.
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (ready <= 0)
    return fail(ErrorCode::kUnavailable, fmt::format("the program did not end within {} s", time.count()));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status))
    return fail(ErrorCode::kUnavailable, fmt::format("the program ended with {}", WEXITSTATUS(status)));
  return fail(ErrorCode::kUnavailable, fmt::format("the program ended with signal {}", WTERMSIG(status)));
}

}  // namespace chappe::notify
