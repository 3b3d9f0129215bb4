#include "storage/s3/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <random>
#include <thread>

#include "storage/digest/digest.h"

namespace chappe::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kAnswerBytesMax = 16 << 20;  // A page of 1,000 keys has at most some 4 MB.
constexpr std::chrono::seconds kLongWork{900};
constexpr std::int64_t kSkewMaxSeconds = 900;  // More, and S3 refuses whatever is signed with such a clock.
constexpr std::uint32_t kSpeedMin = 1'024;     // Bytes a second, over half a minute.

double chance() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(random);
}

std::optional<milliseconds> retry_after(const http::Response& response) {
  const std::string text(response.header("retry-after"));
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 6) return std::nullopt;
  return std::chrono::seconds(std::stoi(text));
}

std::optional<std::int64_t> date_of(const http::Response& response) {
  std::tm utc{};
  const std::string text(response.header("date"));
  if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc) == nullptr) return std::nullopt;
  return ::timegm(&utc);
}

std::int64_t system_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// What one round of learning is about: each is learnt from at most once a call.
enum Lesson : unsigned { kClock = 1, kCredentials = 2, kRegion = 4 };

ErrorCode code_of(const Answer& answer) {
  const int status = answer.response.status;
  const std::string& code = answer.error.code;
  if (code == "NotImplemented" || status == 501) return ErrorCode::kUnsupported;
  if (code == "PreconditionFailed" || status == 412) return ErrorCode::kConflict;
  if (is_passing(status, code) || status < 300) return ErrorCode::kUnavailable;
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 401 || status == 403) return ErrorCode::kPermissionDenied;
  if (is_one_of(code, {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})) return ErrorCode::kPermissionDenied;
  if (status == 409) return ErrorCode::kConflict;
  return ErrorCode::kInvalidInput;
}

std::string_view remedy_of(const Answer& answer) {
  const std::string& code = answer.error.code;
  if (code == "NoSuchBucket") return "; make the bucket first, or correct its name";
  if (is_one_of(code, {"SignatureDoesNotMatch", "InvalidAccessKeyId"})) return "; check the access key and its secret";
  if (code == "AccessDenied") return "; these credentials may not do this";
  if (code == "RequestTimeTooSkewed") return "; set the clock of this machine";
  if (answer.response.status == 301) return "; set AWS_REGION to the bucket's region";
  return "";
}

}  // namespace

Error error_of(const Answer& answer, std::string_view what) {
  std::string said = fmt::format("S3 answered {}", answer.response.status);
  if (!answer.error.code.empty()) said += " " + answer.error.code;
  if (!answer.error.message.empty()) said += ": " + answer.error.message.substr(0, 300);
  return {code_of(answer), fmt::format("{}: {}{}", what, said, remedy_of(answer))};
}

S3Client::S3Client(ClientConfig config, std::shared_ptr<CredentialSource> credentials)
    : config_(std::move(config)),
      credentials_(std::move(credentials)),
      http_({.ca_file = config_.ca_file, .proxy_of_environment = true, .idle_max = 16}),
      region_(config_.region) {}

S3Client::Target S3Client::target() const {
  const std::lock_guard lock(region_mutex_);
  return {config_.endpoint.value_or(aws_endpoint(region_)), region_};
}

std::int64_t S3Client::now_seconds() const { return system_seconds() + clock_offset_seconds_.load(); }

// TLS guards the bytes by itself; without it only the signed hash does.
std::string S3Client::payload_hash(const Call& call, const Endpoint& endpoint) const {
  if (!call.body_sha256.empty()) return call.body_sha256;
  if (call.body.empty()) return std::string(kEmptySha256);
  if (endpoint.scheme == "https") return std::string(kUnsignedPayload);
  Sha256 digest;
  digest.update(call.body);
  return to_hex(digest.finish());
}

Result<http::Request> S3Client::signed_request(const Call& call) {
  const auto credentials = credentials_->get();
  if (!credentials) return fail(credentials.error());
  const auto [endpoint, region] = target();
  const Address address = address_of(endpoint, config_.style, call.bucket, call.key);
  const Scope scope{.region = region, .now_seconds = now_seconds()};
  Signable signable{call.method, address.host, address.path, call.query, call.headers, payload_hash(call, endpoint)};
  signable.headers.emplace_back("x-amz-content-sha256", signable.payload_sha256);
  signable.headers.emplace_back("x-amz-date", amz_date(scope.now_seconds));
  if (!credentials->session_token.empty())
    signable.headers.emplace_back("x-amz-security-token", credentials->session_token);

  http::Request request{.method = call.method,
                        .url = url_of(endpoint, address, canonical_query(call.query)),
                        .headers = signable.headers,
                        .body = call.body,
                        .body_bytes_max = kAnswerBytesMax};
  request.headers.emplace_back("authorization", authorization(signable, *credentials, scope));
  request.sink_status = call.sink_status;
  request.on_head = call.on_head;
  request.timeout = call.works_long ? kLongWork : std::chrono::seconds(0);
  request.stall_timeout = call.works_long ? std::chrono::seconds(0) : config_.stall_timeout;
  request.speed_min = call.body.empty() && call.sink == nullptr ? 1 : kSpeedMin;
  return request;
}

Result<Answer> S3Client::try_once(const Call& call, bool& sink_has_bytes) {
  const auto request = signed_request(call);
  if (!request) return fail(request.error());
  const http::BodySink sink = [&](std::span<const std::byte> bytes) {
    sink_has_bytes = true;
    return (*call.sink)(bytes);
  };
  auto response = call.sink != nullptr ? http_.stream(*request, sink) : http_.send(*request);
  if (!response) return fail(std::move(response.error()));
  Answer answer{.response = std::move(*response)};
  const bool is_error = answer.response.status >= 300 || call.error_in_200;
  if (is_error) answer.error = read_error(answer.response.body).value_or(ErrorAnswer{});
  return answer;
}

bool S3Client::learn_region(const Answer& answer) {
  std::string region(answer.response.header("x-amz-bucket-region"));
  if (region.empty()) region = answer.error.region;
  const std::lock_guard lock(region_mutex_);
  if (region.empty() || region == region_) return false;
  region_ = region;
  return true;
}

// A refusal that tells how to ask better.
bool S3Client::learns_from(const Call& call, const Answer& answer, unsigned& lessons) {
  const std::string& code = answer.error.code;
  const int status = answer.response.status;
  // Of a HEAD there is no body that could name the reason.
  const bool is_mute = call.method == "HEAD" && code.empty();
  const auto is_new = [&](Lesson lesson) { return std::exchange(lessons, lessons | lesson) != (lessons | lesson); };
  const auto date = date_of(answer.response);
  const bool is_far_off = date && std::abs(*date - now_seconds()) > kSkewMaxSeconds;
  if (code == "RequestTimeTooSkewed" || (is_mute && status == 403 && is_far_off)) {
    if (!date || !is_new(kClock)) return false;
    clock_offset_seconds_ = *date - system_seconds();
    return true;
  }
  if (is_one_of(code, {"ExpiredToken", "TokenRefreshRequired"}) || (is_mute && status == 400)) {
    if (!is_new(kCredentials)) return false;
    credentials_->invalidate();
    return true;
  }
  const bool is_elsewhere = status == 301 || status == 307 || code == "AuthorizationHeaderMalformed" ||
                            (status == 400 && !answer.response.header("x-amz-bucket-region").empty());
  return is_elsewhere && is_new(kRegion) && learn_region(answer);
}

Result<Answer> S3Client::call(const Call& call) {
  const auto start = steady_clock::now();
  const RetryPolicy& policy = config_.retry;
  const std::uint32_t tries_max = call.tries_max > 0 ? std::min(call.tries_max, policy.tries_max) : policy.tries_max;
  unsigned lessons = 0;
  bool was_repeated = false;
  bool sink_has_bytes = false;
  for (std::uint32_t tries = 1;; ++tries) {
    budget_.earn();
    auto answer = try_once(call, sink_has_bytes);
    if (answer) answer->was_repeated = was_repeated;
    if (answer && learns_from(call, *answer, lessons)) continue;
    const bool is_passing_answer =
        answer && !answer->is_ok() &&
        (answer->response.status < 300 || is_passing(answer->response.status, answer->error.code));
    const bool is_broken = !answer && answer.error().code == ErrorCode::kUnavailable;
    if (sink_has_bytes || (!is_passing_answer && !is_broken)) return answer;
    const auto rest = rest_before(tries + 1, policy, chance(), answer ? retry_after(answer->response) : std::nullopt);
    const bool is_late = steady_clock::now() + rest - start > policy.deadline;
    if (tries >= tries_max || is_late || !budget_.spend()) return answer;
    std::this_thread::sleep_for(rest);
    was_repeated = true;
  }
}

Result<std::string> S3Client::presign(const std::string& method, const std::string& bucket, const std::string& key,
                                      std::uint32_t valid_seconds) {
  const auto credentials = credentials_->get();
  if (!credentials) return fail(credentials.error());
  const auto [endpoint, region] = target();
  const Address address = address_of(endpoint, config_.style, bucket, key);
  const Signable signable{method, address.host, address.path, {}, {}, std::string(kUnsignedPayload)};
  return url_of(
      endpoint, address,
      presigned_query(signable, *credentials, {.region = region, .now_seconds = now_seconds()}, valid_seconds));
}

}  // namespace chappe::s3
