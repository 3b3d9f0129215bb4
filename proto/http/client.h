/// \file
/// HTTP/1.1 requests, blocking, over connections that are kept: the API's client in the command line, and S3's.
///
/// A finished exchange is a Response whatever its status: what a 404 means is the caller's to say. Redirects are not
/// followed and nothing is repeated here: both need a caller that knows its request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace chappe::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Fills the span as far as it can; 0 ends the body; nullopt gives the request up.
using BodySource = std::function<std::optional<std::size_t>(std::span<std::byte>)>;
/// Takes the next piece of the body; false stops the transfer (no error).
using BodySink = std::function<bool(std::span<const std::byte>)>;
struct Response;
/// Is told status and headers of an answer whose body goes to the sink, before its first piece: a transfer that breaks
/// off later leaves no Response that would have them.
using HeadSink = std::function<void(const Response& head)>;

struct Request {
  std::string method = "GET";
  std::string url;  ///< Sent as it is written: percent-encoded by the caller, dots and slashes kept.
  Headers headers;
  std::span<const std::byte> body{};         ///< Must outlive the call. Unless `source` is set.
  BodySource source;                         ///< A body that is made while it is sent.
  std::optional<std::uint64_t> source_size;  ///< Not given: sent chunked.

  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds timeout{0};  ///< For the whole exchange; 0: none.
  /// Given up when fewer than `speed_min` bytes a second went over the wire for this long; 0: never.
  std::chrono::seconds stall_timeout{60};
  std::uint32_t speed_min = 1;
  /// Of a body that is kept in Response::body. Longer: kInvalidInput. A sink has no bound.
  std::size_t body_bytes_max = std::size_t{64} << 20;
  int sink_status = 0;  ///< The one status whose body the sink takes; 0: any 2xx.
  HeadSink on_head;     ///< May be empty.
  /// Given up within a second once this is true; nullptr: never. Outlives the call.
  const std::atomic<bool>* stopped = nullptr;
};

struct Response {
  int status = 0;
  Headers headers;       ///< Names in lower case; at most 64 KiB in all.
  std::string body;      ///< Empty where a sink took it.
  bool stopped = false;  ///< The sink said so; the body is not whole.
  std::string redirect;  ///< Where a 3xx sends on to, absolute; "": nowhere.

  /// The first header of that (lower-case) name; "" when there is none.
  std::string_view header(std::string_view name) const;
};

struct ClientOptions {
  std::string user_agent = "chappe";
  std::string ca_file;                ///< PEM; "": the system's.
  bool proxy_of_environment = false;  ///< Honour https_proxy and its kin; never for loopback addresses.
  std::size_t idle_max = 8;           ///< Connections kept for the next request.
  /// Connect to no address that only the machine itself should ask (addresses.h), whatever name leads there; for
  /// requests on behalf of others. Errors: kPermissionDenied.
  bool guarded = false;
  std::string unix_socket;  ///< Where not empty all requests go there, whatever host the URL names.
};

/// Thread: any, concurrently; each exchange has a connection to itself.
/// Errors of all calls: kUnavailable: no connection, broken off, too slow; kInvalidInput: a bad URL, a certificate that
/// is not trusted, a body over its bound.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  Result<Response> send(const Request& request);
  /// Hands the body of a 2xx answer (or of `sink_status` alone) to `sink`, in pieces, on the caller's thread. Other
  /// answers keep theirs.
  Result<Response> stream(const Request& request, const BodySink& sink);

 private:
  class Pool;
  Result<Response> exchange(const Request& request, const BodySink* sink);

  ClientOptions options_;
  std::unique_ptr<Pool> pool_;
};

/// Percent-encodes all but RFC 3986's unreserved characters, upper-case hex; `keep_slash` for paths.
std::string percent_encode(std::string_view text, bool keep_slash = false);
/// Undoes percent-encoding. Errors: kInvalidInput: "%" without two hex digits.
Result<std::string> percent_decode(std::string_view text);

}  // namespace chappe::http
