#include "storage/sqlite/store_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

namespace chappe::sqlite {
namespace {

constexpr int kLooksMax = 20;  // A holder that only looked is gone by the second.
constexpr std::chrono::milliseconds kLookRest{5};

std::optional<int> pid_in(int descriptor) {
  char text[32] = {};
  const ssize_t size = pread(descriptor, text, sizeof text - 1, 0);
  int pid = 0;
  if (size <= 0 || std::from_chars(text, text + size, pid).ec != std::errc()) return std::nullopt;
  return pid;
}

std::string holder_of(int descriptor) {
  const auto pid = pid_in(descriptor);
  return pid ? fmt::format("process {}", *pid) : "another process";
}

bool lock_soon(int descriptor) {
  for (int look = 1; flock(descriptor, LOCK_EX | LOCK_NB) != 0; ++look) {
    if (look == kLooksMax) return false;
    std::this_thread::sleep_for(kLookRest);
  }
  return true;
}

}  // namespace

Result<StoreLock> StoreLock::take(const std::filesystem::path& file) {
  StoreLock lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.descriptor_ < 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("open lock file {}: {}", file.native(), std::strerror(errno)));
  }
  if (!lock_soon(lock.descriptor_)) {
    return fail(ErrorCode::kConflict, fmt::format("{} has this store open (lock file {}): stop it first",
                                                  holder_of(lock.descriptor_), file.native()));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(lock.descriptor_, 0) != 0 || pwrite(lock.descriptor_, pid.data(), pid.size(), 0) < 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("write lock file {}: {}", file.native(), std::strerror(errno)));
  }
  return lock;
}

std::optional<int> StoreLock::find_holder(const std::filesystem::path& file) {
  const StoreLock look(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (look.descriptor_ < 0 || flock(look.descriptor_, LOCK_SH | LOCK_NB) == 0) return std::nullopt;
  return pid_in(look.descriptor_);
}

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

const char* network_filesystem(long magic) {
  // Source: linux/magic.h and statfs(2); f_type is signed on some machines.
  switch (static_cast<unsigned long>(magic) & 0xffffffffUL) {
    case 0x6969:
      return "NFS";
    case 0x517B:
    case 0xFE534D42:
    case 0xFF534D42:
      return "SMB";
    case 0x01021997:
      return "9p";
    case 0x00C36400:
      return "CephFS";
    case 0x5346414F:
    case 0x6B414653:
      return "AFS";
    case 0x73757245:
      return "Coda";
    case 0x0BD00BD0:
      return "Lustre";
    case 0x47504653:
      return "GPFS";
    case 0x01161970:
      return "GFS2";
    case 0x7461636F:
      return "OCFS2";
    default:
      return nullptr;
  }
}

Result<void> refuse_network_filesystem(const std::filesystem::path& directory) {
  struct statfs where {};
  if (statfs(directory.c_str(), &where) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("statfs {}: {}", directory.native(), std::strerror(errno)));
  }
  if (const char* name = network_filesystem(static_cast<long>(where.f_type))) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} is on {}, where locks do not hold: put the metadata store on a local disk",
                            directory.native(), name));
  }
  return {};
}

}  // namespace chappe::sqlite
