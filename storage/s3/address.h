/// \file
/// Where a bucket's requests go: the one place where an S3 URL is put together.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/s3/signer.h"

namespace chappe::s3 {

enum class AddressStyle { kPath, kVirtualHost };

/// `https://HOST[:PORT][/PATH]`, in parts.
struct Endpoint {
  std::string scheme;  ///< "http" or "https".
  std::string host;    ///< With a port that is not the scheme's own.
  std::string path;    ///< "" or "/PATH" without a slash at the end.
  bool operator==(const Endpoint&) const = default;
};

/// Errors: kInvalidInput.
Result<Endpoint> parse_endpoint(std::string_view url);
/// AWS's own for a region, China's partition included.
Endpoint aws_endpoint(std::string_view region);

/// Host and encoded path of an object (or of the bucket, where `key` is ""). A bucket whose name has a dot is always
/// addressed by path: no certificate fits its host name.
struct Address {
  std::string host;
  std::string path;
};
Address address_of(const Endpoint& endpoint, AddressStyle style, std::string_view bucket, std::string_view key);
std::string url_of(const Endpoint& endpoint, const Address& address, std::string_view canonical_query);

}  // namespace chappe::s3
