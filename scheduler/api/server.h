/// \file
/// The HTTP server of the API: one I/O thread for all connections, two small pools for what blocks.
///
/// Every connection lives under bounds and deadlines, so that no peer can hold memory, threads or other peers up:
/// a head of at most 16 KiB and 100 fields within 5 s, a body as large as its route allows, with a Content-Length and
/// no transfer coding, 64 connections an address and 512 in all. At a bound, the connection that has owed a request
/// longest makes room for the new one. Nothing but the health bits is answered without a token whose role allows it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/run/records.h"
#include "scheduler/api/backend.h"
#include "scheduler/api/log_hub.h"

namespace chappe::api {

struct ServerBounds {
  std::size_t connections_max = 512;
  std::size_t connections_per_address_max = 64;
  std::size_t streams_max = 256;
  std::size_t queue_max = 256;   ///< Requests that wait for a reader thread, in each pool.
  double wrong_tokens_max = 20;  ///< Of one address at once; then one each three seconds. Past it: 429.
  std::uint32_t head_bytes_max = 16 * 1024;
  std::size_t head_fields_max = 100;
  double deliveries_max = 60;                       ///< Calls of one webhook at once; then one a second. Past it: 429.
  std::chrono::milliseconds idle_time_max{60'000};  ///< Between two requests.
  std::chrono::milliseconds head_time_max{5'000};   ///< From the first byte of a head to its last.
  std::chrono::milliseconds body_time_max{30'000};  ///< For a whole body.
  std::chrono::milliseconds answer_time_max{60'000};  ///< Until the scheduler has answered.
  std::chrono::milliseconds write_time_max{30'000};   ///< For the peer to take an answer, or a piece of a stream.
};

struct ServerConfig {
  std::string listen = "127.0.0.1:0";  ///< "HOST:PORT", "[::1]:PORT"; an address or "localhost"; port 0: a free one.
  std::string token;                   ///< The admin's. "": no token is asked for; refused off loopback.
  std::vector<TokenRow> tokens;        ///< All others.
  std::string webhook_key;             ///< As WebhookSecrets take it.
  ServerBounds bounds;
};

class Server {
 public:
  /// Listens and starts its threads. `backend` and `logs` must outlive it.
  /// Errors: kInvalidInput (the address), kPermissionDenied (off loopback without a token), kUnavailable (taken).
  static Result<std::unique_ptr<Server>> start(const ServerConfig& config, Backend& backend, LogHub& logs);
  ~Server();  ///< Ends all connections.

  std::string url() const;  ///< "http://127.0.0.1:41234"
  std::size_t connections() const;

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chappe::api
