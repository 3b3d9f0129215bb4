#include "storage/sqlite/write_ahead_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace chappe::sqlite {
namespace {

constexpr std::uint64_t kFrameBytes = 4096 + 24;  // A page and its header; the file's own header is 32 bytes.

class File {
 public:
  explicit File(const std::filesystem::path& path) : descriptor(open(path.c_str(), O_WRONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor >= 0) close(descriptor);
  }
  const int descriptor;
};

}  // namespace

WriteAheadLog::WriteAheadLog(const Connection& connection, std::filesystem::path database, std::uint64_t idle_bytes,
                             std::uint64_t busy_bytes)
    : connection_(connection),
      file_(std::move(database += "-wal")),
      idle_bytes_(idle_bytes),
      busy_bytes_(busy_bytes),
      next_mark_(busy_bytes) {
  const auto hook = [](void* self, sqlite3*, const char*, int pages) {
    static_cast<WriteAheadLog*>(self)->grown_to(static_cast<std::uint64_t>(pages));
    return SQLITE_OK;
  };
  sqlite3_wal_hook(connection.handle(), hook, this);
}

void WriteAheadLog::grown_to(std::uint64_t pages) {
  const std::uint64_t bytes = pages * kFrameBytes;
  if (bytes < bytes_) {  // It was begun anew.
    moved_ = 0;
    next_mark_ = busy_bytes_;
  }
  bytes_ = bytes;
}

void WriteAheadLog::after_commit() {
  if (bytes_ < next_mark_) return;
  checkpoint(bytes_ < 4 * busy_bytes_ ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART);
  next_mark_ = bytes_ + busy_bytes_;
}

void WriteAheadLog::idle() {
  if (bytes_ - moved_ >= idle_bytes_) {
    checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  } else if (!filled_) {
    fill();
  }
}

void WriteAheadLog::checkpoint(int mode) {
  int pages = 0;
  int moved = 0;
  sqlite3_busy_timeout(connection_.handle(), kReadersWaitMs);
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), "main", mode, &pages, &moved);
  sqlite3_busy_timeout(connection_.handle(), kBusyTimeoutMs);
  if (code != SQLITE_BUSY) connection_.check(code, "checkpoint");
  moved_ = std::max(moved_, static_cast<std::uint64_t>(std::max(moved, 0)) * kFrameBytes);
}

/// What stands behind the last commit's frame is never read: its salts are not the log's.
void WriteAheadLog::fill() {
  const File file(file_);
  struct stat status {};
  if (file.descriptor < 0 || fstat(file.descriptor, &status) != 0) return;  // Only costs time, later.
  const auto size = static_cast<std::uint64_t>(status.st_size);
  filled_ = size >= idle_bytes_;
  if (filled_) return;
  const std::vector<char> zeros(std::min(kFillBytes, idle_bytes_ - size));
  const ssize_t written = pwrite(file.descriptor, zeros.data(), zeros.size(), status.st_size);
  if (written < 0) filled_ = true;  // The disk is full: whoever commits will hear of it.
  if (written > 0 && fdatasync(file.descriptor) != 0) {
    throw Failed{{ErrorCode::kUnavailable, fmt::format("fdatasync {}: {}", file_.native(), std::strerror(errno))}};
  }
}

}  // namespace chappe::sqlite
