#include "scheduler/launch/launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/ports/log.h"

namespace chappe::launch {
namespace {

using namespace std::chrono_literals;

constexpr Duration kListEvery = 5min;  ///< Whatever the watch says.
constexpr Duration kComplainEvery = 60s;
constexpr Duration kRestMin = 500ms, kRestMax = 30s;
constexpr int kConflict = 409, kNotFound = 404, kInvalid = 422, kBadRequest = 400;

PodOutcome later(std::string message, std::optional<Duration> after = {}) {
  return {.what = PodOutcome::What::kLater, .message = std::move(message), .after = after};
}

}  // namespace

Launcher::Launcher(ApiConfig api, PodSettings settings, Report report)
    : api_(std::move(api), [this](Duration time) { leave_alone(time); }),
      settings_(std::move(settings)),
      selector_(fmt::format("{}={}", kInstallationLabel, settings_.installation)),
      report_(std::move(report)),
      book_(settings_.installation) {
  for (std::size_t i = 0; i < kRequestsAtOnce; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
  threads_.emplace_back([this](const std::stop_token& stop) { keep_watch(stop); });
}

Launcher::~Launcher() {
  stops_ = true;
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

MonoTime Launcher::now() { return {std::chrono::duration_cast<Duration>(Clock::now().time_since_epoch()).count()}; }

void Launcher::update(const std::function<void(PodBook&, MonoTime)>& change) {
  const std::lock_guard reporting(reporting_);
  std::vector<PodSeen> news;
  {
    const std::lock_guard lock(mutex_);
    change(book_, now());
    news = book_.take_news();
  }
  changed_.notify_all();
  for (PodSeen& each : news) report_(std::move(each));
}

/// On the scheduler's loop: no news comes of it, and it must not wait for any.
void Launcher::order(PodOrder order, std::string join_key) {
  {
    const std::lock_guard lock(mutex_);
    book_.want(std::move(order), std::move(join_key), now());
  }
  changed_.notify_one();
}

void Launcher::release(const std::string& pod) {
  {
    const std::lock_guard lock(mutex_);
    book_.release(pod, now());
  }
  changed_.notify_one();
}

void Launcher::begin() {
  {
    const std::lock_guard lock(mutex_);
    begun_ = true;
  }
  changed_.notify_all();
}

// ---- Requests ----

void Launcher::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex_);
    const auto request = next_request(lock, stop);
    lock.unlock();
    if (!request) continue;
    const PodOutcome outcome = carry_out(*request);
    update([&](PodBook& book, MonoTime time) { book.take(*request, outcome, time); });
  }
}

/// Waits until one is due, and the server may be asked.
std::optional<PodRequest> Launcher::next_request(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  const MonoTime time = now();
  const auto due = book_.next_due();
  if (!due) {
    changed_.wait(lock, stop, [&] { return book_.next_due().has_value(); });
    return std::nullopt;
  }
  const MonoTime at = std::max(*due, not_before_);
  if (at > time) {
    changed_.wait_for(lock, stop, at - time,
                      [&] { return book_.next_due() && std::max(*book_.next_due(), not_before_) < at; });
    return std::nullopt;
  }
  auto request = book_.next(time);
  if (request) not_before_ = std::max(not_before_, time + Duration(-100ms)) + Duration(1s) / kRequestsPerSecond;
  return request;
}

PodOutcome Launcher::carry_out(const PodRequest& request) {
  using What = PodRequest::What;
  if (request.what == What::kMake) return make(request);
  const auto answer = request.what == What::kLook ? api_.look(request.pod) : api_.remove(request.pod, request.uid);
  if (!answer) return later(answer.error().message);
  if (answer->status == kNotFound) return {.what = PodOutcome::What::kAbsent};
  // The uid is another one's: ours is gone.
  const bool goes = request.what == What::kRemove && (answer->is_success() || answer->status == kConflict);
  if (goes) return {.what = PodOutcome::What::kAbsent};
  if (answer->is_success()) return {.what = PodOutcome::What::kShown, .pod = answer->body};
  complain(answer->message);
  return later(answer->message, answer->retry_after);
}

PodOutcome Launcher::make(const PodRequest& request) {
  auto pod = make_pod(settings_, *request.order, request.join_key);
  if (!pod) return {.what = PodOutcome::What::kRefused, .message = pod.error().message};
  const auto answer = api_.create(*pod);
  if (!answer) return later(answer.error().message);
  if (answer->is_success()) return {.what = PodOutcome::What::kShown, .pod = answer->body};
  if (answer->status == kConflict) return {.what = PodOutcome::What::kExists};
  if (answer->status == kInvalid || answer->status == kBadRequest) {
    return {.what = PodOutcome::What::kRefused, .message = answer->message};
  }
  complain(answer->message);
  return later(answer->message, answer->retry_after);
}

// ---- What there is ----

void Launcher::keep_watch(const std::stop_token& stop) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return begun_; });
  }
  Duration pause = kRestMin;
  while (!stop.stop_requested()) {
    std::string version;
    const bool listened = list_all(version) && watch_on(std::move(version), stop);
    if (!listened) rest(pause, stop);
    pause = listened ? kRestMin : std::min<Duration>(pause * 2, kRestMax);
  }
}

bool Launcher::list_all(std::string& version) {
  const MonoTime began = now();
  auto listed = api_.list(selector_);
  if (!listed) {
    complain(listed.error().message);
    return false;
  }
  version = listed->version;
  update([&](PodBook& book, MonoTime time) { book.listed(listed->pods, began, time); });
  return true;
}

/// Until it is time for another list. False: it came to nothing, and so may the next one.
bool Launcher::watch_on(std::string version, const std::stop_token& stop) {
  constexpr int kFailuresMax = 3;
  const MonoTime until = now() + kListEvery;
  const auto take = [&](const WatchEvent& event) {
    if (event.type == "BOOKMARK") return;
    update([&](PodBook& book, MonoTime time) {
      if (event.type == "DELETED") {
        book.deleted(event.object, time);
      } else {
        book.shown(event.object, time);
      }
    });
  };
  bool listened = false;
  for (int failures = 0; failures < kFailuresMax && now() < until && !stop.stop_requested();) {
    const MonoTime began = now();
    const auto ended = api_.watch(selector_, version, take, stops_);
    if (ended && *ended == WatchEnd::kExpired) return listened;
    if (ended) {
      listened = true;
      if (now() < began + kRestMin) rest(kRestMin, stop);  // A proxy that closes them at once.
      continue;
    }
    ++failures;
    if (!stop.stop_requested()) complain(ended.error().message);
    rest(kRestMin * failures, stop);
  }
  return listened;
}

/// At least so long, and for as long as the server wants to be left alone.
void Launcher::rest(Duration time, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const MonoTime until = std::max(now() + time, not_before_);
  changed_.wait_for(lock, stop, until - now(), [] { return false; });
}

void Launcher::leave_alone(Duration time) {
  const std::lock_guard lock(mutex_);
  not_before_ = std::max(not_before_, now() + time);
}

/// The same once a minute.
void Launcher::complain(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (what == complaint_ && now() < complained_at_ + kComplainEvery) return;
  complaint_ = what;
  complained_at_ = now();
  log::warn("pods: {}", what);
}

}  // namespace chappe::launch
