// The program of the container that holds the network which a task and its sidecars share, so that it outlives any of
// them; from inside it sees who answers there, which nobody outside may without privileges.
//
// Its arguments are one for each sidecar: "PORT", "PORT/PATH", or "-" where there is nothing to see. It writes the
// sidecar's digit and a line feed when something takes connections at 127.0.0.1:PORT, or answers a GET of /PATH with a
// status from 200 to 299; and stays until it is ended. It needs nothing of the image that it runs in, not even a libc.
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

enum { kSidecars = 8, kRestNs = 50 * 1000 * 1000, kPatienceSeconds = 2 };

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\nmov %rsp, %rdi\nand $-16, %rsp\ncall begin\nhlt\n");
static long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\nmov x0, sp\nbl begin\n");
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "worker/container/hold.c: write down how this processor calls its kernel"
#endif

static size_t length_of(const char* text) {
  size_t length = 0;
  while (text[length] != 0) ++length;
  return length;
}

static int send_all(long fd, const char* text) {
  for (size_t left = length_of(text); left > 0;) {
    const long sent = call(SYS_sendto, fd, (long)text, (long)left, MSG_NOSIGNAL, 0, 0);
    if (sent <= 0) return 0;
    text += sent;
    left -= (size_t)sent;
  }
  return 1;
}

// "HTTP/1.1 204 ..."
static int answers(long fd, const char* path) {
  char line[12];
  size_t size = 0;
  if (!send_all(fd, "GET ") || !send_all(fd, path)) return 0;
  if (!send_all(fd, " HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")) return 0;
  while (size < sizeof line) {
    const long got = call(SYS_recvfrom, fd, (long)(line + size), (long)(sizeof line - size), 0, 0, 0);
    if (got <= 0) return 0;
    size += (size_t)got;
  }
  return line[0] == 'H' && line[5] == '1' && line[8] == ' ' && line[9] == '2';
}

static int is_ready(const char* what) {
  unsigned port = 0;
  while (*what >= '0' && *what <= '9') port = port * 10 + (unsigned)(*what++ - '0');
  const long fd = call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
  if (fd < 0) return 0;
  struct timespec patience = {kPatienceSeconds, 0};  // Of a width with timeval on these processors.
  call(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, (long)&patience, sizeof patience, 0);
  call(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, (long)&patience, sizeof patience, 0);
  struct sockaddr_in address;
  for (size_t i = 0; i < sizeof address; ++i) ((volatile char*)&address)[i] = 0;
  address.sin_family = AF_INET;
  address.sin_port = (in_port_t)(port >> 8 | (port & 0xff) << 8);
  address.sin_addr.s_addr = 127 | 1 << 24;
  int ready = call(SYS_connect, fd, (long)&address, sizeof address, 0, 0, 0) == 0;
  if (ready && *what == '/') ready = answers(fd, what);
  call(SYS_close, fd, 0, 0, 0, 0, 0);
  return ready;
}

__attribute__((noreturn, used)) void begin(long* stack) {
  const long count = stack[0] - 1 < kSidecars ? stack[0] - 1 : kSidecars;
  char** what = (char**)(stack + 2);
  unsigned seen = 0;
  for (;;) {
    int waits = 0;
    for (long i = 0; i < count; ++i) {
      if (what[i][0] == '-' || (seen >> i & 1) != 0) continue;
      if (!is_ready(what[i])) {
        waits = 1;
        continue;
      }
      seen |= 1U << i;
      const char told[2] = {(char)('0' + i), '\n'};
      call(SYS_write, 1, (long)told, sizeof told, 0, 0, 0);
    }
    struct timespec rest = {0, kRestNs};
    call(SYS_ppoll, 0, 0, waits ? (long)&rest : 0, 0, 0, 0);
  }
}
