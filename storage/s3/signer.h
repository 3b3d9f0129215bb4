/// \file
/// AWS Signature Version 4. Pure: no clock, no environment, no network.
/// Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chappe::s3 {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;            ///< "" for keys that do not expire.
  std::int64_t expires_at_seconds = 0;  ///< Since the epoch; 0: never.
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kEmptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request as it will be sent, in the parts that are signed.
struct Signable {
  std::string method;
  std::string host;            ///< As in the Host header, with a port that is not the scheme's own.
  std::string path;            ///< Percent-encoded.
  Pairs query;                 ///< Not encoded, any order.
  Pairs headers;               ///< Without Host; names in lower case.
  std::string payload_sha256;  ///< 64 hex digits, or kUnsignedPayload.
};

struct Scope {
  std::string region;
  std::string service = "s3";
  std::int64_t now_seconds = 0;  ///< Since the epoch, corrected by the server's clock.
};

/// "20130524T000000Z".
std::string amz_date(std::int64_t seconds);
/// "name=value&..." as it is signed and sent: RFC 3986 encoding, sorted, "=" always.
std::string canonical_query(const Pairs& query);
/// The value of the Authorization header. Every header given is signed; x-amz-date (and x-amz-security-token,
/// x-amz-content-sha256) must be among them.
std::string authorization(const Signable& request, const Credentials& credentials, const Scope& scope);
/// The query, encoded, of a presigned request: anyone may send it for `valid_seconds` (at most 604,800).
std::string presigned_query(Signable request, const Credentials& credentials, const Scope& scope,
                            std::uint32_t valid_seconds);

}  // namespace chappe::s3
