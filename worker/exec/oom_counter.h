/// \file
/// Was it the kernel's out-of-memory killer? SIGKILL alone does not say.
#pragma once

#include <cstdint>
#include <string>

namespace chappe::exec {

/// Counts the kernel's kills for memory in this process's control group (version 2 or 1), or on the whole machine where
/// no group counts them.
class OomCounter {
 public:
  OomCounter();
  ~OomCounter();
  OomCounter(const OomCounter&) = delete;
  OomCounter& operator=(const OomCounter&) = delete;

  /// True once for each kill since the last look: two programs killed by SIGKILL, two kills.
  bool claim();

  /// "oom_kill 3" among other lines; 0 where there is no such line.
  static std::uint64_t parse(const std::string& text);
  /// The file that counts for the process whose /proc/PID/cgroup is given.
  static std::string file_for(const std::string& cgroups, bool (*exists)(const std::string&));

 private:
  std::uint64_t read() const;
  int fd_ = -1;
  std::uint64_t claimed_ = 0;
};

}  // namespace chappe::exec
