// Preloaded into a daemon (LD_PRELOAD): its wall clock is wrong by the seconds that stand in a file, from one moment to
// the next. Clocks that only go forward stay right.
//
//   CHAPPE_WALL_CLOCK = a file of 8 bytes: the seconds as an integer of this machine
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const volatile std::int64_t* error = nullptr;

[[gnu::constructor]] void open_file() {
  const char* file = std::getenv("CHAPPE_WALL_CLOCK");
  const int fd = file != nullptr ? ::open(file, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* shared = ::mmap(nullptr, sizeof *error, PROT_READ, MAP_SHARED, fd, 0);
  if (shared != MAP_FAILED) error = static_cast<const std::int64_t*>(shared);
  ::close(fd);
}

std::int64_t seconds_wrong() { return error != nullptr ? *error : 0; }

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto next = reinterpret_cast<int (*)(clockid_t, timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = next(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += seconds_wrong();
  return result;
}

int gettimeofday(timeval* time, void* zone) noexcept {
  static const auto next = reinterpret_cast<int (*)(timeval*, void*)>(::dlsym(RTLD_NEXT, "gettimeofday"));
  const int result = next(time, zone);
  if (result == 0) time->tv_sec += seconds_wrong();
  return result;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
