#include "storage/s3/ranged_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <future>

namespace chappe::s3 {
namespace {

using Buffer = std::vector<std::byte>;

constexpr int kResumesMax = 5;

// The whole size in "bytes 0-99/1234".
std::optional<std::uint64_t> total_of(const http::Response& response) {
  const std::string_view text = response.header("content-range");
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(slash + 1);
  std::uint64_t total = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), total);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return total;
}

/// What one range brought.
struct Fetched {
  ObjectInfo info;       ///< With the size of the whole object.
  bool stopped = false;  ///< By the sink.
};

class Reader {
 public:
  Reader(S3Client& client, const Location& at) : client_(client), at_(at) {}

  /// Streams a range; resumes where a transfer broke off, with what `sink` has already. `etag`: of the version to read;
  /// "": whichever is there, and then that one to the end.
  Result<Fetched> fetch(ByteRange range, std::string etag, const http::BodySink& sink) const {
    std::uint64_t taken = 0;
    bool stopped = false;
    const http::BodySink counting = [&](std::span<const std::byte> bytes) {
      taken += bytes.size();
      stopped = !sink(bytes);
      return !stopped;
    };
    for (int resumes = 0;; ++resumes) {
      const std::uint64_t before = taken;
      auto fetched = fetch_once({range.first + taken, range.length - taken}, etag, counting);
      const bool is_broken = !fetched && fetched.error().code == ErrorCode::kUnavailable;
      const bool moved = taken > before;
      if (!is_broken || !moved || resumes == kResumesMax) return fetched;
    }
  }

 private:
  /// `etag` is filled in from the head of the answer where it is "": also when the body breaks off.
  Result<Fetched> fetch_once(ByteRange range, std::string& etag, const http::BodySink& sink) const {
    std::uint64_t taken = 0;
    bool is_other = false;  // A server that does not know If-Match answered with another version.
    const http::BodySink counting = [&](std::span<const std::byte> bytes) {
      taken += bytes.size();
      return !is_other && sink(bytes);
    };
    Call call{.method = "GET",
              .bucket = at_.bucket,
              .key = at_.key,
              .headers = {{"range", fmt::format("bytes={}-{}", range.first, range.first + range.length - 1)}},
              .sink = &counting,
              .sink_status = 206};
    if (!etag.empty()) call.headers.emplace_back("if-match", "\"" + etag + "\"");
    call.on_head = [&](const http::Response& head) {
      const std::string seen = without_quotes(head.header("etag"));
      if (etag.empty()) etag = seen;
      is_other = !seen.empty() && seen != etag;
    };
    const auto answer = client_.call(call);
    if (is_other) return overwritten();
    return outcome(answer, range, taken);
  }

  Failure overwritten() const {
    return fail(ErrorCode::kConflict,
                fmt::format("read \"s3://{}/{}\": it was overwritten meanwhile", at_.bucket, at_.key));
  }

  Result<Fetched> outcome(const Result<Answer>& answer, ByteRange range, const std::uint64_t& taken) const {
    const std::string what = fmt::format("read \"s3://{}/{}\"", at_.bucket, at_.key);
    if (!answer) return fail(answer.error());
    if (answer->response.status == 416) {  // Nothing there: an empty object, or an offset at its end.
      auto info = head_object(client_, at_);
      if (!info) return fail(std::move(info.error()));
      return Fetched{std::move(*info)};
    }
    if (answer->response.status == 412) return overwritten();
    if (!answer->is_ok()) return fail(error_of(*answer, what));
    const auto total = total_of(answer->response);
    if (!total) return fail(ErrorCode::kUnsupported, what + ": the server does not answer to ranges");
    Fetched fetched{info_of(answer->response, at_.key), answer->response.stopped};
    fetched.info.size = *total;
    const std::uint64_t wanted = std::min(range.length, *total - std::min(*total, range.first));
    if (!fetched.stopped && taken != wanted) return fail(ErrorCode::kUnavailable, what + ": the answer was cut short");
    return fetched;
  }

  S3Client& client_;
  const Location& at_;
};

/// Ranges that were asked for and are not delivered yet, in order.
class Ahead {
 public:
  Ahead(const Reader& reader, std::string etag, ByteRange rest) : reader_(reader), etag_(std::move(etag)), rest_(rest) {
    while (pending_.size() < kRangesAhead && rest_.length > 0) begin({});
  }

  bool is_empty() const { return pending_.empty(); }

  /// Waits for the oldest range and delivers it; asks for another. False: the sink wants no more.
  Result<bool> deliver(const http::BodySink& sink) {
    auto part = pending_.front().get();
    pending_.pop_front();
    if (!part) return fail(std::move(part.error()));
    for (std::span<const std::byte> bytes = *part; !bytes.empty();) {
      const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 256 << 10));
      if (!sink(piece)) return false;
      bytes = bytes.subspan(piece.size());
    }
    if (rest_.length > 0) begin(std::move(*part));
    return true;
  }

 private:
  void begin(Buffer buffer) {
    const ByteRange range{rest_.first, std::min(rest_.length, kRangeBytes)};
    rest_ = {rest_.first + range.length, rest_.length - range.length};
    pending_.push_back(
        std::async(std::launch::async, [this, range, buffer = std::move(buffer)]() mutable -> Result<Buffer> {
          buffer.clear();
          buffer.reserve(range.length);
          const auto fetched = reader_.fetch(range, etag_, [&](std::span<const std::byte> bytes) {
            buffer.insert(buffer.end(), bytes.begin(), bytes.end());
            return true;
          });
          if (!fetched) return fail(fetched.error());
          return std::move(buffer);
        }));
  }

  const Reader& reader_;
  const std::string etag_;
  ByteRange rest_;
  std::deque<std::future<Result<Buffer>>> pending_;  ///< At most kRangesAhead; their threads end before this does.
};

}  // namespace

Result<ObjectInfo> read_object(S3Client& client, const Location& at, std::uint64_t offset,
                               std::optional<std::uint64_t> length, const http::BodySink& sink) {
  if (length == 0) return head_object(client, at);
  const Reader reader(client, at);
  const std::uint64_t first_length = std::min(length.value_or(kRangeBytes), kRangeBytes);
  auto first = reader.fetch({offset, first_length}, "", sink);
  if (!first) return fail(std::move(first.error()));
  const std::uint64_t available = first->info.size - std::min(first->info.size, offset);
  const std::uint64_t wanted = std::min(length.value_or(available), available);
  if (first->stopped || wanted <= first_length) return std::move(first->info);
  Ahead ahead(reader, first->info.etag, {offset + first_length, wanted - first_length});
  while (!ahead.is_empty()) {
    const auto go_on = ahead.deliver(sink);
    if (!go_on) return fail(go_on.error());
    if (!*go_on) break;
  }
  return std::move(first->info);
}

}  // namespace chappe::s3
