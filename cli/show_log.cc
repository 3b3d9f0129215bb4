#include "cli/show_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <utility>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kTasksNamedMax = 20;
constexpr std::chrono::seconds kLogAwayMax{60};
constexpr std::chrono::milliseconds kLogReconnectRest{200};
constexpr std::string_view kStamp = "2026-11-28T03:00:00.123Z ";

/// Which task's log is meant where none was named: of the first that failed and wrote something, or of the only one.
/// Complains with the tasks that there are otherwise.
int choose_task(ApiClient& client, const std::string& run, std::string& chosen) {
  chosen = find_failed_log(client, run, 1).task;
  if (!chosen.empty()) return kOk;
  const auto tasks = client.get(run_path(run) + fmt::format("/tasks?limit={}", kTasksNamedMax));
  if (!tasks) return complain(tasks.error());
  if (list_of(*tasks, "items").size() == 1) {
    chosen = text_of(list_of(*tasks, "items").front(), "name");
    return kOk;
  }
  std::string names;
  for (const Value& task : list_of(*tasks, "items")) names += (names.empty() ? "" : ", ") + text_of(task, "name");
  const bool more = !text_of(*tasks, "next").empty();
  return complain(fmt::format("name one of the run's tasks: {}{}", names, more ? ", ..." : ""), kUsage);
}

/// What the API puts in front of lines, as the time here. Counts the log's own bytes.
class LogPrinter {
 public:
  LogPrinter(bool stamped, bool as_sent) : stamped_(stamped), as_sent_(as_sent) {}

  std::string take(std::string_view text) {
    if (!stamped_) {
      bytes_ += text.size();
      return std::string(text);
    }
    std::string out;
    while (!text.empty()) {
      if (stamp_.size() < kStamp.size()) {
        const std::string_view more = text.substr(0, kStamp.size() - stamp_.size());
        stamp_ += more;
        text.remove_prefix(more.size());
        if (stamp_.size() == kStamp.size() && !continues_) out += as_sent_ ? stamp_ : local_stamp(stamp_);
        continue;
      }
      const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
      out += line;
      bytes_ += line.size();
      text.remove_prefix(line.size());
      continues_ = !line.ends_with('\n');
      if (!continues_) stamp_.clear();
    }
    return out;
  }

  /// The connection broke: what comes next is stamped anew, also within a line.
  void begin_again() { stamp_.clear(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  bool stamped_;
  bool as_sent_;
  std::string stamp_;
  bool continues_ = false;  ///< A line has begun, and its time was printed.
  std::uint64_t bytes_ = 0;
};

/// "10m" is so long ago.
Result<std::string> since_of(const std::string& text) {
  if (text.empty()) return std::string();
  const auto now = std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch());
  if (const auto ago = parse_duration(text)) return to_iso8601(WallTime{(now - *ago).count()});
  const auto time = parse_iso8601(text);
  if (time) return to_iso8601(*time);
  return fail(ErrorCode::kInvalidInput,
              fmt::format("--since: '{}' is neither a duration such as 10m nor a time such as 2026-11-20T03:00:00Z",
                          printable(text)));
}

std::string query_of(const LogOptions& options, const std::string& since) {
  std::string out = fmt::format("?follow={}&timestamps={}", options.follow ? 1 : 0, options.timestamps ? 1 : 0);
  if (options.tail) out += fmt::format("&tail={}", *options.tail);
  return since.empty() ? out : out + "&since=" + segment(since);
}

}  // namespace

std::string run_path(const std::string& run) { return "/runs/" + segment(run); }

std::string log_path(const std::string& run, const std::string& task, const std::string& attempt) {
  return run_path(run) + "/tasks/" + segment(task) + "/attempts/" + segment(attempt) + "/log";
}

TaskLog find_failed_log(ApiClient& client, const std::string& run, std::size_t lines) {
  const auto failed = client.get(run_path(run) + fmt::format("/tasks?state=failed&limit={}", kTasksNamedMax));
  if (!failed) return {};
  for (const Value& one : list_of(*failed, "items")) {
    const std::string task = text_of(one, "name");
    auto log = client.get_text(log_path(run, task, "latest") + fmt::format("?tail={}", lines));
    if (log && !log->empty()) return {task, *std::move(log)};
  }
  return {};
}

int show_log(const Session& session, const std::string& run, const std::string& task, const std::string& attempt,
             const LogOptions& options) {
  const auto since = since_of(options.since);
  if (!since) return complain(since.error().message, kUsage);
  if (task.empty()) {
    std::string chosen;
    const int code =
        with_server(session, Need::kReading, [&](ApiClient& client) { return choose_task(client, run, chosen); });
    return code == kOk ? show_log(session, run, chosen, attempt, options) : code;
  }
  const std::string path = log_path(run, task, attempt);
  LogPrinter printer(options.timestamps, session.output.json);
  std::optional<std::uint64_t> first;  // Where what was asked for begins; not set before the first answer.
  const auto stream = [&](ApiClient& client) {
    std::string query = query_of(options, *since);
    if (first) {
      query = fmt::format("?follow=1&timestamps={}&offset={}", options.timestamps ? 1 : 0, *first + printer.bytes());
    }
    printer.begin_again();
    const auto take = [&](std::string_view text) {
      print(printer.take(text));
      return std::fflush(stdout) == 0;
    };
    return client.stream(path + query, take, [&](const http::Response& head) {
      if (!first) first = std::strtoull(std::string(head.header("log-offset")).c_str(), nullptr, 10);
    });
  };
  Result<void> ended;
  const int code = with_server(session, Need::kReading, [&](ApiClient& client) {
    ended = stream(client);
    return int{kOk};
  });
  if (code != kOk) return code;
  // A scheduler that is started again goes on where its last life broke off.
  const auto deadline = std::chrono::steady_clock::now() + kLogAwayMax;
  while (options.follow && !ended && ended.error().code == ErrorCode::kUnavailable &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kLogReconnectRest);
    if (auto client = ApiClient::find(session.server)) ended = stream(*client);
  }
  return ended ? int{kOk} : complain(ended.error());
}

}  // namespace chappe::cli
