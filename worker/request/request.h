/// \file
/// One request of a task: sent once, answered or not. Blocking.
///
/// A GET or HEAD without a body follows redirects to http and https, never from https to http, and tells another origin
/// none of its headers. Nothing else is sent anew: a POST that may have arrived is not repeated.
/// Errors and log name no secret; where one stands in a URL, three stars do.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/http_spec.h"
#include "proto/http/client.h"

namespace chappe::request {

struct RequestParts {
  std::function<std::optional<std::string>(std::string_view name)> secret;  ///< Its value.
  std::string ca_file;  ///< Signs, too, beside those that the system trusts; "": none.
  const std::atomic<bool>& stopped;
};

struct RequestEnd {
  std::optional<http::Response> response;  ///< What was answered in the end; nullopt: see `message`.
  std::string message;                     ///< Why it could not be sent, or no whole answer came.
  std::string log;                         ///< Lines for the attempt's.
};

/// "POST api.example.com", with stars for secrets.
std::string place_of(const ResolvedHttp& http);
/// "api.example.com:8080" of a URL; "" where it has none.
std::string_view host_of(std::string_view url);

RequestEnd send(const ResolvedHttp& http, const RequestParts& parts);

}  // namespace chappe::request
