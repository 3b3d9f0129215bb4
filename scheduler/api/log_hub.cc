#include "scheduler/api/log_hub.h"

#include <algorithm>
#include <utility>

namespace chappe::api {
namespace {

constexpr std::size_t kChunkMin = 4096;

}  // namespace

void LogHub::append(AttemptId attempt, std::uint64_t offset, std::string_view data, WallTime now) {
  const std::scoped_lock lock(mutex_);
  Log& log = touch(attempt);
  if (log.ended) return;
  if (offset > log.end()) {
    drop_front(log, log.bytes);
    log.first = offset;
  }
  const std::uint64_t known = log.end() - offset;
  if (known >= data.size()) return;
  std::string_view fresh = data.substr(known);
  // Not back, should the clock go back.
  const std::int64_t last = log.times.empty() ? 0 : log.times.marks().back().at_ms;
  log.times.note(log.end(), std::max(last, now.us / 1000));
  if (fresh.size() > kTailMax) {
    drop_front(log, log.bytes);
    log.first += fresh.size() - kTailMax;
    fresh.remove_prefix(fresh.size() - kTailMax);
  }
  if (!log.chunks.empty() && log.chunks.back().size() + fresh.size() <= kChunkMin) {
    log.chunks.back() += fresh;  // Many tiny pieces must not cost more than their bytes.
  } else {
    log.chunks.emplace_back(fresh);
  }
  log.bytes += fresh.size();
  total_ += fresh.size();
  if (log.bytes > kTailMax) drop_front(log, log.bytes - kTailMax);
  log.times.drop_before(log.first);
  make_room(attempt);
}

void LogHub::finish(AttemptId attempt) {
  const std::scoped_lock lock(mutex_);
  const auto found = logs_.find(attempt);
  if (found == logs_.end() || found->second.ended) return;
  found->second.ended = true;
  ended_.splice(ended_.end(), live_, found->second.place);
}

std::optional<LogHub::Piece> LogHub::read(AttemptId attempt, std::uint64_t offset, std::size_t bytes_max) const {
  const std::scoped_lock lock(mutex_);
  const auto found = logs_.find(attempt);
  if (found == logs_.end()) return std::nullopt;
  const Log& log = found->second;
  Piece piece{.offset = std::clamp(offset, log.first, log.end())};
  std::uint64_t skip = piece.offset - log.first;
  for (const std::string& chunk : log.chunks) {
    if (skip >= chunk.size()) {
      skip -= chunk.size();
      continue;
    }
    piece.data.append(chunk, skip, bytes_max - piece.data.size());
    skip = 0;
    if (piece.data.size() == bytes_max) break;
  }
  piece.ended = log.ended && piece.offset + piece.data.size() == log.end();
  return piece;
}

LogTimes LogHub::times(AttemptId attempt) const {
  const std::scoped_lock lock(mutex_);
  const auto found = logs_.find(attempt);
  return found == logs_.end() ? LogTimes() : found->second.times;
}

std::size_t LogHub::total_bytes() const {
  const std::scoped_lock lock(mutex_);
  return total_;
}

LogHub::Log& LogHub::touch(AttemptId attempt) {
  const auto [place, fresh] = logs_.try_emplace(attempt);
  Log& log = place->second;
  if (fresh) {
    log.place = live_.insert(live_.end(), attempt);
  } else if (!log.ended) {
    live_.splice(live_.end(), live_, log.place);
  }
  return log;
}

void LogHub::drop_front(Log& log, std::size_t bytes) {
  total_ -= bytes;
  log.bytes -= bytes;
  log.first += bytes;
  while (bytes > 0) {
    std::string& chunk = log.chunks.front();
    if (chunk.size() > bytes) {
      chunk.erase(0, bytes);
      return;
    }
    bytes -= chunk.size();
    log.chunks.pop_front();
  }
}

void LogHub::make_room(AttemptId but_not) {
  while (total_ > total_max_ || logs_.size() > kAttemptsMax) {
    const AttemptId oldest = ended_.empty() ? live_.front() : ended_.front();
    if (oldest == but_not) return;  // The newest piece alone is over a tiny bound: keep it.
    forget(oldest);
  }
}

void LogHub::forget(AttemptId attempt) {
  const auto found = logs_.find(attempt);
  Log& log = found->second;
  total_ -= log.bytes;
  (log.ended ? ended_ : live_).erase(log.place);
  logs_.erase(found);
}

}  // namespace chappe::api
