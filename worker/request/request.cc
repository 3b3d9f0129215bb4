#include "worker/request/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/base/value.h"

namespace chappe::request {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kStars = "***";
constexpr std::chrono::milliseconds kConnectTimeout{10'000};
constexpr std::chrono::seconds kStallTimeout{0};  // The attempt's `timeout` bounds all of it.

std::string escaped(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

Result<std::string> filled_in(const ResolvedHttpText& text, const RequestParts& parts) {
  std::string out;
  for (const ResolvedHttpPiece& piece : text) {
    if (piece.secret.empty()) {
      out += piece.text;
      continue;
    }
    const auto value = parts.secret(piece.secret);
    if (!value) return fail(ErrorCode::kInvalidInput, fmt::format("there is no secret '{}'", piece.secret));
    out += piece.in_json ? escaped(*value) : *value;
  }
  return out;
}

std::string with_stars(const ResolvedHttpText& text) {
  std::string out;
  for (const ResolvedHttpPiece& piece : text) out += piece.secret.empty() ? piece.text : kStars;
  return out;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string scheme_of(std::string_view url) { return lower_case(url.substr(0, std::min(url.find("://"), url.size()))); }
std::string origin_of(std::string_view url) { return scheme_of(url) + "://" + lower_case(host_of(url)); }

std::string problem_of_url(std::string_view url) {
  const std::string scheme = scheme_of(url);
  const std::string_view host = host_of(url);
  if ((scheme != "http" && scheme != "https") || host.empty()) return "the URL does not begin with http:// or https://";
  if (host.find('@') != std::string_view::npos) {
    return "the URL holds credentials: send them in 'headers', as authorization";
  }
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f;
  };
  return std::any_of(url.begin(), url.end(), odd) ? "the URL holds a space or another character to percent-encode" : "";
}

/// Why the answer's redirect is not followed; "": it is.
std::string problem_of_redirect(const std::string& from, const std::string& to) {
  if (std::string problem = problem_of_url(to); !problem.empty()) return problem;
  return scheme_of(from) == "https" && scheme_of(to) == "http" ? "it leads from https to http" : "";
}

bool is_redirect(const http::Response& response) {
  return !response.redirect.empty() && response.status >= 300 && response.status < 400;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; !what.empty() && (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

/// What libcurl says, without the URL.
std::string detail_of(const Error& error, const http::Request& request) {
  const std::string place =
      fmt::format("{} {}: ", request.method, std::string_view(request.url).substr(0, request.url.find('?')));
  return error.message.starts_with(place) ? error.message.substr(place.size()) : error.message;
}

/// Carries one request out, and notes how it goes.
class Sending {
 public:
  Sending(const ResolvedHttp& http, const RequestParts& parts)
      : http_(http),
        parts_(parts),
        shown_url_(with_stars(http.url)),
        client_({.ca_file = parts.ca_file, .proxy_of_environment = true, .guarded = true}) {}

  RequestEnd run() {
    if (auto ready = prepare(); !ready) return failed(ready.error().message);
    end_.log = fmt::format("{} {}{}\n", http_.method, shown_url_,
                           body_.empty() ? "" : fmt::format(", {} bytes", body_.size()));
    for (std::uint32_t redirects = 0;; ++redirects) {
      if (!exchange()) return std::move(end_);
      if (!follows() || redirects == http_.redirects_max) return std::move(end_);
      const std::string to = end_.response->redirect;
      if (const std::string problem = problem_of_redirect(request_.url, to); !problem.empty()) {
        return failed("a redirect is not followed: " + problem);
      }
      go_on_to(to);
    }
  }

 private:
  Result<void> prepare() {
    auto url = filled_in(http_.url, parts_);
    if (!url) return fail(std::move(url.error()));
    if (const std::string problem = problem_of_url(*url); !problem.empty()) {
      return fail(ErrorCode::kInvalidInput, problem);
    }
    auto body = filled_in(http_.body, parts_);
    if (!body) return fail(std::move(body.error()));
    body_ = std::move(*body);
    request_.method = http_.method;
    request_.url = std::move(*url);
    request_.body = std::as_bytes(std::span(body_));
    request_.connect_timeout = kConnectTimeout;
    request_.stall_timeout = kStallTimeout;
    request_.body_bytes_max = kHttpAnswerMax;
    request_.stopped = &parts_.stopped;
    return add_headers();
  }

  Result<void> add_headers() {
    for (const auto& [name, text] : http_.headers) {
      auto value = filled_in(text, parts_);
      if (!value) return fail(std::move(value.error()));
      if (value->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
        return fail(ErrorCode::kInvalidInput, fmt::format("header '{}' holds a line break", name));
      }
      request_.headers.emplace_back(name, std::move(*value));
    }
    return {};
  }

  bool exchange() {
    const auto began = steady_clock::now();
    auto response = client_.send(request_);
    const std::chrono::duration<double> took = steady_clock::now() - began;
    if (!response) {
      end_ = failed(hidden(detail_of(response.error(), request_)));
      end_.log += fmt::format("no answer after {:.3f} s\n", took.count());
      return false;
    }
    end_.log +=
        fmt::format("status {} after {:.3f} s, {} bytes\n", response->status, took.count(), response->body.size());
    end_.response = std::move(*response);
    return true;
  }

  bool follows() const {
    const bool may = (http_.method == "GET" || http_.method == "HEAD") && body_.empty();
    return may && is_redirect(*end_.response);
  }

  void go_on_to(const std::string& to) {
    end_.log += fmt::format("redirected to {}\n", hidden(to.substr(0, to.find('?'))));
    if (origin_of(to) != origin_of(request_.url)) request_.headers.clear();
    request_.url = to;
  }

  RequestEnd failed(const std::string& why) {
    return {.response = {}, .message = fmt::format("{}: {}", place_of(http_), why), .log = std::move(end_.log)};
  }

  /// Where the host is a secret, too.
  std::string hidden(std::string text) const {
    const std::string_view host = host_of(request_.url);
    if (host_of(shown_url_) == host) return text;
    text = replaced(std::move(text), host, kStars);
    return replaced(std::move(text), host.substr(0, host.rfind(':')), kStars);
  }

  const ResolvedHttp& http_;
  const RequestParts& parts_;
  const std::string shown_url_;
  http::Client client_;  ///< Its own: a connection that was kept, and turned out dead, would send the body again.
  http::Request request_;
  std::string body_;
  RequestEnd end_;
};

}  // namespace

std::string place_of(const ResolvedHttp& http) {
  const std::string url = with_stars(http.url);
  const std::string_view host = host_of(url);
  return fmt::format("{} {}", http.method, host.empty() ? kStars : host);
}

std::string_view host_of(std::string_view url) {
  const std::size_t at = url.find("://");
  if (at == std::string_view::npos) return {};
  url.remove_prefix(at + 3);
  return url.substr(0, url.find_first_of("/?#"));
}

RequestEnd send(const ResolvedHttp& http, const RequestParts& parts) { return Sending(http, parts).run(); }

}  // namespace chappe::request
