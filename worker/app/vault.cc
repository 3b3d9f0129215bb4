#include "worker/app/vault.h"

#include <fmt/format.h>

#include <fstream>

#include "proto/json/json.h"

namespace chappe::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kAnswerMax = std::size_t{4} << 20;
constexpr std::size_t kTokenMax = std::size_t{16} << 10;

std::string without_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

Failure refused(int status, const std::string& where) {
  const auto say = [&](ErrorCode code, std::string_view what) {
    return fail(code, fmt::format("read {} of Vault: {} (status {})", where, what, status));
  };
  if (status == 404) return say(ErrorCode::kInvalidInput, "there is no such secret, or no such engine of version 2");
  if (status == 403) return say(ErrorCode::kInvalidInput, "the worker's token may not read it, or has expired");
  if (status == 503) return say(ErrorCode::kUnavailable, "it is sealed, or under maintenance");
  if (status == 429 || status >= 500) return say(ErrorCode::kUnavailable, "it has trouble");
  return say(ErrorCode::kInvalidInput, "it refuses the request");
}

}  // namespace

Vault::Vault(VaultConfig config)
    : config_(std::move(config)), client_({.ca_file = config_.ca_file, .proxy_of_environment = true}) {}

Result<std::string> Vault::token() const {
  if (config_.token_file.empty()) {
    if (!config_.token.empty()) return config_.token;
    return fail(ErrorCode::kInvalidInput, "the worker has no token for Vault: --vault-token-file, or VAULT_TOKEN");
  }
  std::ifstream in(config_.token_file, std::ios::binary);
  std::string token(kTokenMax, '\0');
  in.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<std::size_t>(in.gcount()));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (!token.empty() && token.find_first_of("\r\n") == std::string::npos) return token;
  return fail(ErrorCode::kInvalidInput, fmt::format("--vault-token-file {}: no token", config_.token_file.string()));
}

Result<Value> Vault::read(const std::string& mount, const std::string& path, const std::atomic<bool>& stopped) const {
  if (config_.address.empty()) return fail(ErrorCode::kInvalidInput, "this worker knows no Vault: --vault");
  const auto token = this->token();
  if (!token) return fail(token.error());
  const std::string where = fmt::format("{}/{}", mount, path);
  http::Request request{.url = fmt::format("{}/v1/{}/data/{}", without_slash(config_.address),
                                           http::percent_encode(mount, true), http::percent_encode(path, true)),
                        .headers = {{"x-vault-token", *token}, {"x-vault-request", "true"}},
                        .timeout = 30s,
                        .body_bytes_max = kAnswerMax,
                        .stopped = &stopped};
  if (!config_.namespace_name.empty()) request.headers.emplace_back("x-vault-namespace", config_.namespace_name);
  const auto response = client_.send(request);
  if (!response) return fail(Error(response.error()).in(fmt::format("read {} of Vault", where)));
  if (response->status != 200) return refused(response->status, where);
  // What does not parse is not told: it may be the value.
  const auto body = parse_json(response->body, kAnswerMax);
  const Value* data = body ? body->find("data") : nullptr;
  data = data == nullptr ? nullptr : data->find("data");
  if (data != nullptr && data->as_map() != nullptr) return *data;
  return fail(ErrorCode::kInvalidInput,
              fmt::format("read {} of Vault: the answer is none of a KV engine of version 2", where));
}

}  // namespace chappe::worker
