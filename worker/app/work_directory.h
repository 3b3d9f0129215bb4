/// \file
/// The worker's place on disk:
///
///   WORK_DIR/lock             held by the worker, its spawner and its supervisors: one live incarnation at a time
///   WORK_DIR/runs/RUN.json    parameters of a run, read-only
///   WORK_DIR/attempts/N/      one attempt at a time, removed when it left anything; N is the attempt's id when kept
///                    N/work   the task's working directory and HOME
///                    N/tmp    its TMPDIR
///                    N/script, N/log
///                    N/secrets  those that the task gets as files, while its program runs
///
/// Directories that an attempt left empty serve the next one: making and removing them costs more than a short task.
/// Thread: one, but for remove().
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/run/events.h"

namespace chappe::worker {

/// For so long an empty folder is taken to be there still.
inline constexpr Duration kStampLasts = std::chrono::seconds(1);
inline constexpr std::size_t kIdleRunsMax = 64;  ///< Parameter files kept for runs that have no attempt here just now.

/// When a directory last changed. No task can forge it, as it can the time of modification.
struct DirectoryStamp {
  std::uint64_t inode = 0;
  std::int64_t changed_ns = 0;  ///< 0: too lately for the file system's clock to tell the next change from it.
  bool operator==(const DirectoryStamp&) const = default;
};

struct AttemptFolder {
  std::string root, work, tmp;
  bool has_files = false;  ///< The script or the log was written.
  DirectoryStamp work_stamp, tmp_stamp;
  MonoTime stamped_until;  ///< By the clock of exec::boot_time(): until then nobody need look again.
  std::string script() const { return root + "/script"; }
  std::string log() const { return root + "/log"; }
  std::string secrets() const { return root + "/secrets"; }
};

class WorkDirectory {
 public:
  /// Makes it, takes its lock and removes what a dead incarnation left. Waits up to `wait` for the tasks of one that is
  /// dying. Errors: kConflict: another worker runs here.
  static Result<WorkDirectory> open(const std::filesystem::path& path, bool keep, Duration wait);
  WorkDirectory(WorkDirectory&& other) noexcept;
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  ~WorkDirectory();

  int lock_fd() const { return lock_; }
  const std::string& path() const { return path_; }

  /// An empty folder. Cost: nothing just after it was taken back unchanged, else two looks, or three new directories.
  /// Taking it back costs two looks, unless it was made just now.
  Result<AttemptFolder> acquire(AttemptId attempt);
  /// Takes the folder back, and leaves nothing of it in `folder`. True: it is not empty and the caller must remove()
  /// it, in another thread as it may take long.
  bool release(AttemptFolder& folder);
  static void remove(const std::string& root);

  /// The file with the run's parameters; release_params() for each.
  Result<std::string> acquire_params(const RunContext& run);
  /// Where there are secrets among them, the file goes at once; else it may serve the run's next attempt.
  void release_params(const RunContext& run);

 private:
  WorkDirectory(std::string path, int lock, bool keep);
  std::string params_file(RunSeq run) const;
  void forget_params(RunSeq run);

  std::string path_;
  int lock_ = -1;
  bool keep_ = false;
  std::uint64_t folders_made_ = 0;
  std::vector<AttemptFolder> empty_;
  std::map<RunSeq, std::size_t> params_users_;
  std::deque<RunSeq> idle_runs_;
};

}  // namespace chappe::worker
