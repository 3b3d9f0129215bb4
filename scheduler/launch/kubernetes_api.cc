#include "scheduler/launch/kubernetes_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include "proto/json/json.h"

namespace chappe::launch {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kTokenMax = std::size_t{64} << 10;
constexpr std::size_t kPagesMax = 1000;

Failure refused(const ApiAnswer& answer) { return fail(ErrorCode::kUnavailable, answer.message); }

}  // namespace

KubernetesApi::KubernetesApi(ApiConfig config, Busy on_busy)
    : config_(std::move(config)),
      on_busy_(std::move(on_busy)),
      pods_(fmt::format("{}/api/v1/namespaces/{}/pods", config_.url, http::percent_encode(config_.namespace_name))),
      client_({.ca_file = config_.ca_file, .idle_max = 16}) {}

Result<http::Request> KubernetesApi::request(const std::string& method, const std::string& url) const {
  http::Request out{.method = method, .url = url, .timeout = 30s};
  out.body_bytes_max = kAnswerMax;
  out.headers.emplace_back("accept", "application/json");
  if (config_.token_file.empty()) return out;
  std::ifstream in(config_.token_file);
  std::string token(kTokenMax, '\0');
  in.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<std::size_t>(in.gcount()));
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) token.pop_back();
  if (token.empty())
    return fail(ErrorCode::kUnavailable, fmt::format("read {}: no token", config_.token_file.string()));
  out.headers.emplace_back("authorization", "Bearer " + token);
  return out;
}

Result<ApiAnswer> KubernetesApi::send(const http::Request& request) {
  const auto response = client_.send(request);
  if (!response) return fail(response.error());
  return heed(*response);
}

ApiAnswer KubernetesApi::heed(const http::Response& response) const {
  constexpr int kTooMany = 429;
  ApiAnswer answer = answer_of(response);
  if (answer.status == kTooMany && on_busy_) on_busy_(answer.retry_after.value_or(1s));
  return answer;
}

Result<ApiAnswer> KubernetesApi::ask(const std::string& method, const std::string& path, const Value& body) {
  auto out = request(method, config_.url + path);
  if (!out) return fail(std::move(out.error()));
  const std::string text = body.is_null() ? "" : to_json(body);
  if (!text.empty()) {
    const bool patches = method == "PATCH";
    out->headers.emplace_back("content-type", patches ? "application/merge-patch+json" : "application/json");
    out->body = std::as_bytes(std::span(text));
  }
  return send(*out);
}

Result<ApiAnswer> KubernetesApi::create(const Value& pod) {
  auto out = request("POST", pods_);
  if (!out) return fail(std::move(out.error()));
  const std::string body = to_json(pod);
  out->headers.emplace_back("content-type", "application/json");
  out->body = std::as_bytes(std::span(body));
  return send(*out);
}

Result<ApiAnswer> KubernetesApi::look(const std::string& pod) {
  const auto out = request("GET", pods_ + "/" + http::percent_encode(pod));
  return out ? send(*out) : fail(out.error());
}

Result<ApiAnswer> KubernetesApi::remove(const std::string& pod, const std::string& uid) {
  auto out = request("DELETE", pods_ + "/" + http::percent_encode(pod));
  if (!out) return fail(std::move(out.error()));
  ValueMap options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!uid.empty()) options.emplace_back("preconditions", ValueMap{{"uid", uid}});
  const std::string body = to_json(options);
  out->headers.emplace_back("content-type", "application/json");
  out->body = std::as_bytes(std::span(body));
  return send(*out);
}

/// Without a version it is read from the store, not from a cache that may be behind.
Result<KubernetesApi::Listed> KubernetesApi::list(const std::string& selector) {
  Listed listed;
  std::string next;
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    std::string query = fmt::format("?labelSelector={}&limit={}", http::percent_encode(selector), kListPage);
    if (!next.empty()) query += "&continue=" + http::percent_encode(next);
    const auto out = request("GET", pods_ + query);
    if (!out) return fail(out.error());
    auto answer = send(*out);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->status == kGone && !next.empty()) {  // It took too long: from the beginning.
      listed = {};
      next.clear();
      continue;
    }
    if (!answer->is_success()) return refused(*answer);
    ListPage read = read_page(answer->body);
    std::move(read.items.begin(), read.items.end(), std::back_inserter(listed.pods));
    listed.version = std::move(read.version);
    next = std::move(read.next);
    if (next.empty()) return listed;
  }
  return fail(ErrorCode::kUnavailable, "the list of pods does not end");
}

Result<WatchEnd> KubernetesApi::watch(const std::string& selector, std::string& version,
                                      const std::function<void(const WatchEvent&)>& on_event,
                                      const std::atomic<bool>& stopped) {
  auto out = request(
      "GET", pods_ + fmt::format("?watch=1&allowWatchBookmarks=true&labelSelector={}&resourceVersion={}"
                                 "&timeoutSeconds={}",
                                 http::percent_encode(selector), http::percent_encode(version), kWatchTime.count()));
  if (!out) return fail(std::move(out.error()));
  out->timeout = kWatchTime + 10s;
  out->stall_timeout = 0s;
  out->stopped = &stopped;
  WatchReader reader(version, on_event);
  const auto response = client_.stream(*out, [&](std::span<const std::byte> piece) {
    return reader.add({reinterpret_cast<const char*>(piece.data()), piece.size()});
  });
  if (!response) return fail(response.error());
  if (response->status == kGone) return WatchEnd::kExpired;
  if (response->status != 200) return refused(heed(*response));
  return reader.end();
}

}  // namespace chappe::launch
