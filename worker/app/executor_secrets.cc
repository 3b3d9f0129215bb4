// What an attempt is handed beside its DAG's words: secrets, and the object store's credentials. The rest is in
// executor.cc.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/app/execution.h"

namespace chappe::worker {
namespace {

Result<void> write_secret(const std::string& file, const std::string& value, mode_t mode) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
  const bool written = fd >= 0 && ::write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size()) &&
                       ::fchmod(fd, mode) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("write {}: {}", file, std::strerror(error)));
}

}  // namespace

bool Executor::gives_access(const Execution& execution) const {
  return parts_.access != nullptr && execution.work().kind == TaskKind::kRun && execution.work().store_credentials;
}

/// Something has to be had from elsewhere before the program can start.
bool Executor::has_to_fetch(const Execution& execution) const {
  const ResolvedWork& work = execution.work();
  return !work.inputs.empty() || !work.secrets.empty() || (gives_access(execution) && !parts_.access->is_ready());
}

/// On a thread of the transfers.
Result<std::vector<Secret>> Executor::look_up(const Execution& execution) const {
  if (gives_access(execution)) {
    if (auto ready = parts_.access->refresh(); !ready) {
      return fail(ErrorCode::kUnavailable, ready.error().message);  // The store's trouble, not the task's.
    }
  }
  return parts_.secrets.read(execution.work().secrets, execution.stopped);
}

/// From here on none of it gets into the log.
void Executor::take_handed(Execution& execution, std::vector<Secret> secrets) {
  execution.handed.secrets = std::move(secrets);
  if (gives_access(execution)) execution.handed.store = parts_.access->variables();
  std::vector<std::string> hidden = secrets_of(*execution.assignment->run);
  const auto hide = [&](const std::vector<std::string>& values) {
    hidden.insert(hidden.end(), values.begin(), values.end());
  };
  hide(parts_.environment.secrets());
  if (execution.handed.store != nullptr) hide(execution.handed.store->secrets);
  for (const Secret& secret : execution.handed.secrets) hidden.push_back(secret.value);
  execution.mask = SecretMask(hidden);
}

/// `for_everybody`: whatever user of a container reads them. On the machine nobody gets past the attempt's directory.
Result<void> Executor::write_secrets(Execution& execution, bool for_everybody) {
  const std::string directory = execution.folder->secrets();
  for (const Secret& secret : execution.handed.secrets) {
    if (!secret.as_file) continue;
    const bool made = execution.has_secret_files || ::mkdir(directory.c_str(), 0700) == 0;
    execution.has_secret_files = execution.has_secret_files || made;
    if (!made || (for_everybody && ::chmod(directory.c_str(), 0755) != 0)) {
      return fail(ErrorCode::kUnavailable, fmt::format("make {}: {}", directory, std::strerror(errno)));
    }
    auto written = write_secret(directory + "/" + secret.name, secret.value, for_everybody ? 0444 : 0400);
    if (!written) return written;
  }
  return {};
}

/// As soon as the program has ended, whatever becomes of its directory.
void Executor::forget_secrets(Execution& execution) {
  execution.handed = {};
  if (std::exchange(execution.has_secret_files, false)) WorkDirectory::remove(execution.folder->secrets());
}

}  // namespace chappe::worker
