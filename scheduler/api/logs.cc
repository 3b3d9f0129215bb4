#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/lineage/objects.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/log_lines.h"

namespace chappe::api {
namespace {

constexpr std::uint64_t kPieceMax = std::uint64_t{1} << 20;
constexpr std::uint32_t kRestMs = 50;
constexpr std::uint32_t kQuietLooks = 20;  // Then the metadata store is asked whether the attempt is over.

/// Whose log is wanted.
struct Wanted {
  RunRow run;
  InstanceKey key;
  std::string task;
  std::string map_key;
  std::uint16_t attempt_no = 0;  ///< 0: whichever is the latest when the first byte is asked for.

  std::string prefix_of(AttemptId attempt) const { return attempt_prefix(run.dag, run.id, task, map_key, attempt); }
};

/// Which of its lines, and how.
struct Lines {
  bool follow = false;
  bool timestamps = false;
  std::uint64_t offset = 0;           ///< Bytes to leave out, where nothing else says where to begin.
  std::optional<std::uint64_t> tail;  ///< The last lines.
  WallTime since;                     ///< Not set: whenever they were written.
  bool chooses() const { return tail || since.is_set(); }
};

struct Standing {
  AttemptId attempt;  ///< 0: there is none yet.
  std::uint16_t attempt_no = 0;
  bool ended = false;
  WallTime started_at;
};

Result<Standing> where_it_stands(MetaReader& reader, const Wanted& wanted) {
  const auto history = reader.attempts(wanted.key);
  if (!history && history.error().code == ErrorCode::kNotFound) return Standing{};
  if (!history) return fail(history.error());
  const TaskRow& task = history->task;
  if (wanted.attempt_no == 0 || wanted.attempt_no == task.attempt_no) {
    const bool over = task.attempt ? !holds_attempt(task.state) : is_final(task.state);
    return Standing{task.attempt, task.attempt_no, over, task.end.started_at};
  }
  const auto earlier = std::ranges::find(history->earlier, wanted.attempt_no, &AttemptRow::attempt_no);
  if (earlier != history->earlier.end()) {
    return Standing{earlier->attempt, earlier->attempt_no, true, earlier->end.started_at};
  }
  return fail(ErrorCode::kNotFound, fmt::format("there is no attempt {}", wanted.attempt_no));
}

Result<std::string> read_object(ObjectStore& store, const std::string& key, std::uint64_t offset,
                                std::optional<std::uint64_t> length) {
  std::string out;
  const auto read = store.read(key, offset, length, [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  if (!read) return fail(read.error());
  return out;
}

/// When the lines of a log were written that is kept; none are known of one from before they were noted.
LogTimes times_of(ObjectStore& store, const std::string& prefix, const ObjectInfo& log) {
  const auto kept = std::ranges::find(log.metadata, kLogTimes, &std::pair<std::string, std::string>::first);
  if (kept != log.metadata.end()) return LogTimes::parse(kept->second).value_or(LogTimes());
  const auto object = read_object(store, prefix + std::string(kLogTimesObject), 0, LogTimes::kTextMax + 1);
  return object ? LogTimes::parse(*object).value_or(LogTimes()) : LogTimes();
}

std::uint64_t first_byte_of(const LogBytes& bytes, const LogTimes& times, const Lines& lines) {
  std::uint64_t first = bytes.first;
  if (lines.since.is_set()) first = lines_since(bytes, times, lines.since);
  return lines.tail ? std::max(first, last_lines(bytes, *lines.tail)) : first;
}

/// Where the lines begin that are wanted.
std::uint64_t find_first_byte(Context& context, const Wanted& wanted, const Standing& standing, const Lines& lines) {
  ObjectStore& store = context.backend.objects();
  const std::string prefix = wanted.prefix_of(standing.attempt);
  const auto kept = standing.ended ? store.head(prefix + "log") : Result<ObjectInfo>(fail(ErrorCode::kNotFound, ""));
  if (kept) {
    const auto read = [&](std::uint64_t offset, std::uint64_t length) {
      return read_object(store, prefix + "log", offset, length).value_or("");
    };
    const LogTimes times = lines.since.is_set() ? times_of(store, prefix, *kept) : LogTimes();
    return first_byte_of({.first = 0, .end = kept->size, .read = read}, times, lines);
  }
  const auto live = context.logs.read(standing.attempt, 0, LogHub::kTailMax);
  if (!live) return 0;
  const auto read = [&](std::uint64_t offset, std::uint64_t length) {
    return live->data.substr(offset - live->offset, length);
  };
  const LogBytes bytes{.first = live->offset, .end = live->offset + live->data.size(), .read = read};
  return first_byte_of(bytes, context.logs.times(standing.attempt), lines);
}

/// A log from its first byte to its end, or to what is there by now.
class LogStream : public Stream {
 public:
  LogStream(Wanted wanted, const Lines& lines, WallTime started_at)
      : wanted_(std::move(wanted)), follow_(lines.follow), offset_(lines.offset) {
    if (lines.timestamps) stamps_.emplace(started_at);
  }

  Piece next(Context& context) override {
    const bool ask_store = !standing_.ended && quiet_looks_ % kQuietLooks == 0;
    if (ask_store) {
      const auto standing = where_it_stands(context.reader, wanted_);
      if (!standing) return {.data = "[" + standing.error().message + "]\n", .last = true};
      standing_ = *standing;
      wanted_.attempt_no = standing_.attempt_no;
    }
    Piece piece = standing_.ended ? what_was_kept(context) : what_is_new(context);
    if (stamps_ && !piece.data.empty()) stamp(context, piece);
    quiet_looks_ = piece.data.empty() ? quiet_looks_ + 1 : 1;
    return piece;
  }

 private:
  void stamp(Context& context, Piece& piece) {
    if (!standing_.ended) {
      times_ = context.logs.times(standing_.attempt);
    } else if (!knows_kept_times_) {
      knows_kept_times_ = true;
      const std::string prefix = wanted_.prefix_of(standing_.attempt);
      if (const auto kept = context.backend.objects().head(prefix + "log")) {
        times_ = times_of(context.backend.objects(), prefix, *kept);
      }
    }
    // Counted from its end: where bytes were left out, words of ours stand in front.
    const std::uint64_t begin = offset_ - std::min<std::uint64_t>(offset_, piece.data.size());
    piece.data = stamps_->stamp(piece.data, begin, times_);
  }

  Piece what_is_new(Context& context) {
    const auto live = context.logs.read(standing_.attempt, offset_);
    if (!live) return {.last = !follow_, .rest_ms = kRestMs};
    Piece piece = take(*live);
    if (live->ended && live->data.empty()) {
      // Its end may have overtaken its last words on their way here; they were kept before it was told.
      standing_.ended = true;
      piece.rest_ms = 0;
    }
    piece.last = !follow_ && !live->ended && live->data.empty();
    return piece;
  }

  /// The object of an attempt that is over; where there is none (its worker was lost), what the hub still has.
  Piece what_was_kept(Context& context) {
    Piece piece{.last = true, .rest_ms = 0};
    if (!standing_.attempt) return piece;
    const auto read =
        context.backend.objects().read(log_key(), offset_, kPieceMax, [&](std::span<const std::byte> bytes) {
          piece.data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return true;
        });
    offset_ += piece.data.size();
    piece.last = !read || piece.data.size() < kPieceMax;
    if (read) return piece;
    if (const auto live = context.logs.read(standing_.attempt, offset_)) {
      piece = take(*live);
      piece.last = piece.data.empty();
    } else if (read.error().code != ErrorCode::kNotFound) {
      piece.data += "[the log cannot be read: " + read.error().message + "]\n";
    }
    return piece;
  }

  Piece take(const LogHub::Piece& live) {
    Piece piece{.rest_ms = live.data.empty() ? kRestMs : 0};
    if (live.offset > offset_) {
      piece.data = fmt::format("[{} bytes are left out here; the whole log is kept when the attempt ends]\n",
                               live.offset - offset_);
    }
    offset_ = std::max(offset_, live.offset + live.data.size());  // A hub that was begun anew may know less.
    piece.data += live.data;
    return piece;
  }

  std::string log_key() const { return wanted_.prefix_of(standing_.attempt) + "log"; }

  Wanted wanted_;
  const bool follow_;
  Standing standing_;
  std::uint64_t offset_;
  std::uint32_t quiet_looks_ = 0;
  std::optional<LineStamps> stamps_;  ///< Where times are wanted.
  LogTimes times_;
  bool knows_kept_times_ = false;
};

Result<std::uint16_t> parse_attempt(const std::string& text) {
  if (text == "latest") return std::uint16_t{0};
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number > 0) return number;
  return fail(ErrorCode::kNotFound, fmt::format("no attempt '{}': give its number, or 'latest'", text));
}

Result<Lines> read_lines(const Request& request) {
  Lines lines;
  const auto follow = request.flag("follow");
  const auto timestamps = request.flag("timestamps");
  const auto offset = request.number("offset", 0, 0, INT64_MAX);
  const auto tail = request.number("tail", 0, 0, kTailLinesMax);
  const auto since = parse_iso8601(request.parameter("since").value_or("1970-01-01"));
  if (!follow) return fail(follow.error());
  if (!timestamps) return fail(timestamps.error());
  if (!offset) return fail(offset.error());
  if (!tail) return fail(tail.error());
  if (!since) return fail(Error(since.error()).in("since"));
  lines.follow = *follow;
  lines.timestamps = *timestamps;
  lines.offset = *offset;
  if (request.parameter("tail")) lines.tail = *tail;
  lines.since = *since;
  if (lines.chooses() && request.parameter("offset")) {
    return fail(ErrorCode::kInvalidInput, "'offset' says where to begin; leave out 'tail' and 'since'");
  }
  return lines;
}

}  // namespace

Answer read_log(Context& context, const Request& request) {
  auto lines = read_lines(request);
  if (!lines) return problem(400, lines.error().message);
  const auto attempt_no = parse_attempt(request.variable("attempt"));
  if (!attempt_no) return problem(attempt_no.error());
  const auto found = find_task(context, request);
  if (!found) return problem(found.error());
  Wanted wanted{.run = found->run,
                .key = {found->run.seq, found->index},
                .task = found->instances->dag().tasks[found->instances->task_of(found->index)].id,
                .map_key = found->instances->key_of(found->index),
                .attempt_no = *attempt_no};
  const auto standing = where_it_stands(context.reader, wanted);
  if (!standing) return problem(standing.error());
  if (lines->chooses()) {
    lines->offset = find_first_byte(context, wanted, *standing, *lines);
    wanted.attempt_no = standing->attempt_no;
  }
  return {.content_type = "text/plain; charset=utf-8",
          .headers = {{"Content-Disposition", "attachment; filename=\"log.txt\""},
                      {"Log-Offset", std::to_string(lines->offset)}},
          .stream = std::make_shared<LogStream>(std::move(wanted), *lines, standing->started_at)};
}

}  // namespace chappe::api
