/// \file
/// What the benchmark programs share: a stopwatch, percentiles, and spawning with nothing around it.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace chappe::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Ends the program where `fine` is false.
inline void require(bool fine, const char* what) {
  if (fine) return;
  fmt::print(stderr, "{}: {}\n", what, strerror(errno));
  std::exit(1);
}

/// The value below which a share of `times` lies. Requires: not empty.
inline double percentile(std::vector<double> times, double share) {
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

/// Runs `count` times `work(i)`, and times each one, in seconds.
template <typename Work>
std::vector<double> time_each(int count, Work work) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    work(i);
    times.push_back(seconds_since(start));
  }
  return times;
}

/// Lengthens SQLite's log with zeros, so that commits write over allocated blocks: what any store that minds its
/// latency does. Requires: the log is there; nobody writes to it now.
inline void lengthen_log(const std::filesystem::path& database) {
  const std::string file = database.string() + "-wal";
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const std::string zeros(std::size_t{32} << 20, '\0');
  require(fd >= 0 && write(fd, zeros.data(), zeros.size()) > 0 && fdatasync(fd) == 0, "lengthen the log");
  close(fd);
}

/// vfork, exec, wait: what starting a process costs when nothing is done around it.
inline void spawn_and_wait(const char* program) {
  const char* const arguments[] = {program, nullptr};
  const pid_t child = vfork();
  if (child == 0) {
    execv(program, const_cast<char* const*>(arguments));
    _exit(127);
  }
  int status = 0;
  require(child > 0 && waitpid(child, &status, 0) == child && status == 0, program);
}

}  // namespace chappe::bench
