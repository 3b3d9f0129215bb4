#include "worker/app/attempt_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace chappe::worker {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

}  // namespace

AttemptLog::~AttemptLog() {
  if (fd_ >= 0) ::close(fd_);
}

AttemptLog::AttemptLog(AttemptLog&& other) noexcept { *this = std::move(other); }

AttemptLog& AttemptLog::operator=(AttemptLog&& other) noexcept {
  file_ = std::move(other.file_);
  bounds_ = other.bounds_;
  total_ = other.total_;
  times_ = std::move(other.times_);
  memory_ = std::move(other.memory_);
  std::swap(fd_, other.fd_);
  write_error_ = other.write_error_;
  chunk_offset_ = other.chunk_offset_;
  chunk_ = std::move(other.chunk_);
  chunk_since_ = other.chunk_since_;
  told_until_ = other.told_until_;
  return *this;
}

void AttemptLog::append(std::span<const std::byte> bytes, MonoTime now) {
  times_.note(total_, now.us / 1000);
  if (chunk_.empty()) {
    chunk_offset_ = total_;
    chunk_since_ = now;
  }
  // What does not fit is not told live: whoever follows sees the offset jump.
  if (chunk_offset_ + chunk_.size() == total_) {
    const std::size_t room = std::min(bytes.size(), bounds_.chunk_max - chunk_.size());
    chunk_.append(reinterpret_cast<const char*>(bytes.data()), room);
  }
  keep(bytes);
}

void AttemptLog::keep(std::span<const std::byte> bytes) {
  if (fd_ < 0 && memory_.size() + bytes.size() <= bounds_.memory_max) {
    memory_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    total_ += bytes.size();
    return;
  }
  if (fd_ < 0) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) write_error_ = errno;
    total_ = 0;
    write_file(std::as_bytes(std::span(memory_.data(), memory_.size())));
    memory_ = {};
  }
  write_file(bytes);
}

void AttemptLog::write_file(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    // The head fills up first; what comes after goes round in the tail.
    const bool in_head = total_ < bounds_.head_max;
    const std::uint64_t ring = in_head ? 0 : (total_ - bounds_.head_max) % bounds_.tail_max;
    const std::uint64_t at = in_head ? total_ : bounds_.head_max + ring;
    const std::uint64_t room = in_head ? bounds_.head_max - total_ : bounds_.tail_max - ring;
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()));
    if (write_error_ == 0 && ::pwrite(fd_, bytes.data(), size, static_cast<off_t>(at)) != static_cast<ssize_t>(size)) {
      write_error_ = errno != 0 ? errno : ENOSPC;
    }
    total_ += size;
    bytes = bytes.subspan(size);
  }
}

std::optional<MonoTime> AttemptLog::chunk_due() const {
  if (chunk_.empty()) return std::nullopt;
  const bool full = chunk_.size() == bounds_.chunk_max;
  return std::max(full ? chunk_since_ : chunk_since_ + bounds_.chunk_delay, told_until_);
}

std::optional<LiveChunk> AttemptLog::next_chunk(MonoTime now, bool all) {
  const std::optional<MonoTime> due = chunk_due();
  if (!due || (now < *due && !all)) return std::nullopt;
  const Duration cost(static_cast<std::int64_t>(chunk_.size() * 1'000'000 / bounds_.rate));
  told_until_ = std::max(told_until_, now) + cost;
  return LiveChunk{chunk_offset_, std::exchange(chunk_, {})};
}

std::string AttemptLog::cut_marker() const {
  return fmt::format("\n[chappe: {} bytes are left out here]\n", total_ - bounds_.head_max - bounds_.tail_max);
}

std::uint64_t AttemptLog::stored_size() const {
  return is_cut() ? bounds_.head_max + cut_marker().size() + bounds_.tail_max : total_;
}

LogTimes AttemptLog::times(Now now) const {
  LogTimes out = times_;
  out.shift(now.wall.us / 1000 - now.mono.us / 1000);
  if (is_cut()) out.cut(bounds_.head_max, total_ - bounds_.tail_max, cut_marker().size());
  return out;
}

Result<void> AttemptLog::read_stored(const std::function<Result<void>(std::span<const std::byte>)>& sink) const {
  if (fd_ < 0 && write_error_ == 0) return sink(std::as_bytes(std::span(memory_.data(), memory_.size())));
  if (write_error_ != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("write {}: {}", file_, std::strerror(write_error_)));
  }
  if (!is_cut()) return read_file(0, total_, sink);
  if (auto head = read_file(0, bounds_.head_max, sink); !head) return head;
  const std::string marker = cut_marker();
  if (auto told = sink(std::as_bytes(std::span(marker.data(), marker.size()))); !told) return told;
  const std::uint64_t oldest = (total_ - bounds_.head_max) % bounds_.tail_max;
  if (auto tail = read_file(bounds_.head_max + oldest, bounds_.tail_max - oldest, sink); !tail) return tail;
  return read_file(bounds_.head_max, oldest, sink);
}

Result<void> AttemptLog::read_file(std::uint64_t from, std::uint64_t size,
                                   const std::function<Result<void>(std::span<const std::byte>)>& sink) const {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, size)));
  while (size > 0) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size));
    const ssize_t got = ::pread(fd_, piece.data(), wanted, static_cast<off_t>(from));
    if (got <= 0) return fail(ErrorCode::kUnavailable, fmt::format("read {}: {}", file_, std::strerror(errno)));
    if (auto taken = sink({piece.data(), static_cast<std::size_t>(got)}); !taken) return taken;
    from += static_cast<std::uint64_t>(got);
    size -= static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace chappe::worker
