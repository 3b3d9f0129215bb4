#include "worker/exec/oom_counter.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <tuple>

#include "worker/exec/control_groups.h"

namespace chappe::exec {
namespace {

bool is_readable(const std::string& file) { return ::access(file.c_str(), R_OK) == 0; }

}  // namespace

std::string OomCounter::file_for(const std::string& cgroups, bool (*exists)(const std::string&)) {
  for (const auto& [controllers, mount, file] :
       {std::tuple{"memory", "/sys/fs/cgroup/memory", "memory.oom_control"}, {"", "/sys/fs/cgroup", "memory.events"}}) {
    const std::string own = group_directory(cgroups, controllers, mount, file, exists);
    if (!own.empty()) return own + "/" + file;
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
