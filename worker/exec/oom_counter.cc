#include "worker/exec/oom_counter.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <tuple>

namespace chappe::exec {
namespace {

bool is_readable(const std::string& file) { return ::access(file.c_str(), R_OK) == 0; }

/// The path of a line of /proc/PID/cgroup, "N:CONTROLLERS:PATH"; empty where it is about other controllers.
std::string_view path_for(std::string_view line, std::string_view controllers) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return {};
  return line.substr(first + 1, second - first - 1) == controllers ? line.substr(second + 1) : std::string_view();
}

}  // namespace

std::string OomCounter::file_for(const std::string& cgroups, bool (*exists)(const std::string&)) {
  std::istringstream lines(cgroups);
  for (std::string line; std::getline(lines, line);) {
    for (const auto& [controllers, mount, file] : {std::tuple{"memory", "/sys/fs/cgroup/memory", "/memory.oom_control"},
                                                   {"", "/sys/fs/cgroup", "/memory.events"}}) {
      const std::string_view path = path_for(line, controllers);
      if (path.empty()) continue;
      const std::string own = mount + std::string(path == "/" ? "" : path) + file;
      if (exists(own)) return own;
      // In a container the group's own directory is mounted as the root, whatever the path says.
      if (exists(std::string(mount) + file)) return std::string(mount) + file;
    }
  }
  return "/proc/vmstat";
}

std::uint64_t OomCounter::parse(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("oom_kill ")) return std::strtoull(line.c_str() + 9, nullptr, 10);
  }
  return 0;
}

OomCounter::OomCounter() {
  std::ifstream cgroups("/proc/self/cgroup");
  const std::string text((std::istreambuf_iterator<char>(cgroups)), {});
  fd_ = ::open(file_for(text, &is_readable).c_str(), O_RDONLY | O_CLOEXEC);
  claimed_ = read();
}

OomCounter::~OomCounter() {
  if (fd_ >= 0) ::close(fd_);
}

std::uint64_t OomCounter::read() const {
  std::array<char, 16384> text{};
  const ssize_t size = fd_ >= 0 ? ::pread(fd_, text.data(), text.size(), 0) : 0;
  return size > 0 ? parse(std::string(text.data(), static_cast<std::size_t>(size))) : 0;
}

bool OomCounter::claim() {
  if (read() <= claimed_) return false;
  ++claimed_;
  return true;
}

}  // namespace chappe::exec
