/// \file
/// Signed requests to one S3 endpoint, repeated while that makes sense.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "proto/http/client.h"
#include "storage/s3/address.h"
#include "storage/s3/answers.h"
#include "storage/s3/credentials.h"
#include "storage/s3/retry.h"

namespace chappe::s3 {

struct ClientConfig {
  std::optional<Endpoint> endpoint;  ///< Not given: AWS's of the region.
  AddressStyle style = AddressStyle::kVirtualHost;
  std::string region = "us-east-1";
  std::string ca_file;
  RetryPolicy retry;
  std::chrono::seconds stall_timeout{30};  ///< A transfer that is slower than 1 KiB/s for so long is broken off.
};

/// One request, as its caller thinks of it.
struct Call {
  std::string method;
  std::string bucket;
  std::string key;  ///< "": the bucket itself.
  Pairs query{};    ///< Not encoded.
  Pairs headers{};  ///< Lower-case names.
  std::span<const std::byte> body{};
  std::string body_sha256{};  ///< Hex, where the caller knows it already.
  const http::BodySink* sink = nullptr;
  int sink_status = 0;          ///< As in http::Request.
  http::HeadSink on_head{};     ///< As in http::Request.
  bool repeats = true;          ///< False: the caller repeats by itself.
  std::uint32_t tries_max = 0;  ///< Fewer than the policy's; 0: the policy's.
  bool works_long = false;      ///< The server may say nothing for minutes: copying, completing.
  bool error_in_200 = false;    ///< A 200 may hold an `<Error>` (complete, copy): then it counts as a 500.
};

struct Answer {
  http::Response response;
  ErrorAnswer error;          ///< Empty fields on success, and where there was no body to read.
  bool was_repeated = false;  ///< An earlier try may have had its effect, although nobody heard.
  bool is_ok() const { return response.status >= 200 && response.status < 300 && error.code.empty(); }
};

/// What a refusal means to the caller; `what`: "read \"KEY\"".
Error error_of(const Answer& answer, std::string_view what);

/// Thread: any, concurrently.
class S3Client {
 public:
  S3Client(ClientConfig config, std::shared_ptr<CredentialSource> credentials);

  /// The last answer, refusals included. Errors: kUnavailable: none came within the policy; kPermissionDenied: no
  /// credentials; kInvalidInput: as of http::Client. Never repeated once the sink has been handed a byte: that is the
  /// caller's to continue.
  Result<Answer> call(const Call& call);

  /// A URL by which anyone may send `method` for `key` for a while.
  Result<std::string> presign(const std::string& method, const std::string& bucket, const std::string& key,
                              std::uint32_t valid_seconds);

 private:
  struct Target {
    Endpoint endpoint;
    std::string region;
  };
  Target target() const;
  Result<Answer> try_once(const Call& call, bool& sink_has_bytes);
  Result<http::Request> signed_request(const Call& call);
  bool learns_from(const Call& call, const Answer& answer, unsigned& lessons);
  bool learn_region(const Answer& answer);
  std::int64_t now_seconds() const;
  std::string payload_hash(const Call& call, const Endpoint& endpoint) const;

  ClientConfig config_;
  std::shared_ptr<CredentialSource> credentials_;
  http::Client http_;
  RetryBudget budget_;
  std::atomic<std::int64_t> clock_offset_seconds_{0};
  mutable std::mutex region_mutex_;
  std::string region_;
};

}  // namespace chappe::s3
