/// \file
/// A folder of DAG files that deploy themselves: what is in it is deployed, what changes is deployed anew, what goes is
/// undeployed. Watched through inotify: it costs nothing while nothing happens.
///
/// A link on the way to the folder is watched, too: who swaps it, as git-sync does, changes all files at once. In a git
/// checkout nothing is read while git is at work on it.
///
/// Files are told apart by name, and read again when their size, time or inode changes: also through symbolic links, as
/// Kubernetes mounts a ConfigMap; so is a file that one of them includes. Names that begin with a dot are left alone,
/// and files whose names begin with '_' to those that include them. A file with mistakes undeploys nothing: the good
/// version stays, and the complaint is shown.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "engine/run/events.h"
#include "scheduler/api/backend.h"

namespace chappe {

/// What lies under the names of a folder, and what became of it. The part that knows no clock and no thread.
class DagFolder {
 public:
  static constexpr std::size_t kFilesMax = 100'000;

  /// `ask` hands an event to the engine and waits while too much waits there; the answer comes on another thread.
  using Ask = std::function<void(Event event, api::Backend::Done done)>;
  /// `deployed`: what the store knows to come from files, by DAG: files that are gone are undeployed by the first scan.
  DagFolder(std::filesystem::path folder, std::map<std::string, std::string> deployed, Ask ask);

  /// Looks at all names, and reads what is new. Returns the folders to watch.
  std::vector<std::filesystem::path> scan();
  /// As scan(), where nothing changed but what these files say. False: more may have, and a scan is due.
  /// Cost: O(files) in memory, and one look at each that changed.
  bool look_at(const std::set<std::filesystem::path>& changed);

  const std::filesystem::path& path() const { return folder_; }

  /// By file: why what it says is not what runs.
  std::vector<api::DagComplaint> complaints() const;

 private:
  /// By which a file is known to be as it was.
  struct Signature {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const Signature&) const = default;
  };
  using Signatures = std::map<std::string, std::optional<Signature>>;  ///< By file; nullopt: it is not there.
  struct File {
    Signature signature;
    std::string dag;      ///< That it was last deployed as; "" where it never was.
    std::string version;  ///< Likewise.
    Signatures included;  ///< Of the files that it includes.
  };
  struct Complaints {
    mutable std::mutex mutex;
    std::map<std::string, std::string> by_file;
  };

  static std::optional<Signature> signature_of(const std::filesystem::path& path);
  static bool includes_as_before(const File& file, Signatures& seen);
  std::optional<std::map<std::string, Signature>> list(std::vector<std::filesystem::path>& folders) const;
  std::map<std::string, std::string> forget_gone(const std::map<std::string, Signature>& now);
  bool stands_alone(const std::filesystem::path& path) const;
  void read(const std::string& name, File& file);
  void deploy(const std::string& name, File& file, DagPtr dag);
  void remove(const std::string& dag, const std::string& name);
  void complain(const std::string& name, const std::string& what);
  void hold(const std::string& name, File& file, const std::string& dag);

  std::filesystem::path folder_;
  std::string commit_;  ///< That is checked out, at the latest scan; "": it is no git checkout.
  std::map<std::string, std::string> deployed_;  ///< From an earlier life: DAG to file.
  Ask ask_;
  std::map<std::string, File> files_;
  std::map<std::string, std::string> file_of_;  ///< By DAG.
  std::shared_ptr<Complaints> complaints_ = std::make_shared<Complaints>();
};

/// Keeps a DagFolder up to date on a thread of its own.
class DagFolderWatch {
 public:
  /// False: too much waits there; both arguments are as they were.
  using Post = std::function<bool(Event& event, api::Backend::Done& done)>;
  /// Errors: kInvalidInput: it is no folder, or cannot be watched.
  static Result<std::unique_ptr<DagFolderWatch>> start(const std::filesystem::path& path,
                                                       std::map<std::string, std::string> deployed, Post post);
  ~DagFolderWatch();

  std::vector<api::DagComplaint> complaints() const { return folder_.complaints(); }

 private:
  DagFolderWatch(const std::filesystem::path& path, std::map<std::string, std::string> deployed, Post post);
  void ask(Event event, api::Backend::Done done);
  bool watch(const std::vector<std::filesystem::path>& folders);
  void serve(const std::stop_token& stop);
  bool wait_for_git();
  bool wait_for_change();
  void take_in_news();

  Post post_;
  DagFolder folder_;
  int inotify_ = -1;
  int stop_fd_ = -1;  ///< Readable: stop.
  std::map<int, std::filesystem::path> watches_;
  std::set<std::filesystem::path> changed_;  ///< Files that were written since the latest look.
  bool scan_due_ = true;                     ///< More than that may have changed.
  std::jthread thread_;                      // Last: it uses all of the above.
};

}  // namespace chappe
