#include "cli/follow.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "cli/exit_code.h"
#include "cli/progress.h"
#include "proto/json/json.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{50};
constexpr milliseconds kReconnectFirst{50};
constexpr milliseconds kReconnectMost{2'000};
constexpr std::chrono::seconds kAwayMax{120};  // Without a server for so long, waiting is given up.
constexpr std::size_t kLineMax = std::size_t{64} << 20;
constexpr std::size_t kLinesMax = 10'000;

/// What the reading thread has to tell.
struct News {
  std::optional<Value> line;
  std::string trouble;  ///< The connection broke; or, with `fatal`, the server said no.
  bool fatal = false;
};

class NewsQueue {
 public:
  /// False once nobody listens any more.
  bool push(News news) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || news_.size() < kLinesMax; });
    if (closed_) return false;
    news_.push_back(std::move(news));
    changed_.notify_all();
    return true;
  }
  std::optional<News> pop(milliseconds wait) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [this] { return !news_.empty(); });
    if (news_.empty()) return std::nullopt;
    News first = std::move(news_.front());
    news_.pop_front();
    changed_.notify_all();
    return first;
  }
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  /// Waits, but not past the end of listening. True: somebody still listens.
  bool rest(milliseconds wait) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, wait, [this] { return closed_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<News> news_;
  bool closed_ = false;
};

/// Reads the watch stream into the queue, again and again until the run is over or nobody listens.
class WatchReader {
 public:
  WatchReader(FollowOptions options, std::shared_ptr<NewsQueue> queue)
      : options_(std::move(options)), queue_(std::move(queue)) {}

  void run() {
    milliseconds rest = kReconnectFirst;
    while (!over_) {
      heard_ = false;
      const auto ended = watch_once();
      if (over_) return;
      if (heard_) rest = kReconnectFirst;
      const bool fatal =
          !ended &&
          (ended.error().code == ErrorCode::kNotFound || ended.error().code == ErrorCode::kPermissionDenied) &&
          connected_;
      if (!queue_->push({.trouble = ended ? "the connection ended" : ended.error().message, .fatal = fatal})) return;
      if (fatal || !queue_->rest(rest)) return;
      rest = std::min(rest * 2, kReconnectMost);
    }
  }

 private:
  Result<void> watch_once() {
    connected_ = false;
    auto server = options_.find_server();
    if (!server) return fail(server.error());
    connected_ = true;
    rest_of_line_.clear();
    return server->stream("/runs/" + segment(options_.run) + "/watch",
                          [this](std::string_view text) { return take(text); });
  }

  bool take(std::string_view text) {
    heard_ = true;
    rest_of_line_ += text;
    std::size_t begin = 0;
    for (std::size_t end; (end = rest_of_line_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end > begin && !take_line(std::string_view(rest_of_line_).substr(begin, end - begin))) return false;
    }
    rest_of_line_.erase(0, begin);
    return rest_of_line_.size() <= kLineMax;
  }

  bool take_line(std::string_view text) {
    auto line = parse_json(text, kLineMax);
    if (!line) return false;
    if (const Value* run = line->find("run")) {
      const std::string state = text_of(*run, "state");
      over_ = state == "success" || state == "failed" || state == "cancelled";
    }
    return queue_->push({.line = *std::move(line)});
  }

  FollowOptions options_;
  std::shared_ptr<NewsQueue> queue_;
  std::string rest_of_line_;
  bool connected_ = false;
  bool heard_ = false;
  bool over_ = false;
};

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

/// The number of a signal that has come; 0: none.
int taken_interrupt() {
  const sigset_t set = interrupts();
  const timespec at_once{};
  const int number = ::sigtimedwait(&set, nullptr, &at_once);
  return number > 0 ? number : 0;
}

class Follower {
 public:
  Follower(const FollowOptions& options, const Output& output)
      : options_(options), output_(output), progress_(output) {}

  Followed follow() {
    auto queue = std::make_shared<NewsQueue>();
    // It may hang in a read when the waiting is given up: nothing waits for it then.
    std::thread([reader = WatchReader(options_, queue)]() mutable { reader.run(); }).detach();
    const int code = wait_for_end(*queue);
    queue->close();
    progress_.draw(true);
    return {code, progress_.run()};
  }

 private:
  int wait_for_end(NewsQueue& queue) {
    while (!progress_.is_over()) {
      if (const auto news = queue.pop(kTick)) {
        if (const auto code = take(*news)) return *code;
      }
      if (const int number = taken_interrupt()) {
        if (const auto code = interrupted(number)) return *code;
      }
      if (options_.timeout && Clock::now() - began_ > *options_.timeout) {
        return complain(fmt::format("run {} is still going; waiting for it was given up", options_.run), kTimedOut);
      }
      progress_.draw();
    }
    return exit_code_of_run(progress_.state());
  }

  std::optional<int> take(const News& news) {
    if (news.line) {
      away_since_.reset();
      if (const Value* error = news.line->find("error")) progress_.say("chappe: " + printable(to_text(*error)));
      progress_.update(*news.line);
      return std::nullopt;
    }
    if (news.fatal) return complain(news.trouble, kFailure);
    if (options_.when_away) options_.when_away();
    if (!away_since_) {
      away_since_ = Clock::now();
      progress_.say("chappe: the scheduler went away; the run goes on when it is back. Waiting for it");
    }
    if (Clock::now() - *away_since_ < kAwayMax) return std::nullopt;
    return complain(fmt::format("no scheduler for {} s: {}", kAwayMax.count(), news.trouble), kFailure);
  }

  std::optional<int> interrupted(int number) {
    if (!options_.cancel_on_interrupt || cancelling_) return 128 + number;
    cancelling_ = true;
    progress_.say("chappe: cancelling the run; once more to leave at once");
    auto server = options_.find_server();
    const auto answer = server ? server->send("POST", "/runs/" + segment(options_.run) + "/cancel", ValueMap{})
                               : Result<Value>(fail(server.error()));
    if (!answer) progress_.say("chappe: cancel the run: " + printable(answer.error().message));
    return std::nullopt;
  }

  const FollowOptions& options_;
  Output output_;
  Progress progress_;
  Clock::time_point began_ = Clock::now();
  std::optional<Clock::time_point> away_since_;
  bool cancelling_ = false;
};

}  // namespace

void block_interrupts() {
  const sigset_t set = interrupts();
  (void)::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // Fails only for an unknown operation.
}

Followed follow_run(const FollowOptions& options, const Output& output) { return Follower(options, output).follow(); }

}  // namespace chappe::cli
