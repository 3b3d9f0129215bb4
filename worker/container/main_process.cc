#include "worker/container/main_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "worker/exec/control_groups.h"
#include "worker/exec/oom_counter.h"

namespace chappe::container {
namespace {

bool is_readable(const std::string& file) { return ::access(file.c_str(), R_OK) == 0; }

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

int open_in(const std::string& directory, const char* file) {
  return directory.empty() ? -1 : ::open((directory + "/" + file).c_str(), O_RDONLY | O_CLOEXEC);
}

/// The directory that counts `file` for these control groups; "" where none does.
std::string directory_of(const std::string& cgroups, const char* controllers, const char* mount, const char* file) {
  const std::string found = exec::group_directory(cgroups, controllers, mount, file, &is_readable);
  return found == mount ? "" : found;  // Not all of the machine's.
}

std::optional<std::string> read_again(int fd) {
  std::array<char, 4096> text{};
  const ssize_t size = fd >= 0 ? ::pread(fd, text.data(), text.size(), 0) : -1;
  if (size <= 0) return std::nullopt;
  return std::string(text.data(), static_cast<std::size_t>(size));
}

std::uint64_t number_at(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

std::optional<MainProcess> MainProcess::find(pid_t pid, const std::string& container) {
  if (pid <= 0 || container.empty()) return std::nullopt;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return std::nullopt;
  MainProcess process(pidfd);
  // Read behind the pidfd: were the number reused by now, it would be another's groups that we see.
  const std::string cgroups = text_of(fmt::format("/proc/{}/cgroup", pid));
  if (cgroups.find(container) == std::string::npos || !process.signal(0)) return std::nullopt;
  process.open_counters(cgroups);
  return process;
}

MainProcess::MainProcess(MainProcess&& other) noexcept
    : pidfd_(std::exchange(other.pidfd_, -1)),
      memory_events_(std::exchange(other.memory_events_, -1)),
      memory_peak_(std::exchange(other.memory_peak_, -1)),
      cpu_(std::exchange(other.cpu_, -1)),
      cpu_is_stat_(other.cpu_is_stat_) {}

MainProcess::~MainProcess() {
  for (const int fd : {pidfd_, memory_events_, memory_peak_, cpu_}) {
    if (fd >= 0) ::close(fd);
  }
}

void MainProcess::open_counters(const std::string& cgroups) {
  const std::string memory = directory_of(cgroups, "memory", "/sys/fs/cgroup/memory", "memory.oom_control");
  if (!memory.empty()) {
    memory_events_ = open_in(memory, "memory.oom_control");
    memory_peak_ = open_in(memory, "memory.max_usage_in_bytes");
    cpu_ = open_in(directory_of(cgroups, "cpuacct", "/sys/fs/cgroup/cpuacct", "cpuacct.usage"), "cpuacct.usage");
    return;
  }
  const std::string unified = directory_of(cgroups, "", "/sys/fs/cgroup", "memory.events");
  memory_events_ = open_in(unified, "memory.events");
  memory_peak_ = open_in(unified, "memory.peak");
  cpu_ = open_in(unified, "cpu.stat");
  cpu_is_stat_ = true;
}

bool MainProcess::signal(int number) const { return ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0) == 0; }

MainProcess::Use MainProcess::use() const {
  Use use;
  if (const auto events = read_again(memory_events_)) use.oom_kills = exec::OomCounter::parse(*events);
  if (const auto peak = read_again(memory_peak_)) use.peak_memory_bytes = std::strtoull(peak->c_str(), nullptr, 10);
  if (const auto cpu = read_again(cpu_)) {
    use.cpu_us = cpu_is_stat_ ? number_at(*cpu, "usage_usec ") : std::strtoull(cpu->c_str(), nullptr, 10) / 1000;
  }
  return use;
}

}  // namespace chappe::container
