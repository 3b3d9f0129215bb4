#include "storage/s3/sts.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <string>

#include "engine/base/time.h"
#include "storage/s3/answers.h"

namespace chappe::s3 {

Result<Credentials> read_sts(int status, std::string_view xml) {
  if (status != 200) {
    const ErrorAnswer error = read_error(xml).value_or(ErrorAnswer{});
    return fail(status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kPermissionDenied,
                fmt::format("STS refused the web identity: status {} {} {}", status, error.code, error.message));
  }
  pugi::xml_document document;
  (void)document.load_buffer(xml.data(), xml.size());  // What is not there is reported below.
  const auto found =
      document.find_node([](const pugi::xml_node& node) { return std::string_view(node.name()) == "Credentials"; });
  Credentials credentials{found.child_value("AccessKeyId"), found.child_value("SecretAccessKey"),
                          found.child_value("SessionToken"), 0};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return fail(ErrorCode::kPermissionDenied, "STS answered without credentials");
  }
  if (const auto expires = parse_iso8601(found.child_value("Expiration"))) {
    credentials.expires_at_seconds = expires->us / 1'000'000;
  }
  return credentials;
}

}  // namespace chappe::s3
