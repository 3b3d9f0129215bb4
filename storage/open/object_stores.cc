#include "storage/open/object_stores.h"

#include <fmt/format.h>

#include "proto/http/client.h"
#include "storage/local/local_object_store.h"
#include "storage/s3/s3_object_store.h"

namespace chappe {
namespace {

Result<std::unique_ptr<ObjectStore>> open_s3(const std::string& uri, bool plain) {
  auto location = parse_s3_uri(uri);
  if (!location) return fail(std::move(location.error()));
  location->plain = plain;
  const s3::Environment environment = s3::process_environment();
  auto config = s3_config_of(environment);
  if (!config) return fail(std::move(config.error()));
  return make_s3_object_store(std::move(*location), std::move(*config),
                              std::make_shared<s3::CredentialSource>(environment));
}

Result<std::unique_ptr<ObjectStore>> open_file_uri(const std::string& uri) {
  const auto path = http::percent_decode(uri.substr(std::string_view("file://").size()));
  if (!path || !path->starts_with('/')) {
    return fail(ErrorCode::kInvalidInput, fmt::format("object store \"{}\": expected file:///DIRECTORY", uri));
  }
  return open_local_object_store(*path);
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_object_store(const std::string& uri) {
  if (uri.starts_with("s3://")) return open_s3(uri, false);
  if (uri.starts_with("file://")) return open_file_uri(uri);
  if (uri.starts_with('/')) return open_local_object_store(uri);
  return fail(
      ErrorCode::kInvalidInput,
      fmt::format("object store \"{}\": expected s3://BUCKET[/PREFIX], file:///DIRECTORY or an absolute path", uri));
}

Result<std::unique_ptr<ObjectStore>> open_bucket(const std::string& bucket) { return open_s3("s3://" + bucket, true); }

}  // namespace chappe
