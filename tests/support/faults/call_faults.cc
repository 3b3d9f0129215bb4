// Preloaded into a daemon (LD_PRELOAD): counts its system calls of some kinds and lets the n-th one be its last, or
// fail.
//
//   CHAPPE_CALL_FAULT = ACTION KINDS NTH [ERRNO]     "kill-before sync,send 17", "fail write 3 28"
//   CHAPPE_CALL_FAULT_TOLD = a file that gets a line when it happens: "kill-before send 17"
//
// Actions: kill-before and kill-after (SIGKILL to itself), fail (this one call; malloc gives null), slow (each call
// takes NTH milliseconds more), count (at the exit, tell how many there were). Kinds: sync (fsync, fdatasync), write
// (to regular files), rename (and link), open, connect, send and receive (on TCP sockets), tell (on sockets of this
// machine), malloc.
//
// Counts in the process that was started and in its threads; not in what it forks.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

// What malloc is in this C library, under the name that nobody preloads.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
}

namespace {

enum Kind : unsigned { kSync, kWrite, kRename, kOpen, kConnect, kSend, kReceive, kTell, kMalloc, kKinds };
constexpr const char* kNames[] = {"sync", "write", "rename", "open", "connect", "send", "receive", "tell", "malloc"};
static_assert(sizeof kNames / sizeof *kNames == kKinds);

enum class Action { kNone, kKillBefore, kKillAfter, kFail, kSlow, kCount };

Action action = Action::kNone;
unsigned kinds = 0;  // A bit for each.
unsigned long nth = 0;
unsigned long calls = 0;
int error = EIO;
char action_name[32];
char told_file[4096];

// Allocates nothing and takes no lock: it may be called from malloc.
void tell(const char* kind, unsigned long call) {
  char line[96];
  const int size = std::snprintf(line, sizeof line, "%s %s %lu\n", action_name, kind, call);
  const long fd = ::syscall(SYS_openat, AT_FDCWD, told_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  (void)!::syscall(SYS_write, fd, line, size);
  ::syscall(SYS_close, fd);
}

void rest() {
  const int before = errno;
  const timespec time{static_cast<time_t>(nth / 1000), static_cast<long>(nth % 1000) * 1'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
  errno = before;
}

[[noreturn]] void die() {
  ::syscall(SYS_kill, ::getpid(), SIGKILL);
  for (;;) ::pause();
}

// Whether this call is the one. Not for the call of a kind that nobody asked about.
bool is_due(Kind kind) {
  if ((kinds & 1U << kind) == 0) return false;
  const unsigned long call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (call != nth || action == Action::kCount || action == Action::kSlow) return false;
  tell(kNames[kind], call);
  if (action == Action::kKillBefore) die();
  return true;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// The call of one kind, with its fault where it is due: `run` does what was asked for.
template <typename Run>
auto call(Kind kind, Run run) -> decltype(run()) {
  const bool due = is_due(kind);
  if (due && action == Action::kFail) {
    errno = error;
    return -1;
  }
  const auto result = run();
  if (due) die();
  if (action == Action::kSlow && (kinds & 1U << kind) != 0) rest();
  return result;
}

bool is_regular(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

Kind kind_of_socket(int fd, Kind network) {
  int domain = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return kKinds;
  return domain == AF_UNIX ? kTell : network;
}

template <typename Run>
ssize_t write_call(int fd, Run run) {
  return (kinds & 1U << kWrite) != 0 && is_regular(fd) ? call(kWrite, run) : run();
}

template <typename Run>
ssize_t socket_call(int fd, Kind network, Run run) {
  if ((kinds & (1U << network | 1U << kTell)) == 0) return run();
  const Kind kind = kind_of_socket(fd, network);
  return kind == kKinds || (kind == kTell && network == kReceive) ? run() : call(kind, run);
}

[[maybe_unused]] bool is_out_of_memory() {
  if (!is_due(kMalloc)) return false;
  if (action != Action::kFail) die();
  errno = ENOMEM;
  return true;
}

void read_kinds(char* list) {
  char* rest = nullptr;
  for (char* name = ::strtok_r(list, ",", &rest); name != nullptr; name = ::strtok_r(nullptr, ",", &rest)) {
    for (unsigned kind = 0; kind < kKinds; ++kind) {
      if (std::strcmp(name, kNames[kind]) == 0) kinds |= 1U << kind;
    }
  }
}

Action action_of(const char* name) {
  if (std::strcmp(name, "kill-before") == 0) return Action::kKillBefore;
  if (std::strcmp(name, "kill-after") == 0) return Action::kKillAfter;
  if (std::strcmp(name, "fail") == 0) return Action::kFail;
  if (std::strcmp(name, "slow") == 0) return Action::kSlow;
  return Action::kCount;
}

[[gnu::constructor]] void read_wish() {
  const char* wish = std::getenv("CHAPPE_CALL_FAULT");
  const char* told = std::getenv("CHAPPE_CALL_FAULT_TOLD");
  char list[128];
  if (wish == nullptr || told == nullptr || std::strlen(told) >= sizeof told_file) return;
  std::strcpy(told_file, told);
  if (std::sscanf(wish, "%31s %127s %lu %d", action_name, list, &nth, &error) < 3) return;
  action = action_of(action_name);
  ::pthread_atfork(nullptr, nullptr, [] { kinds = 0; });
  read_kinds(list);  // From here on, calls count.
}

[[gnu::destructor]] void tell_count() {
  if (action == Action::kCount && kinds != 0) tell("calls", calls);
}

}  // namespace

extern "C" {

int fsync(int fd) {
  static const auto next = real<int (*)(int)>("fsync");
  return call(kSync, [&] { return next(fd); });
}

int fdatasync(int fd) {
  static const auto next = real<int (*)(int)>("fdatasync");
  return call(kSync, [&] { return next(fd); });
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
  static const auto next = real<ssize_t (*)(int, const void*, std::size_t)>("write");
  return write_call(fd, [&] { return next(fd, bytes, size); });
}

ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  static const auto next = real<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  return write_call(fd, [&] { return next(fd, bytes, size, offset); });
}

ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off64_t offset) {
  return pwrite(fd, bytes, size, offset);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return call(kRename, [&] { return next(from, to); });
}

int renameat(int from_fd, const char* from, int to_fd, const char* to) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*)>("renameat");
  return call(kRename, [&] { return next(from_fd, from, to_fd, to); });
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
  return call(kRename, [&] { return next(from_fd, from, to_fd, to, flags); });
}

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) noexcept {
  static const auto next = real<int (*)(int, const char*, int, const char*, int)>("linkat");
  return call(kRename, [&] { return next(from_fd, from, to_fd, to, flags); });
}

int openat(int directory, const char* path, int flags, ...) {
  static const auto next = real<int (*)(int, const char*, int, ...)>("openat");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return call(kOpen, [&] { return next(directory, path, flags, mode); });
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return openat(AT_FDCWD, path, flags, mode);
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  static const auto next = real<int (*)(int, const sockaddr*, socklen_t)>("connect");
  return call(kConnect, [&] { return next(fd, address, size); });
}

ssize_t send(int fd, const void* bytes, std::size_t size, int flags) {
  static const auto next = real<ssize_t (*)(int, const void*, std::size_t, int)>("send");
  return socket_call(fd, kSend, [&] { return next(fd, bytes, size, flags); });
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto next = real<ssize_t (*)(int, const msghdr*, int)>("sendmsg");
  return socket_call(fd, kSend, [&] { return next(fd, message, flags); });
}

ssize_t recv(int fd, void* bytes, std::size_t size, int flags) {
  static const auto next = real<ssize_t (*)(int, void*, std::size_t, int)>("recv");
  return socket_call(fd, kReceive, [&] { return next(fd, bytes, size, flags); });
}

#ifndef CHAPPE_SANITIZE  // Which has a malloc of its own.
void* malloc(std::size_t size) noexcept { return is_out_of_memory() ? nullptr : __libc_malloc(size); }

void* calloc(std::size_t count, std::size_t size) noexcept {
  return is_out_of_memory() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  return is_out_of_memory() ? nullptr : __libc_realloc(block, size);
}
#endif

}  // extern "C"
