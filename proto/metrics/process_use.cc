#include "proto/metrics/process_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace chappe::metrics {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Seconds since 1970. Field 22 of stat: clock ticks from boot to the start. Source: proc(5).
double started_at() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  timespec since_boot{}, now{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  ::clock_gettime(CLOCK_REALTIME, &now);
  const double ticks = std::strtod(field.c_str(), nullptr);
  return static_cast<double>(now.tv_sec - since_boot.tv_sec) + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessUse read_process_use() {
  static const double kStartedAt = started_at();
  ProcessUse use{.started_at = kStartedAt};
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) use.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  std::ifstream memory("/proc/self/statm");
  double total = 0, resident = 0;
  if (memory >> total >> resident) use.resident_bytes = resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error) use.open_descriptors = static_cast<double>(std::distance(begin(descriptors), end(descriptors)));
  return use;
}

}  // namespace chappe::metrics
