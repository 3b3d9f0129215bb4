#include "storage/open/store_access.h"

#include <chrono>
#include <limits>

#include "engine/base/assert.h"
#include "storage/s3/s3_object_store.h"

namespace chappe {
namespace {

/// As CredentialSource: what lasts no longer is fetched anew.
constexpr std::int64_t kLastsSeconds = 300;

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// AWS's own names, and those of tools that want host and scheme apart. Source: "Service-specific endpoints" of the AWS
/// SDKs' reference guide; the documentation of DuckDB's httpfs, GDAL and R's aws.s3.
VariableGroup address_group(const std::optional<s3::Endpoint>& endpoint) {
  VariableGroup group{.names = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "DUCKDB_S3_ENDPOINT"},
                      .variables = {}};
  if (!endpoint) return group;
  const std::string url = endpoint->scheme + "://" + endpoint->host + endpoint->path;
  const std::string bare = endpoint->host + endpoint->path;
  group.variables = {{"AWS_ENDPOINT_URL", url},
                     {"AWS_ENDPOINT_URL_S3", url},
                     {"AWS_S3_ENDPOINT", bare},
                     {"DUCKDB_S3_ENDPOINT", bare},
                     {"DUCKDB_S3_USE_SSL", endpoint->scheme == "https" ? "true" : "false"}};
  return group;
}

/// AWS's newer SDKs send checksums in chunked bodies unless told otherwise, and many servers that are not AWS's refuse
/// those (Ceph before 19: 411). Source: "Data Integrity Protections for Amazon S3", AWS SDKs' reference guide.
VariableGroup checksums_group(const std::optional<s3::Endpoint>& endpoint) {
  VariableGroup group{.names = {"AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"},
                      .variables = {}};
  if (!endpoint) return group;
  for (const std::string_view name : group.names) group.variables.emplace_back(name, "when_required");
  return group;
}

VariableGroup credentials_group(const s3::Credentials& credentials) {
  VariableGroup group{
      .names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN"},
      .variables = {{"AWS_ACCESS_KEY_ID", credentials.access_key}, {"AWS_SECRET_ACCESS_KEY", credentials.secret_key}}};
  if (!credentials.session_token.empty()) group.variables.emplace_back("AWS_SESSION_TOKEN", credentials.session_token);
  return group;
}

}  // namespace

Result<std::unique_ptr<StoreAccess>> StoreAccess::open(const std::string& uri, const s3::Environment& environment) {
  if (!uri.starts_with("s3://")) return std::unique_ptr<StoreAccess>();
  auto config = s3_config_of(environment);
  if (!config) return fail(std::move(config.error()));
  return std::unique_ptr<StoreAccess>(new StoreAccess(*std::move(config), environment));
}

bool StoreAccess::is_ready() const { return wall_seconds() < good_until_seconds_; }

Result<void> StoreAccess::refresh() {
  if (is_ready()) return {};
  const auto credentials = credentials_.get();
  if (!credentials) return fail(Error(credentials.error()).in("the object store's credentials for the task"));
  auto fresh = std::make_shared<Variables>();
  fresh->groups = {
      address_group(config_.endpoint),
      checksums_group(config_.endpoint),
      {{"AWS_REGION", "AWS_DEFAULT_REGION"}, {{"AWS_REGION", config_.region}, {"AWS_DEFAULT_REGION", config_.region}}},
      credentials_group(*credentials)};
  fresh->secrets.push_back(credentials->secret_key);
  if (!credentials->session_token.empty()) fresh->secrets.push_back(credentials->session_token);
  fresh->ca_file = config_.ca_file;
  const std::lock_guard lock(mutex_);
  variables_ = std::move(fresh);
  good_until_seconds_ = credentials->expires_at_seconds == 0 ? std::numeric_limits<std::int64_t>::max()
                                                             : credentials->expires_at_seconds - kLastsSeconds;
  return {};
}

std::shared_ptr<const StoreAccess::Variables> StoreAccess::variables() const {
  const std::lock_guard lock(mutex_);
  CHAPPE_ASSERT(variables_ != nullptr);
  return variables_;
}

}  // namespace chappe
