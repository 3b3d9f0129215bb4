// Preloaded into a daemon (LD_PRELOAD): it aborts where it opens a file beneath a folder whose name holds "poison", as
// if a parser had met what it cannot stand.
#include <dlfcn.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <cstring>

extern "C" long syscall(long number, ...) noexcept {
  using Syscall = long (*)(long, long, long, long, long, long, long);
  static const auto next = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
  __builtin_va_list list;
  __builtin_va_start(list, number);
  long values[6];
  for (long& value : values) value = __builtin_va_arg(list, long);
  __builtin_va_end(list);
  if (number == SYS_openat2 && std::strstr(reinterpret_cast<const char*>(values[1]), "poison") != nullptr) std::abort();
  return next(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
