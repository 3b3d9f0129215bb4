#include "storage/s3/signer.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "proto/http/client.h"
#include "storage/digest/digest.h"

namespace chappe::s3 {
namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

// Blanks at the ends go, runs of blanks become one.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c != ' ' && c != '\t') {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

Pairs sorted_headers(const Signable& request) {
  Pairs headers = request.headers;
  headers.emplace_back("host", request.host);
  std::stable_sort(headers.begin(), headers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Pairs merged;
  for (auto& [name, value] : headers) {
    if (!merged.empty() && merged.back().first == name) {
      merged.back().second += "," + canonical_value(value);
    } else {
      merged.emplace_back(name, canonical_value(value));
    }
  }
  return merged;
}

std::string names_of(const Pairs& headers) {
  std::vector<std::string> names;
  for (const auto& header : headers) names.push_back(header.first);
  return joined(names, ";");
}

std::string canonical_request(const Signable& request, const Pairs& headers) {
  std::string out = fmt::format("{}\n{}\n{}\n", request.method, request.path, canonical_query(request.query));
  for (const auto& [name, value] : headers) out += fmt::format("{}:{}\n", name, value);
  return out + fmt::format("\n{}\n{}", names_of(headers), request.payload_sha256);
}

std::string scope_text(const Scope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", amz_date(scope.now_seconds).substr(0, 8), scope.region, scope.service);
}

std::string signature(const Signable& request, const Pairs& headers, const Credentials& credentials,
                      const Scope& scope) {
  const std::string text = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", amz_date(scope.now_seconds), scope_text(scope),
                                       to_hex(sha256(canonical_request(request, headers))));
  const std::string secret = "AWS4" + credentials.secret_key;
  Sha256Bytes key = hmac_sha256({reinterpret_cast<const std::uint8_t*>(secret.data()), secret.size()},
                                amz_date(scope.now_seconds).substr(0, 8));
  for (const std::string_view part : {std::string_view(scope.region), std::string_view(scope.service),
                                      std::string_view("aws4_request"), std::string_view(text)}) {
    key = hmac_sha256(key, part);
  }
  return to_hex(key);
}

}  // namespace

std::string amz_date(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

std::string canonical_query(const Pairs& query) {
  Pairs encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(http::percent_encode(name), http::percent_encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::vector<std::string> parts;
  for (const auto& [name, value] : encoded) parts.push_back(name + "=" + value);
  return joined(parts, "&");
}

std::string authorization(const Signable& request, const Credentials& credentials, const Scope& scope) {
  const Pairs headers = sorted_headers(request);
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", credentials.access_key,
                     scope_text(scope), names_of(headers), signature(request, headers, credentials, scope));
}

std::string presigned_query(Signable request, const Credentials& credentials, const Scope& scope,
                            std::uint32_t valid_seconds) {
  const Pairs headers = sorted_headers(request);
  request.query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  request.query.emplace_back("X-Amz-Credential", credentials.access_key + "/" + scope_text(scope));
  request.query.emplace_back("X-Amz-Date", amz_date(scope.now_seconds));
  request.query.emplace_back("X-Amz-Expires", std::to_string(valid_seconds));
  request.query.emplace_back("X-Amz-SignedHeaders", names_of(headers));
  if (!credentials.session_token.empty()) {
    request.query.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  return canonical_query(request.query) + "&X-Amz-Signature=" + signature(request, headers, credentials, scope);
}

}  // namespace chappe::s3
