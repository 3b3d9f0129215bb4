// What a Kubernetes API server answers: the first line is a status and header text ("STATUS\tNAME: VALUE\t..."), the
// rest a body, which is read as an object, a page of a list and the events of a watch. What it shows goes into the
// books.
#include <string>
#include <vector>

#include "proto/json/json.h"
#include "scheduler/launch/api_answer.h"
#include "scheduler/launch/pod_book.h"
#include "scheduler/launch/pod_status.h"
#include "tests/fuzz/target.h"
#include "tests/support/pods_of.h"

namespace chappe::fuzz {

using namespace launch;

static http::Response response_of(std::string_view line, std::string_view body) {
  http::Response response;
  for (const char digit : take_until(line, '\t').substr(0, 3)) {
    response.status = response.status * 10 + (digit >= '0' && digit <= '9' ? digit - '0' : 0);
  }
  while (!line.empty()) {
    std::string_view header = take_until(line, '\t');
    const std::string name(take_until(header, ':'));
    response.headers.emplace_back(name, header);
  }
  response.body = body;
  return response;
}

static PodSeen check_pod(const Value& pod) {
  PodSeen seen = read_status(pod);
  CHAPPE_ASSERT(seen.message.size() <= kToldBytesMax && read_image(pod).size() <= kImageBytesMax);
  return seen;
}

struct Watched {
  std::vector<WatchEvent> events;
  std::string version = "1";
  bool goes_on = true;
  std::string end;
};

static std::string told(const Result<WatchEnd>& end) {
  if (!end) return end.error().message;
  return *end == WatchEnd::kExpired ? "expired" : "closed";
}

/// `piece`: how much comes at a time.
static Watched watch(std::string_view body, std::size_t piece) {
  Watched seen;
  const std::function<void(const WatchEvent&)> on_event = [&](const WatchEvent& event) {
    seen.events.push_back(event);
  };
  WatchReader reader(seen.version, on_event);
  for (std::size_t at = 0; at < body.size() && seen.goes_on; at += piece)
    seen.goes_on = reader.add(body.substr(at, piece));
  const auto end = reader.end();
  if (!end) check_error(end.error());
  CHAPPE_ASSERT(!seen.goes_on || (end && *end == WatchEnd::kClosed));
  seen.end = told(end);
  return seen;
}

/// However it comes in pieces, it says the same.
static Watched check_watch(std::string_view body) {
  Watched whole = watch(body, std::max<std::size_t>(body.size(), 1));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
    const Watched pieces = watch(body, piece);
    CHAPPE_ASSERT(pieces.end == whole.end && pieces.version == whole.version && pieces.goes_on == whole.goes_on);
    CHAPPE_ASSERT(pieces.events.size() == whole.events.size());
    for (std::size_t i = 0; i < whole.events.size(); ++i) {
      CHAPPE_ASSERT(pieces.events[i].type == whole.events[i].type && pieces.events[i].object == whole.events[i].object);
    }
  }
  return whole;
}

/// Whatever it is shown: news are of attempts that were ordered, and a released pod ends in being gone.
class Books {
 public:
  Books() {
    for (std::uint64_t attempt = 1; attempt <= 3; ++attempt) {
      orders_.push_back(order_of(some_task(), attempt));
      book_.want(orders_.back(), "key", at(0));
    }
    carry_out(PodOutcome::What::kLater);
  }
  void show(const WatchEvent& event) {
    if (event.type == "DELETED") {
      book_.deleted(event.object, at(++time_));
    } else {
      book_.shown(event.object, at(++time_));
    }
    check_news();
  }
  void list(const ValueList& pods) {
    book_.listed(pods, at(time_), at(time_ + 1));
    check_news();
  }
  void end() {
    for (const PodOrder& order : orders_) book_.release(order.pod, at(++time_));
    constexpr int kRoundsMax = 1000;
    int rounds = 0;
    while (book_.size() > 0 && ++rounds < kRoundsMax) carry_out(PodOutcome::What::kAbsent);
    CHAPPE_ASSERT(book_.size() == 0);
  }

 private:
  static MonoTime at(std::int64_t seconds) { return MonoTime{} + std::chrono::seconds(seconds); }
  void carry_out(PodOutcome::What what) {
    time_ += 600;
    std::vector<PodRequest> requests;
    while (auto request = book_.next(at(time_))) requests.push_back(*std::move(request));
    for (const PodRequest& request : requests) book_.take(request, {.what = what}, at(time_));
    check_news();
  }
  void check_news() {
    for (const PodSeen& seen : book_.take_news()) {
      CHAPPE_ASSERT(seen.message.size() <= kImageBytesMax);
    }
  }

  std::vector<PodOrder> orders_;
  PodBook book_{"0123456789abcdef"};
  std::int64_t time_ = 0;
};

FUZZ_TARGET(kubernetes_answer) {
  const std::string_view head = take_until(input, '\n');
  const ApiAnswer answer = answer_of(response_of(head, input));
  CHAPPE_ASSERT(answer.is_success() == answer.message.empty() && answer.message.size() <= kToldBytesMax);
  CHAPPE_ASSERT(!answer.retry_after ||
                (*answer.retry_after >= Duration(0) && *answer.retry_after <= std::chrono::minutes(2)));
  (void)check_pod(answer.body);
  Books books;
  const ListPage page = read_page(answer.body);
  CHAPPE_ASSERT(page.items.size() <= input.size());
  for (const Value& pod : page.items) (void)check_pod(pod);
  books.list(page.items);
  for (const WatchEvent& event : check_watch(input).events) {
    (void)check_pod(event.object);
    if (event.type != "BOOKMARK") books.show(event);
  }
  books.end();
}

}  // namespace chappe::fuzz
