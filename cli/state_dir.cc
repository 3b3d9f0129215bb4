#include "cli/state_dir.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/output.h"
#include "proto/json/json.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kSmallFileMax = 64 * 1024;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

ErrorCode code_of_errno(int number) {
  if (number == ENOENT || number == ENOTDIR) return ErrorCode::kNotFound;
  return number == EACCES ? ErrorCode::kPermissionDenied : ErrorCode::kInvalidInput;
}

/// Asks the store, not the system: a process with this id may be another by now, or a dead one that nobody reaped.
bool is_serving(int pid, const std::filesystem::path& state_dir) {
  return SqliteMetaStore::find_writer(state_dir / "chappe.db") == pid;
}

}  // namespace

Result<std::filesystem::path> find_state_dir(const std::string& given) {
  std::filesystem::path found;
  if (!given.empty()) {
    found = given;
  } else if (const std::string own = environment("CHAPPE_STATE_DIR"); !own.empty()) {
    found = own;
  } else if (const std::string xdg = environment("XDG_STATE_HOME"); xdg.starts_with('/')) {
    found = std::filesystem::path(xdg) / "chappe";
  } else if (const std::string home = environment("HOME"); !home.empty()) {
    found = std::filesystem::path(home) / ".local/state/chappe";
  } else {
    return fail(ErrorCode::kInvalidInput, "no state directory: give --state-dir, or set CHAPPE_STATE_DIR or HOME");
  }
  std::error_code failed;
  found = std::filesystem::absolute(found, failed);
  if (failed) return fail(ErrorCode::kInvalidInput, "state directory: " + failed.message());
  return found.lexically_normal();
}

std::optional<Endpoint> read_endpoint(const std::filesystem::path& state_dir) {
  const auto text = read_file(state_dir / "endpoint.json", kSmallFileMax);
  if (!text) return std::nullopt;
  const auto json = parse_json(*text);
  if (!json) return std::nullopt;
  Endpoint endpoint{text_of(*json, "api"), text_of(*json, "workers")};
  const Value* pid = json->find("pid");
  if (pid != nullptr && pid->as_int() != nullptr) endpoint.pid = static_cast<int>(*pid->as_int());
  if (endpoint.api.empty() || !is_serving(endpoint.pid, state_dir)) return std::nullopt;
  return endpoint;
}

Result<std::string> read_token(const std::filesystem::path& state_dir) {
  auto text = read_file(state_dir / "token", kSmallFileMax);
  if (!text) return text;
  text->resize(std::min(text->find_first_of("\r\n"), text->size()));
  return text;
}

Result<std::string> read_file(const std::filesystem::path& file, std::size_t bytes_max) {
  std::error_code failed;
  if (std::filesystem::is_directory(file, failed)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: is a directory", file.string()));
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return fail(code_of_errno(errno), fmt::format("{}: {}", file.string(), std::strerror(errno)));
  std::string text;
  std::string buffer(64 * 1024, '\0');
  while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || stream.gcount() > 0) {
    text.append(buffer, 0, static_cast<std::size_t>(stream.gcount()));
    if (text.size() > bytes_max) {
      return fail(ErrorCode::kInvalidInput, fmt::format("{}: is larger than {} bytes", file.string(), bytes_max));
    }
  }
  if (stream.bad()) return fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be read", file.string()));
  return text;
}

}  // namespace chappe::cli
