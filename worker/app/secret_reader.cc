#include "worker/app/secret_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "worker/artifacts/beneath.h"

namespace chappe::worker {
namespace {

Failure missing(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }

/// Up to one byte more than may be.
Result<std::string> read_all(int fd) {
  std::string text(kSecretBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(fd, text.data() + size, text.size() - size);
    if (count < 0) return fail(ErrorCode::kUnavailable, "it cannot be read");
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

/// What a variable cannot hold, or is too much. `value` loses the newline that editors leave at a file's end.
Result<void> make_fit(const SecretRef& secret, std::string& value) {
  if (value.size() > kSecretBytesMax) return missing(fmt::format("it is longer than {} KiB", kSecretBytesMax >> 10));
  if (secret.as_file) return {};
  if (secret.source == SecretRef::Source::kFile && value.ends_with('\n')) value.pop_back();
  if (value.find('\0') == std::string::npos) return {};
  return missing("it holds a NUL byte, which no variable can; hand it over with 'as: file'");
}

Result<std::string> entry_of(const Value& entries, const std::string& key) {
  const Value* found = entries.find(key);
  if (found == nullptr) return missing("the secret has no such key");
  return found->as_string() != nullptr ? *found->as_string() : to_json(*found);
}

}  // namespace

bool is_named(std::string_view name, const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [&](std::string_view each) {
    return each.ends_with('*') ? name.starts_with(each.substr(0, each.size() - 1)) : name == each;
  });
}

Result<std::string> SecretReader::from_env(const SecretRef& secret) const {
  if (!is_named(secret.place, sources_.env)) {
    return missing(fmt::format("this worker hands it to no DAG: start it with --secret-env {}", secret.place));
  }
  auto value = getenv_(secret.place);
  return value ? Result<std::string>(*std::move(value)) : missing("the worker has no such variable");
}

Result<std::string> SecretReader::from_pod(const SecretRef& secret) const {
  auto value = getenv_(std::string(kPodSecretPrefix) + secret.name);
  if (value) return *std::move(value);
  return missing("only a pod that was made for the task has it: 'executor: kubernetes'");
}

Result<std::string> SecretReader::from_file(const SecretRef& secret) const {
  if (sources_.files.empty()) return missing("this worker has no directory of secrets: --secret-files");
  auto folder = artifacts::Folder::open(sources_.files.string());
  if (!folder) return missing(fmt::format("--secret-files: {}", folder.error().message));
  // The kubelet's volumes are made of links, which stay beneath.
  auto file = folder->open_file(secret.place, O_RDONLY | O_NONBLOCK);
  if (!file) return missing(file.error().message);
  return read_all(file->fd());
}

Result<std::vector<Secret>> SecretReader::read(const std::vector<SecretRef>& secrets,
                                               const std::atomic<bool>& stopped) const {
  std::map<std::pair<std::string, std::string>, Value> of_vault;
  const auto from_vault = [&](const SecretRef& secret) -> Result<std::string> {
    const auto [known, is_new] = of_vault.try_emplace({secret.mount, secret.place});
    if (is_new) {
      auto entries = vault_.read(secret.mount, secret.place, stopped);
      if (!entries) return fail(std::move(entries.error()));
      known->second = *std::move(entries);
    }
    return entry_of(known->second, secret.key);
  };
  std::vector<Secret> out;
  for (const SecretRef& secret : secrets) {
    auto value = secret.source == SecretRef::Source::kEnv          ? from_env(secret)
                 : secret.source == SecretRef::Source::kFile       ? from_file(secret)
                 : secret.source == SecretRef::Source::kKubernetes ? from_pod(secret)
                                                                   : from_vault(secret);
    Result<void> fits = value ? make_fit(secret, *value) : Result<void>(fail(value.error()));
    if (!fits) return fail(Error(fits.error()).in(fmt::format("secret '{}' ({})", secret.name, where_is(secret))));
    out.push_back({secret.name, *std::move(value), secret.as_file});
  }
  return out;
}

}  // namespace chappe::worker
