#include "scheduler/launch/api_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "proto/json/json.h"
#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod_status.h"

namespace chappe::launch {
namespace {

/// Seconds, as API servers give them.
std::optional<Duration> retry_after(const http::Response& response) {
  constexpr int kMost = 120;
  const std::string_view text = response.header("retry-after");
  int seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || read.ec != std::errc() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(std::min(seconds, kMost));
}

std::string shortened(std::string text) {
  if (text.size() > kToldBytesMax) text.resize(kToldBytesMax);
  return text;
}

}  // namespace

ApiAnswer answer_of(const http::Response& response) {
  ApiAnswer answer{.status = response.status, .retry_after = retry_after(response)};
  if (auto body = parse_json(response.body, kAnswerMax)) answer.body = *std::move(body);
  if (answer.is_success()) return answer;
  const std::string said = text_of(answer.body.find("message"));
  answer.message =
      shortened(fmt::format("the Kubernetes API answers {}{}{}", answer.status, said.empty() ? "" : ": ", said));
  return answer;
}

ListPage read_page(const Value& body) {
  ListPage page{.version = text_of(find(&body, "metadata", "resourceVersion")),
                .next = text_of(find(&body, "metadata", "continue"))};
  for (const Value& item : items_of(body.find("items"))) page.items.push_back(item);
  return page;
}

bool WatchReader::add(std::string_view piece) {
  buffer_ += piece;
  std::size_t start = 0;
  for (std::size_t end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n', start)) {
    if (end > start && !take(std::string_view(buffer_).substr(start, end - start))) return false;
    start = end + 1;
  }
  buffer_.erase(0, start);
  if (buffer_.size() <= kWatchLineMax) return true;
  problem_ = "an event has no end";
  return false;
}

bool WatchReader::take(std::string_view line) {
  auto event = parse_json(line, kWatchLineMax);
  if (!event) {
    problem_ = event.error().message;
    return false;
  }
  WatchEvent seen{.type = text_of(event->find("type"))};
  if (const Value* object = event->find("object")) seen.object = *object;
  if (seen.type == "ERROR") {
    // What a status would say, had the answer not begun already.
    const Value* code = seen.object.find("code");
    end_ = code != nullptr && *code == Value(kGone) ? WatchEnd::kExpired : WatchEnd::kClosed;
    if (end_ == WatchEnd::kClosed) problem_ = "the server says: " + shortened(text_of(seen.object.find("message")));
    return false;
  }
  if (const std::string now = text_of(find(&seen.object, "metadata", "resourceVersion")); !now.empty()) version_ = now;
  on_event_(seen);
  return true;
}

Result<WatchEnd> WatchReader::end() const {
  if (!problem_.empty()) return fail(ErrorCode::kUnavailable, "watch pods: " + problem_);
  return end_;
}

}  // namespace chappe::launch
