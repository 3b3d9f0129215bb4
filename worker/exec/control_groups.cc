#include "worker/exec/control_groups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/exec/oom_counter.h"

namespace chappe::exec {
namespace {

constexpr std::string_view kPrefix = "chappe-";
constexpr std::string_view kBoth = "+memory +pids";

std::string read_text(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool write_text(const std::string& file, std::string_view text) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool make_directory(const std::string& path) { return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST; }

/// One of "cpu,cpuacct"; none of version 2, whose lines name none.
bool names(std::string_view controllers, std::string_view which) {
  if (controllers == which) return true;
  const std::string list = fmt::format(",{},", controllers);
  return !which.empty() && list.find(fmt::format(",{},", which)) != std::string::npos;
}

/// The path of a line of /proc/PID/cgroup, "N:CONTROLLERS:PATH"; empty where it is about other controllers.
std::string_view path_for(std::string_view line, std::string_view controllers) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return {};
  return names(line.substr(first + 1, second - first - 1), controllers) ? line.substr(second + 1) : std::string_view();
}

/// The number at the end of a name such as "slot-17"; 0 where there is none.
pid_t pid_in(const std::string& name) {
  pid_t pid = 0;
  const std::size_t dash = name.rfind('-');
  if (dash != std::string::npos) (void)std::from_chars(name.data() + dash + 1, name.data() + name.size(), pid);
  return pid;
}

std::vector<std::string> groups_in(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator each(directory, error), end; !error && each != end; each.increment(error)) {
    if (each->is_directory(error)) found.push_back(each->path().filename());
  }
  return found;
}

void remove_with_children(const std::string& group) {
  for (const std::string& child : groups_in(group)) ::rmdir((group + "/" + child).c_str());
  ::rmdir(group.c_str());
}

/// What workers left here that were killed together with their spawners.
void remove_orphans(const std::string& directory) {
  for (const std::string& name : groups_in(directory)) {
    const pid_t owner = pid_in(name);
    const bool is_gone = name.starts_with(kPrefix) && owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH;
    if (is_gone) remove_with_children(directory + "/" + name);
  }
}

/// "chappe-PID" in the worker's own group; "" where it may not be made.
std::string make_parent(const std::string& own, pid_t owner) {
  if (own.empty()) return {};
  remove_orphans(own);
  std::string parent = fmt::format("{}/{}{}", own, kPrefix, owner);
  return make_directory(parent) ? parent : std::string();
}

/// A group of version 2 that has processes cannot hand its controllers on to groups beneath it: so the worker moves.
bool hand_on_controllers(const std::string& own, const std::string& parent) {
  if (write_text(own + "/cgroup.subtree_control", kBoth)) return write_text(parent + "/cgroup.subtree_control", kBoth);
  const std::string leaf = parent + "/worker";
  if (!make_directory(leaf) || !write_text(leaf + "/cgroup.procs", "0")) return false;
  if (write_text(own + "/cgroup.subtree_control", kBoth)) return write_text(parent + "/cgroup.subtree_control", kBoth);
  (void)write_text(own + "/cgroup.procs", "0");  // Others are there as well: back to where we were.
  return false;
}

std::string make_unified(const ControlGroups::Place& place) {
  const std::string own = group_directory(place.cgroups, "", place.mount, "cgroup.subtree_control", &is_there);
  const std::string controllers = own.empty() ? "" : " " + read_text(own + "/cgroup.controllers");
  if (controllers.find(" memory") == std::string::npos || controllers.find(" pids") == std::string::npos) return {};
  std::string parent = make_parent(own, place.owner);
  if (parent.empty() || hand_on_controllers(own, parent)) return parent;
  remove_with_children(parent);
  return {};
}

bool bound_memory(const std::string& group, bool unified, std::uint64_t bytes) {
  const std::string text = std::to_string(bytes);
  if (!unified) {
    // Without swapping: a task that outgrows its bound is killed, it does not slow everybody down.
    (void)write_text(group + "/memory.swappiness", "0");
    return write_text(group + "/memory.limit_in_bytes", text);
  }
  (void)write_text(group + "/memory.swap.max", "0");
  return write_text(group + "/memory.max", text);
}

bool bound_processes(const std::string& group) {
  return write_text(group + "/pids.max", std::to_string(processes_max()));
}

}  // namespace

int processes_max() {
  constexpr long kPerCore = 512;
  constexpr long kAtLeast = 1024;
  return static_cast<int>(std::max(kPerCore * ::sysconf(_SC_NPROCESSORS_ONLN), kAtLeast));
}

std::string group_directory(const std::string& cgroups, std::string_view controllers, const std::string& mount,
                            const std::string& file, bool (*exists)(const std::string&)) {
  std::istringstream lines(cgroups);
  for (std::string line; std::getline(lines, line);) {
    const std::string_view path = path_for(line, controllers);
    if (path.empty()) continue;
    const std::string own = mount + std::string(path == "/" ? "" : path);
    if (exists(own + "/" + file)) return own;
    // In a container the group's own directory is mounted as the root, whatever the path says.
    if (exists(mount + "/" + file)) return mount;
  }
  return {};
}

std::vector<std::string> group_directories(const std::string& cgroups, std::string_view controllers,
                                           const std::string& mount) {
  std::vector<std::string> found;
  std::istringstream lines(cgroups);
  for (std::string line; std::getline(lines, line);) {
    const std::string_view path = path_for(line, controllers);
    if (path.empty()) continue;
    for (std::string_view left = path; left.size() > 1; left = left.substr(0, left.rfind('/'))) {
      found.push_back(mount + std::string(left));
    }
    found.push_back(mount);
  }
  return found;
}

ControlGroups ControlGroups::make() { return make({.cgroups = read_text("/proc/self/cgroup"), .owner = ::getpid()}); }

ControlGroups ControlGroups::make(const Place& place) {
  ControlGroups groups;
  const auto version1 = [&](const char* controller) {
    return make_parent(
        group_directory(place.cgroups, controller, place.mount + "/" + controller, "cgroup.procs", &is_there),
        place.owner);
  };
  groups.memory_ = version1("memory");
  groups.pids_ = version1("pids");
  if (!groups.memory_.empty() || !groups.pids_.empty()) return groups;
  groups.memory_ = groups.pids_ = make_unified(place);
  groups.unified_ = !groups.memory_.empty();
  return groups;
}

SupervisorGroups ControlGroups::enter(pid_t supervisor) const {
  SupervisorGroups own;
  own.unified_ = unified_;
  if (!memory_.empty()) own.bounded_ = fmt::format("{}/bounded-{}", memory_, supervisor);
  if (pids_.empty()) return own;
  const std::string slot = fmt::format("{}/slot-{}", pids_, supervisor);
  const bool entered = make_directory(slot) && bound_processes(slot) && write_text(slot + "/cgroup.procs", "0");
  if (entered) own.slot_ = slot;
  if (entered && unified_) own.slot_counter_ = slot + "/memory.events";
  return own;
}

void ControlGroups::sweep(const std::set<pid_t>& supervisors) const {
  for (const std::string& parent : {memory_, unified_ ? std::string() : pids_}) {
    if (parent.empty()) continue;
    for (const std::string& name : groups_in(parent)) {
      const pid_t supervisor = pid_in(name);
      if (supervisor > 0 && !supervisors.contains(supervisor)) ::rmdir((parent + "/" + name).c_str());
    }
  }
}

void ControlGroups::remove() const {
  for (const std::string& parent : {memory_, pids_}) {
    if (!parent.empty()) remove_with_children(parent);
  }
}

std::string ControlGroups::described() const {
  const int version = unified_ ? 2 : 1;
  const auto kept_by = [&](const std::string& groups, const char* otherwise) {
    return groups.empty() ? std::string(otherwise) : fmt::format("by control groups (version {})", version);
  };
  return fmt::format("memory {}, processes {}",
                     kept_by(memory_, "of each process by RLIMIT_DATA, as control groups are not ours to make"),
                     kept_by(pids_, "not bounded"));
}

bool SupervisorGroups::begin(std::uint64_t memory_bytes) {
  data_limit_ = 0;
  if (memory_bytes == 0) return false;
  const bool bounded = !bounded_.empty() && make_directory(bounded_) &&
                       bound_memory(bounded_, unified_, memory_bytes) && (!unified_ || bound_processes(bounded_));
  if (bounded) procs_ = ::open((bounded_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  if (procs_ < 0) data_limit_ = memory_bytes;
  return procs_ >= 0;
}

bool SupervisorGroups::enter() const { return ::write(procs_, "0", 1) == 1; }

void SupervisorGroups::forbid_forks() {
  if (slot_.empty() || std::exchange(forks_forbidden_, true)) return;
  (void)write_text(slot_ + "/pids.max", "0");
  if (unified_ && procs_ >= 0) (void)write_text(bounded_ + "/pids.max", "0");
}

bool SupervisorGroups::end(bool succeeded) {
  if (std::exchange(forks_forbidden_, false)) (void)bound_processes(slot_);
  if (procs_ >= 0) {
    ::close(std::exchange(procs_, -1));
    const std::string counter = bounded_ + (unified_ ? "/memory.events" : "/memory.oom_control");
    const bool killed = !succeeded && OomCounter::parse(read_text(counter)) > 0;
    ::rmdir(bounded_.c_str());
    return killed;
  }
  if (succeeded || slot_counter_.empty()) return false;
  const std::uint64_t kills = OomCounter::parse(read_text(slot_counter_));
  return kills > std::exchange(slot_kills_, kills);
}

}  // namespace chappe::exec
