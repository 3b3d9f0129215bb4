#include "scheduler/app/state_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "storage/digest/digest.h"

namespace chappe {
namespace {

constexpr std::size_t kTokenBytes = 32;

Failure failed(const std::string& what, int error) {
  const bool denied = error == EACCES || error == EPERM || error == EROFS;
  return fail(denied ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
              fmt::format("{}: {}", what, std::strerror(error)));
}

Result<void> make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return failed("make directory " + path.string(), error.value());
  if (chmod(path.c_str(), S_IRWXU) != 0) return failed("set the mode of " + path.string(), errno);
  return {};
}

Result<std::string> load_or_make_secret(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string token;
  if (in && std::getline(in, token) && !token.empty()) return token;
  token = random_hex(kTokenBytes);
  if (auto written = write_file_atomically(file, token + "\n", S_IRUSR | S_IWUSR); !written) {
    return fail(std::move(written.error()));
  }
  return token;
}

}  // namespace

Result<void> write_file_atomically(const std::filesystem::path& file, const std::string& text, unsigned mode) {
  const std::string fresh = fmt::format("{}.{}.new", file.string(), getpid());
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return failed("write " + fresh, errno);
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) return failed("write " + fresh, error);
  if (rename(fresh.c_str(), file.c_str()) != 0) return failed("rename to " + file.string(), errno);
  return {};
}

Result<StateDir> open_state_dir(const std::filesystem::path& root) {
  StateDir out{.root = root};
  const std::filesystem::path keys = root / "keys";
  for (const auto& directory : {root, keys}) {
    if (auto made = make_directory(directory); !made) return fail(std::move(made.error()));
  }
  auto token = load_or_make_secret(root / "token");
  if (!token) return fail(std::move(token.error()));
  out.token = std::move(*token);
  auto webhook_key = load_or_make_secret(keys / "webhook.key");
  if (!webhook_key) return fail(std::move(webhook_key.error()));
  out.webhook_key = std::move(*webhook_key);
  auto scheduler = transport::load_or_make_keys(keys, "scheduler");
  if (!scheduler) return fail(std::move(scheduler.error()));
  out.scheduler_keys = std::move(*scheduler);
  auto worker = transport::load_or_make_keys(keys, "worker");
  if (!worker) return fail(std::move(worker.error()));
  out.authorized_workers = keys / "authorized_workers";
  if (!std::filesystem::exists(out.authorized_workers)) {
    const std::string text =
        fmt::format("# Public keys of the workers that may connect, one a line.\n{} worker\n", worker->public_key);
    auto written = write_file_atomically(out.authorized_workers, text, S_IRUSR | S_IWUSR);
    if (!written) return fail(std::move(written.error()));
  }
  return out;
}

}  // namespace chappe
