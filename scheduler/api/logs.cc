#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/lineage/objects.h"
#include "scheduler/api/handlers.h"

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
};

struct Standing {
  AttemptId attempt;  ///< 0: there is none yet.
  std::uint16_t attempt_no = 0;
  bool ended = false;
};

Result<Standing> where_it_stands(MetaReader& reader, const Wanted& wanted) {
  const auto history = reader.attempts(wanted.key);
  if (!history && history.error().code == ErrorCode::kNotFound) return Standing{};
  if (!history) return fail(history.error());
  const TaskRow& task = history->task;
  if (wanted.attempt_no == 0 || wanted.attempt_no == task.attempt_no) {
    const bool over = task.attempt ? !holds_attempt(task.state) : is_final(task.state);
    return Standing{task.attempt, task.attempt_no, over};
  }
  const auto earlier = std::ranges::find(history->earlier, wanted.attempt_no, &AttemptRow::attempt_no);
  if (earlier != history->earlier.end()) return Standing{earlier->attempt, earlier->attempt_no, true};
  return fail(ErrorCode::kNotFound, fmt::format("there is no attempt {}", wanted.attempt_no));
}

/// A log from its first byte to its end, or to what is there by now.
class LogStream : public Stream {
 public:
  LogStream(Wanted wanted, bool follow, std::uint64_t offset)
      : wanted_(std::move(wanted)), follow_(follow), offset_(offset) {}

  Piece next(Context& context) override {
    const bool ask_store = !standing_.ended && quiet_looks_ % kQuietLooks == 0;
    if (ask_store) {
      const auto standing = where_it_stands(context.reader, wanted_);
      if (!standing) return {.data = "[" + standing.error().message + "]\n", .last = true};
      standing_ = *standing;
      wanted_.attempt_no = standing_.attempt_no;
    }
    Piece piece = standing_.ended ? what_was_kept(context) : what_is_new(context);
    quiet_looks_ = piece.data.empty() ? quiet_looks_ + 1 : 1;
    return piece;
  }

 private:
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

  std::string log_key() const {
    return attempt_prefix(wanted_.run.dag, wanted_.run.id, wanted_.task, wanted_.map_key, standing_.attempt) + "log";
  }

  Wanted wanted_;
  const bool follow_;
  Standing standing_;
  std::uint64_t offset_;
  std::uint32_t quiet_looks_ = 0;
};

Result<std::uint16_t> parse_attempt(const std::string& text) {
  if (text == "latest") return std::uint16_t{0};
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number > 0) return number;
  return fail(ErrorCode::kNotFound, fmt::format("no attempt '{}': give its number, or 'latest'", text));
}

}  // namespace

Answer read_log(Context& context, const Request& request) {
  const auto follow = request.flag("follow");
  if (!follow) return problem(400, follow.error().message);
  const auto offset = request.number("offset", 0, 0, INT64_MAX);
  if (!offset) return problem(400, offset.error().message);
  const auto attempt_no = parse_attempt(request.variable("attempt"));
  if (!attempt_no) return problem(attempt_no.error());
  const auto found = find_task(context, request);
  if (!found) return problem(found.error());
  Wanted wanted{.run = found->run,
                .key = {found->run.seq, found->index},
                .task = found->instances->dag().tasks[found->instances->task_of(found->index)].id,
                .map_key = found->instances->key_of(found->index),
                .attempt_no = *attempt_no};
  if (const auto standing = where_it_stands(context.reader, wanted); !standing) return problem(standing.error());
  return {.content_type = "text/plain; charset=utf-8",
          .headers = {{"Content-Disposition", "attachment; filename=\"log.txt\""}},
          .stream = std::make_shared<LogStream>(std::move(wanted), *follow, *offset)};
}

}  // namespace chappe::api
