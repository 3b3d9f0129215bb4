#include "worker/app/work_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "worker/exec/fence.h"

namespace chappe::worker {
namespace {

using namespace std::chrono_literals;

Failure failed(std::string_view what, const std::string& path) {
  return fail(ErrorCode::kUnavailable, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

bool make(const std::string& path) { return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST; }

/// A file system's clock ticks up to 10 ms apart: what changed longer ago than this has an older time than a change
/// now.
constexpr std::int64_t kClockTickNs = 20'000'000;

constexpr std::int64_t to_ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

/// Nothing: it is no directory, or not of the mode that we gave it.
std::optional<DirectoryStamp> stamp_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || status.st_mode != (S_IFDIR | 0700)) return std::nullopt;
  return DirectoryStamp{status.st_ino, to_ns(status.st_ctim)};
}

/// There, and as it was when it was stamped.
bool is_unchanged(const std::string& path, const DirectoryStamp& stamp) {
  return stamp.changed_ns != 0 && stamp_of(path) == stamp;
}

/// There, empty, and of the mode that we gave it.
bool is_untouched(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  struct stat status {};
  alignas(dirent64) std::array<char, 1024> entries{};
  const bool ours = ::fstat(fd, &status) == 0 && (status.st_mode & 07777) == 0700;
  const long size = ours ? ::syscall(SYS_getdents64, fd, entries.data(), entries.size()) : -1;
  ::close(fd);
  // "." and ".." take 24 bytes each; a name more makes it longer.
  return size >= 0 && size <= 48;
}

/// False: one of its directories is gone, as some tidy people empty /tmp, or a straggler has left something there.
bool stamp(AttemptFolder& folder) {
  if (exec::boot_time() < folder.stamped_until) return true;
  const auto work = stamp_of(folder.work);
  const auto tmp = stamp_of(folder.tmp);
  if (!work || !tmp) return false;
  if (*work != folder.work_stamp && !is_untouched(folder.work)) return false;
  if (*tmp != folder.tmp_stamp && !is_untouched(folder.tmp)) return false;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  folder.work_stamp = *work;
  folder.tmp_stamp = *tmp;
  for (DirectoryStamp* each : {&folder.work_stamp, &folder.tmp_stamp}) {
    if (to_ns(now) < each->changed_ns + kClockTickNs) each->changed_ns = 0;
  }
  return true;
}

/// Somebody may have taken his own right to remove what is in there.
void make_removable(const std::filesystem::path& root) {
  std::error_code error;
  using std::filesystem::directory_options;
  std::filesystem::permissions(root, std::filesystem::perms::owner_all, std::filesystem::perm_options::add, error);
  auto entry = std::filesystem::recursive_directory_iterator(root, directory_options::none, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_directory(ignored) || entry->is_symlink(ignored)) continue;
    std::filesystem::permissions(entry->path(), std::filesystem::perms::owner_all, std::filesystem::perm_options::add,
                                 ignored);
  }
}

int lock_within(const std::string& file, Duration wait) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  const MonoTime until = exec::boot_time() + wait;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || exec::boot_time() >= until) {
      const int error = errno;
      ::close(fd);
      errno = error;
      return -1;
    }
    std::this_thread::sleep_for(10ms);
  }
  return fd;
}

}  // namespace

Result<WorkDirectory> WorkDirectory::open(const std::filesystem::path& path, bool keep, Duration wait) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  std::filesystem::create_directories(whole, error);
  if (error) {
    return fail(ErrorCode::kUnavailable, fmt::format("make work directory {}: {}", path.string(), error.message()));
  }
  const std::string root = whole.string();
  const int lock = lock_within(root + "/lock", wait);
  if (lock < 0 && errno == EWOULDBLOCK) {
    return fail(
        ErrorCode::kConflict,
        fmt::format("another worker, or a task that it left, is at work in {}; give each its own work directory",
                    root));
  }
  if (lock < 0) return failed("lock", root + "/lock");
  WorkDirectory directory(root, lock, keep);
  for (const char* inner : {"/attempts", "/runs"}) {
    if (!keep) remove(root + inner);
    if (!make(root + inner)) return failed("make", root + inner);
  }
  return directory;
}

WorkDirectory::WorkDirectory(std::string path, int lock, bool keep)
    : path_(std::move(path)), lock_(lock), keep_(keep) {}

WorkDirectory::WorkDirectory(WorkDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), keep_(other.keep_) {}

WorkDirectory::~WorkDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

Result<AttemptFolder> WorkDirectory::acquire(AttemptId attempt) {
  while (!empty_.empty()) {
    AttemptFolder folder = std::move(empty_.back());
    empty_.pop_back();
    if (stamp(folder)) return folder;
    remove(folder.root);
  }
  AttemptFolder folder;
  folder.root = path_ + "/attempts/" + (keep_ ? to_text(attempt) : std::to_string(++folders_made_));
  folder.work = folder.root + "/work";
  folder.tmp = folder.root + "/tmp";
  for (const std::string& made : {folder.root, folder.work, folder.tmp}) {
    if (!make(made)) return failed("make", made);
  }
  return folder;
}

bool WorkDirectory::release(AttemptFolder& folder) {
  if (keep_) return false;
  if (is_unchanged(folder.work, folder.work_stamp) && is_unchanged(folder.tmp, folder.tmp_stamp)) {
    folder.stamped_until = exec::boot_time() + kStampLasts;  // What comes between is seen when it is taken back again.
  } else if (is_untouched(folder.work) && is_untouched(folder.tmp)) {
    folder.stamped_until = {};
  } else {
    return true;
  }
  if (folder.has_files) {
    (void)::unlink(folder.script().c_str());  // One of the two may be missing; the other then not.
    (void)::unlink(folder.log().c_str());
  }
  folder.has_files = false;
  empty_.push_back(std::move(folder));
  return false;
}

void WorkDirectory::remove(const std::string& root) {
  std::error_code error;
  std::filesystem::remove_all(root, error);
  if (!error) return;
  make_removable(root);
  std::filesystem::remove_all(root, error);  // What is left now is another user's; the next start tries again.
}

std::string WorkDirectory::params_file(RunSeq run) const { return fmt::format("{}/runs/{}.json", path_, run.value); }

Result<std::string> WorkDirectory::acquire_params(const RunContext& run) {
  const std::string file = params_file(run.seq);
  const auto [users, is_new] = params_users_.try_emplace(run.seq, 0);
  if (users->second++ == 0) std::erase(idle_runs_, run.seq);
  if (!is_new) return file;
  (void)::unlink(file.c_str());
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
  const std::string& text = run.params_json.empty() ? "{}" : run.params_json;
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const Failure failure = failed("write", file);
  if (fd >= 0) ::close(fd);
  if (written) return file;
  params_users_.erase(users);
  return failure;
}

void WorkDirectory::release_params(const RunContext& run) {
  const auto users = params_users_.find(run.seq);
  if (users == params_users_.end() || --users->second > 0) return;
  if (!run.secret_params.empty()) return forget_params(run.seq);
  idle_runs_.push_back(run.seq);
  if (idle_runs_.size() <= kIdleRunsMax) return;
  forget_params(idle_runs_.front());
  idle_runs_.pop_front();
}

void WorkDirectory::forget_params(RunSeq run) {
  params_users_.erase(run);
  if (!keep_) (void)::unlink(params_file(run).c_str());
}

}  // namespace chappe::worker
