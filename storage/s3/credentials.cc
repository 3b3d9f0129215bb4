#include "storage/s3/credentials.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/base/time.h"
#include "proto/http/client.h"
#include "proto/json/json.h"
#include "storage/s3/answers.h"
#include "storage/s3/profile_files.h"
#include "storage/s3/sts.h"

namespace chappe::s3 {
namespace {

using Found = std::optional<Result<Credentials>>;  // nullopt: this source is not configured.

constexpr std::int64_t kRefreshBeforeSeconds = 300;

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Failure denied(std::string message) { return fail(ErrorCode::kPermissionDenied, std::move(message)); }

std::string aws_file(const Environment& environment, const std::string& variable, const std::string& name) {
  return environment(variable).value_or(environment("HOME").value_or("") + "/.aws/" + name);
}

std::string profile_of(const Environment& environment) { return environment("AWS_PROFILE").value_or("default"); }

Found from_environment(const Environment& environment) {
  const auto access_key = environment("AWS_ACCESS_KEY_ID");
  const auto secret_key = environment("AWS_SECRET_ACCESS_KEY");
  if (!access_key || !secret_key) return std::nullopt;
  return Credentials{*access_key, *secret_key, environment("AWS_SESSION_TOKEN").value_or(""), 0};
}

// The token file is read each time: Kubernetes writes a new one every hour.
Found from_web_identity(const Environment& environment) {
  const auto token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  const auto role = environment("AWS_ROLE_ARN");
  if (!token_file || !role) return std::nullopt;
  const auto token = read_text(*token_file);
  if (!token) return denied(fmt::format("AWS_WEB_IDENTITY_TOKEN_FILE: cannot read \"{}\"", *token_file));
  const std::string region =
      environment("AWS_REGION").value_or(environment("AWS_DEFAULT_REGION").value_or("us-east-1"));
  const std::string url =
      environment("AWS_ENDPOINT_URL_STS").value_or(fmt::format("https://sts.{}.amazonaws.com", region));
  const std::string body =
      canonical_query({{"Action", "AssumeRoleWithWebIdentity"},
                       {"Version", "2011-06-15"},
                       {"RoleArn", *role},
                       {"RoleSessionName", environment("AWS_ROLE_SESSION_NAME").value_or("chappe")},
                       {"WebIdentityToken", *token}});
  http::Client client({.ca_file = environment("AWS_CA_BUNDLE").value_or(""), .proxy_of_environment = true});
  const auto answer = client.send({.method = "POST",
                                   .url = url,
                                   .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                                   .body = std::as_bytes(std::span(body)),
                                   .timeout = std::chrono::seconds(30)});
  if (!answer) return fail(Error(answer.error()).in("ask STS for credentials"));
  return read_sts(answer->status, answer->body);
}

Found from_files(const Environment& environment) {
  const auto access_key = profile_setting(environment, "aws_access_key_id");
  const auto secret_key = profile_setting(environment, "aws_secret_access_key");
  if (access_key && secret_key) {
    return Credentials{*access_key, *secret_key, profile_setting(environment, "aws_session_token").value_or(""), 0};
  }
  if (environment("AWS_PROFILE")) {
    return denied(
        fmt::format("AWS_PROFILE: profile \"{}\" has no aws_access_key_id and aws_secret_access_key in {} or {}",
                    profile_of(environment), aws_file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                    aws_file(environment, "AWS_CONFIG_FILE", "config")));
  }
  return std::nullopt;
}

// What container and instance endpoints answer.
Result<Credentials> read_json_credentials(const http::Response& answer, std::string_view who) {
  if (answer.status != 200) return denied(fmt::format("{} answered with status {}", who, answer.status));
  const auto json = parse_json(answer.body);
  const auto text = [&](std::string_view name) -> std::string {
    const Value* value = json ? json->find(name) : nullptr;
    return value != nullptr && value->as_string() != nullptr ? *value->as_string() : std::string{};
  };
  Credentials credentials{text("AccessKeyId"), text("SecretAccessKey"), text("Token"), 0};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return denied(fmt::format("{} answered without credentials", who));
  }
  if (const auto expires = parse_iso8601(text("Expiration"))) credentials.expires_at_seconds = expires->us / 1'000'000;
  return credentials;
}

Found from_container(const Environment& environment) {
  auto url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const auto relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!url && relative) url = "http://169.254.170.2" + *relative;
  if (!url) return std::nullopt;
  http::Request request{.url = *url, .timeout = std::chrono::seconds(5)};
  auto token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    token = read_text(*file);
    if (!token) return denied(fmt::format("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: cannot read \"{}\"", *file));
  }
  if (token) request.headers.emplace_back("Authorization", *token);
  const auto answer = http::Client().send(request);
  if (!answer) return fail(Error(answer.error()).in("ask the container's endpoint for credentials"));
  return read_json_credentials(*answer, "the container's credential endpoint");
}

Found from_instance(const Environment& environment) {
  if (environment("AWS_EC2_METADATA_DISABLED").value_or("") == "true") return std::nullopt;
  const std::string base =
      environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254") + "/latest";
  http::Client client;
  const std::chrono::milliseconds soon{1'000};  // Elsewhere than on EC2 nothing answers.
  const auto token = client.send({.method = "PUT",
                                  .url = base + "/api/token",
                                  .headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}},
                                  .connect_timeout = soon,
                                  .timeout = soon});
  if (!token || token->status != 200) return std::nullopt;
  const http::Headers headers{{"X-aws-ec2-metadata-token", token->body}};
  const std::string roles = base + "/meta-data/iam/security-credentials/";
  const auto role = client.send({.url = roles, .headers = headers, .timeout = std::chrono::seconds(5)});
  if (!role || role->status != 200 || role->body.empty()) return denied("the instance has no role attached");
  const std::string name = role->body.substr(0, role->body.find('\n'));
  const auto answer = client.send({.url = roles + name, .headers = headers, .timeout = std::chrono::seconds(5)});
  if (!answer) return fail(Error(answer.error()).in("ask the instance's endpoint for credentials"));
  return read_json_credentials(*answer, "the instance's credential endpoint");
}

Result<Credentials> find(const Environment& environment) {
  for (const auto source : {from_environment, from_web_identity, from_files, from_container, from_instance}) {
    if (Found found = source(environment)) return std::move(*found);
  }
  return denied(
      "no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials, or run where a "
      "role is attached");
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

std::optional<std::string> profile_setting(const Environment& environment, const std::string& name) {
  for (const auto& [variable, file] :
       {std::pair{"AWS_SHARED_CREDENTIALS_FILE", "credentials"}, std::pair{"AWS_CONFIG_FILE", "config"}}) {
    const auto text = read_text(aws_file(environment, variable, file));
    if (!text) continue;
    if (auto value = setting_of(*text, profile_of(environment), name)) return value;
  }
  return std::nullopt;
}

CredentialSource::CredentialSource(Environment environment) : environment_(std::move(environment)) {}

Result<Credentials> CredentialSource::get() {
  const std::lock_guard lock(mutex_);  // Held while asking: one fetch serves all that wait.
  const std::int64_t now = now_seconds();
  const auto lasts = [&](std::int64_t seconds) {
    return current_ && (current_->expires_at_seconds == 0 || current_->expires_at_seconds - now > seconds);
  };
  if (lasts(kRefreshBeforeSeconds)) return *current_;
  auto fresh = find(environment_);
  if (fresh) current_ = *fresh;
  if (!fresh && lasts(0)) return *current_;  // Still good for a while; the next call asks again.
  return fresh;
}

void CredentialSource::invalidate() {
  const std::lock_guard lock(mutex_);
  current_.reset();
}

}  // namespace chappe::s3
