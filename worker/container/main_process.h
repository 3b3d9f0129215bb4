/// \file
/// A container's first process, where this machine shows it: signals without the runtime, its end in the moment when it
/// comes, and what the kernel counted of all its processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace chappe::container {

class MainProcess {
 public:
  /// nullopt where there is no such process, or it is none of this container's: the runtime may be on another machine,
  /// or in another namespace of processes.
  static std::optional<MainProcess> find(pid_t pid, const std::string& container);
  MainProcess(MainProcess&& other) noexcept;
  MainProcess& operator=(MainProcess&&) = delete;
  ~MainProcess();

  /// Readable (for poll) once it has ended; with it, the kernel ends all others of the container.
  int fd() const { return pidfd_; }
  /// False: not allowed, or it has ended.
  bool signal(int number) const;

  struct Use {
    std::uint64_t cpu_us = 0;
    std::uint64_t peak_memory_bytes = 0;
    std::optional<std::uint64_t> oom_kills;  ///< nullopt: nobody counts them.
  };
  /// Its control group goes away some 10 ms after its end: ask at once.
  Use use() const;

 private:
  explicit MainProcess(int pidfd) : pidfd_(pidfd) {}
  void open_counters(const std::string& cgroups);

  int pidfd_ = -1;
  int memory_events_ = -1;  ///< memory.events, or version 1's memory.oom_control.
  int memory_peak_ = -1;
  int cpu_ = -1;
  bool cpu_is_stat_ = false;  ///< Version 2's cpu.stat; else nanoseconds alone.
};

}  // namespace chappe::container
