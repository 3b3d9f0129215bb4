#include "storage/s3/address.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/http/client.h"

namespace chappe::s3 {

Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidInput, fmt::format("S3 endpoint \"{}\": expected http[s]://HOST[:PORT]", url));
  };
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return refuse();
  Endpoint endpoint{.scheme = std::string(url.substr(0, colon))};
  const std::string_view rest = url.substr(colon + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view host = rest.substr(0, slash);
  const std::string_view own_port = endpoint.scheme == "https" ? ":443" : ":80";
  if (host.ends_with(own_port)) host.remove_suffix(own_port.size());
  endpoint.host = host;
  endpoint.path = rest.substr(slash);
  while (endpoint.path.ends_with('/')) endpoint.path.pop_back();
  const bool is_clean = url.find_first_of("?#@ ") == std::string_view::npos;
  if ((endpoint.scheme != "http" && endpoint.scheme != "https") || host.empty() || !is_clean) return refuse();
  return endpoint;
}

Endpoint aws_endpoint(std::string_view region) {
  const std::string_view domain = region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return {.scheme = "https", .host = fmt::format("s3.{}.{}", region, domain), .path = ""};
}

Address address_of(const Endpoint& endpoint, AddressStyle style, std::string_view bucket, std::string_view key) {
  const std::string object = "/" + http::percent_encode(key, true);
  const bool by_path = style == AddressStyle::kPath || bucket.find('.') != std::string_view::npos;
  if (!by_path) return {.host = fmt::format("{}.{}", bucket, endpoint.host), .path = endpoint.path + object};
  return {.host = endpoint.host,
          .path = fmt::format("{}/{}{}", endpoint.path, http::percent_encode(bucket), key.empty() ? "" : object)};
}

std::string url_of(const Endpoint& endpoint, const Address& address, std::string_view canonical_query) {
  return fmt::format("{}://{}{}{}{}", endpoint.scheme, address.host, address.path, canonical_query.empty() ? "" : "?",
                     canonical_query);
}

}  // namespace chappe::s3
