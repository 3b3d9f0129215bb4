/// \file
/// Bounds on what a program, with all that it starts, may use: kept by the kernel's control groups, version 1 or 2.
///
///   GROUP OF THE WORKER / chappe-PID / slot-N       supervisor N: bounds the processes of whatever it runs
///                                    / bounded-N    the program that it runs, if that declared its memory
///                                    / worker       version 2 only: the worker itself, which must leave its own group
///
/// A supervisor enters its slot once and its programs are born there, so they cost nothing. A program with a bound on
/// memory has a group of its own, made for it and removed after it: about half a millisecond.
///
/// Where the worker may make no groups, rlimits are all there is: RLIMIT_DATA bounds each process by itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace chappe::exec {

/// Processes and threads of one program: by the cores of the machine. Above what a task means to have, and few enough
/// for a fork bomb to leave the machine something.
int processes_max();

/// The directory of the group that a process is in, from the text of its /proc/PID/cgroup: for `controllers` ("" means
/// version 2) at `mount`. `file` is one that every such group has; "" where there is none.
std::string group_directory(const std::string& cgroups, std::string_view controllers, const std::string& mount,
                            const std::string& file, bool (*exists)(const std::string&));

/// That directory, and all above it to `mount`, whether they are there or not: what any of them bounds counts.
std::vector<std::string> group_directories(const std::string& cgroups, std::string_view controllers,
                                           const std::string& mount);

class ControlGroups;

/// What one supervisor bounds its programs with.
class SupervisorGroups {
 public:
  /// Makes the group for the next program. True: it must enter() it. False: it shares the supervisor's, or there are
  /// no groups for memory.
  bool begin(std::uint64_t memory_bytes);
  /// In the new process, before it becomes the program. No allocation.
  bool enter() const;
  /// For the new process where there are no groups for memory: what RLIMIT_DATA has to bound. 0: nothing.
  std::uint64_t data_limit() const { return data_limit_; }
  /// Before the program is killed: nothing in it can fork any more, so that killing comes to an end.
  void forbid_forks();
  /// When nothing of the program is left. True: it failed, and the kernel had killed some of it for memory, as far as
  /// groups tell.
  bool end(bool succeeded);

 private:
  friend class ControlGroups;
  std::string bounded_;       ///< Directory; made at begin(). "": no groups for memory.
  std::string slot_;          ///< Directory. "": no groups for processes.
  std::string slot_counter_;  ///< The file that counts kills in the slot; "" where none does.
  bool unified_ = false;
  bool forks_forbidden_ = false;
  int procs_ = -1;  ///< Of `bounded_`, while a program is in it.
  std::uint64_t slot_kills_ = 0;
  std::uint64_t data_limit_ = 0;
};

class ControlGroups {
 public:
  /// Where groups are, and who makes them.
  struct Place {
    std::string mount = "/sys/fs/cgroup";
    std::string cgroups;  ///< The text of /proc/self/cgroup.
    pid_t owner = 0;      ///< The worker.
  };
  /// Groups for this process, or none where it may make none. Removes those of workers that are no more.
  static ControlGroups make();
  static ControlGroups make(const Place& place);

  /// For the supervisor that calls: it is in its slot from then on.
  SupervisorGroups enter(pid_t supervisor) const;
  /// Removes what was made for supervisors that are no more. What still holds a process stays.
  void sweep(const std::set<pid_t>& supervisors) const;
  /// When no supervisor is left.
  void remove() const;

  /// What keeps which bound, for people.
  std::string described() const;

 private:
  std::string memory_;  ///< Directories of "chappe-PID"; "": there are no groups for it.
  std::string pids_;
  bool unified_ = false;  ///< Version 2: the two are one.
};

}  // namespace chappe::exec
