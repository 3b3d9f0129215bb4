/// \file
/// The API as the commands use it: JSON values, and errors that name the remedy.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "proto/http/client.h"

namespace chappe::cli {

/// Which server to talk to, before anybody looked for it.
struct ServerChoice {
  std::string server;     ///< URL; "": the one that serves the state directory.
  std::string token;      ///< "": the state directory's.
  std::string state_dir;  ///< "": the user's.
};

class ApiClient {
 public:
  /// Errors: kNotFound: no scheduler serves the state directory; the message says how to start or name one.
  static Result<ApiClient> find(const ServerChoice& choice);
  ApiClient(std::string url, std::string token) : url_(std::move(url)), token_(std::move(token)) {}

  /// `path` beneath /api/v1, percent-encoded ("/runs?limit=5"). Errors: as the server says (404: kNotFound ...), and
  /// kUnavailable where it cannot be reached.
  Result<Value> get(const std::string& path);
  Result<Value> send(std::string_view method, const std::string& path, const Value& body);
  /// A body as it comes, for as long as it comes; false from `sink` stops. `on_head`: is told the headers before.
  Result<void> stream(const std::string& path, const std::function<bool(std::string_view)>& sink,
                      http::HeadSink on_head = {});
  /// A body that is no JSON.
  Result<std::string> get_text(const std::string& path);

  const std::string& url() const { return url_; }
  /// The problem document of the last failed call, where the server sent one: diagnostics are in it.
  const Value& problem() const { return problem_; }

 private:
  http::Request request(std::string_view method, const std::string& path) const;
  Result<http::Response> checked(Result<http::Response> response);

  std::string url_;
  std::string token_;
  http::Client client_;
  Value problem_;
};

/// One segment of a path.
std::string segment(std::string_view text);

}  // namespace chappe::cli
