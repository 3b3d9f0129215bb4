#include "cli/api_client.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "cli/state_dir.h"
#include "proto/json/json.h"

namespace chappe::cli {
namespace {

constexpr std::chrono::milliseconds kTimeout{90'000};  // The server gives an answer up after 60 s.

ErrorCode code_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 409:
      return ErrorCode::kConflict;
    case 429:
    case 502:
    case 503:
    case 504:
      return ErrorCode::kUnavailable;
    case 501:
      return ErrorCode::kUnsupported;
    default:
      return status >= 500 ? ErrorCode::kCorrupt : ErrorCode::kInvalidInput;
  }
}

std::string detail_of(const Value& problem, int status) {
  const Value* detail = problem.find("detail");
  return detail != nullptr ? to_text(*detail) : fmt::format("the server answered with status {}", status);
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

std::string segment(std::string_view text) { return http::percent_encode(text); }

Result<ApiClient> ApiClient::find(const ServerChoice& choice) {
  const auto state_dir = find_state_dir(choice.state_dir);
  const auto endpoint = state_dir ? read_endpoint(*state_dir) : std::nullopt;
  const std::string server = without_slash(choice.server);
  std::string token = choice.token;
  // A token from a file goes only to the server that wrote the file.
  const bool own = endpoint && (server.empty() || server == without_slash(endpoint->api));
  if (token.empty() && own) {
    auto kept = read_token(*state_dir);
    if (!kept && kept.error().code != ErrorCode::kNotFound) return fail(std::move(kept.error()).in("read the token"));
    if (kept) token = *std::move(kept);
  }
  if (!server.empty()) return ApiClient(server, std::move(token));
  if (!state_dir) return fail(state_dir.error());
  if (endpoint) return ApiClient(without_slash(endpoint->api), std::move(token));
  return fail(ErrorCode::kNotFound,
              fmt::format("no scheduler serves {}: start one with 'chappe standalone', or name one with --server URL",
                          state_dir->string()));
}

http::Request ApiClient::request(std::string_view method, const std::string& path) const {
  http::Request request{.method = std::string(method), .url = url_ + "/api/v1" + path, .timeout = kTimeout};
  if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
  return request;
}

Result<http::Response> ApiClient::checked(Result<http::Response> response) {
  problem_ = Value();
  if (!response) {
    return fail(response.error().code,
                fmt::format("the scheduler at {} cannot be reached: {}", url_, response.error().message));
  }
  if (response->status < 300) return response;
  if (auto parsed = parse_json(response->body)) problem_ = *std::move(parsed);
  std::string message = detail_of(problem_, response->status);
  if (response->status == 401) message += "; set CHAPPE_TOKEN";
  return fail(code_of(response->status), std::move(message));
}

Result<Value> ApiClient::get(const std::string& path) {
  auto text = get_text(path);
  if (!text) return fail(text.error());
  return parse_json(*text, std::size_t{256} << 20);
}

Result<std::string> ApiClient::get_text(const std::string& path) {
  auto response = checked(client_.send(request("GET", path)));
  if (!response) return fail(response.error());
  return std::move(response->body);
}

Result<Value> ApiClient::send(std::string_view method, const std::string& path, const Value& body) {
  http::Request asked = request(method, path);
  const std::string text = body.is_null() ? std::string() : to_json(body);
  asked.body = std::as_bytes(std::span(text));
  if (!text.empty()) asked.headers.emplace_back("Content-Type", "application/json");
  auto response = checked(client_.send(asked));
  if (!response) return fail(response.error());
  return parse_json(response->body);
}

Result<void> ApiClient::stream(const std::string& path, const std::function<bool(std::string_view)>& sink,
                               http::HeadSink on_head) {
  http::Request asked = request("GET", path);
  asked.on_head = std::move(on_head);
  asked.timeout = std::chrono::milliseconds(0);
  asked.stall_timeout = std::chrono::seconds(0);
  auto response = checked(client_.stream(asked, [&](std::span<const std::byte> bytes) {
    return sink(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }));
  if (!response) return fail(response.error());
  return {};
}

}  // namespace chappe::cli
