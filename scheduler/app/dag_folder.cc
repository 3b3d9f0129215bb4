#include "scheduler/app/dag_folder.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "dags/loader/loader.h"
#include "engine/ports/log.h"
#include "scheduler/app/git_checkout.h"
#include "scheduler/app/include_file.h"
#include "scheduler/quarantine/quarantine.h"
#include "storage/digest/digest.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTextMax = std::size_t{9} << 20;  // More than the loader takes: it says so.

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

/// One read, so that what is parsed was there at one moment.
std::optional<std::string> read_file(const fs::path& path) {
  std::error_code failed;
  const std::uintmax_t size = fs::file_size(path, failed);
  if (failed) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::string text(std::min<std::uintmax_t>(size + 1, kTextMax), '\0');  // Where it grows meanwhile, news of it come.
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (!in.eof() && in.fail())) return std::nullopt;
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

}  // namespace

DagFolder::DagFolder(fs::path folder, std::map<std::string, std::string> deployed, Ask ask)
    : folder_(std::move(folder)), deployed_(std::move(deployed)), ask_(std::move(ask)) {}

/// Nullopt: there is no such file.
std::optional<DagFolder::Signature> DagFolder::signature_of(const fs::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  return Signature{found.st_dev, found.st_ino, static_cast<std::uint64_t>(found.st_size),
                   std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

/// Nullopt: the folder cannot be listed, which says nothing about what is in it.
std::optional<std::map<std::string, DagFolder::Signature>> DagFolder::list(std::vector<fs::path>& folders) const {
  std::map<std::string, Signature> out;
  std::error_code failed;
  folders.push_back(folder_);
  fs::recursive_directory_iterator entry(folder_, fs::directory_options::skip_permission_denied, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    std::error_code ignored;
    if (is_hidden(entry->path())) {
      entry.disable_recursion_pending();
    } else if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) {
      folders.push_back(entry->path());
    } else if (is_dag_file(entry->path()) && out.size() < kFilesMax) {
      if (const auto signature = signature_of(entry->path())) out[entry->path().native()] = *signature;
    }
  }
  if (!failed) return out;
  log::warn("--dags: cannot list {}: {}; what is deployed stays", folder_.string(), failed.message());
  return std::nullopt;
}

/// DAGs whose files are gone, with these.
std::map<std::string, std::string> DagFolder::forget_gone(const std::map<std::string, Signature>& now) {
  std::map<std::string, std::string> gone;
  for (auto file = files_.begin(); file != files_.end();) {
    if (now.contains(file->first)) {
      ++file;
      continue;
    }
    if (!file->second.dag.empty()) gone[file->second.dag] = file->first;
    hold(file->first, file->second, "");
    complain(file->first, "");
    file = files_.erase(file);
  }
  for (const auto& [dag, name] : std::exchange(deployed_, {})) {
    if (now.contains(name)) {
      hold(name, files_[name], dag);
    } else {
      gone[dag] = name;
    }
  }
  return gone;
}

std::vector<fs::path> DagFolder::scan() {
  std::vector<fs::path> folders = folders_of_links(folder_);
  commit_.clear();
  if (const auto checkout = find_git_checkout(folder_)) {
    commit_ = checkout->commit();
    for (fs::path& folder : checkout->folders()) folders.push_back(std::move(folder));
  }
  const auto now = list(folders);
  if (!now) return folders;
  const auto gone = forget_gone(*now);
  Signatures included;
  for (const auto& [name, signature] : *now) {
    File& file = files_[name];
    if (file.signature == signature && includes_as_before(file, included)) continue;
    file.signature = signature;
    read(name, file);
  }
  for (const auto& [dag, name] : gone) {
    if (!file_of_.contains(dag)) remove(dag, name);  // Otherwise it was renamed.
  }
  return folders;
}

/// It is known, and no other file has to be looked at because of it.
bool DagFolder::stands_alone(const fs::path& path) const {
  const auto known = files_.find(path.native());
  if (known == files_.end() || known->second.dag.empty()) return false;
  return std::none_of(files_.begin(), files_.end(), [&](const auto& each) {
    const bool waits_for_others = each.second.signature == Signature{};
    return waits_for_others || each.second.included.contains(path.native());
  });
}

bool DagFolder::look_at(const std::set<fs::path>& changed) {
  if (!commit_.empty()) return false;  // What is checked out changes with the files.
  for (const fs::path& path : changed) {
    if (!stands_alone(path)) return false;
    File& file = files_[path.native()];
    const auto signature = signature_of(path);
    if (!signature) return false;
    if (file.signature == *signature) continue;
    file.signature = *signature;
    const std::string dag = file.dag;
    read(path.native(), file);
    if (file.dag != dag) return false;  // Another file may have waited for the name.
  }
  return true;
}

/// `seen`: what this scan knows of files that others include, too.
bool DagFolder::includes_as_before(const File& file, Signatures& seen) {
  return std::all_of(file.included.begin(), file.included.end(), [&](const auto& each) {
    const auto [known, fresh] = seen.try_emplace(each.first);
    if (fresh) known->second = signature_of(each.first);
    return known->second == each.second;
  });
}

/// From now on the file is the one of `dag`, and of no other; "": of none.
void DagFolder::hold(const std::string& name, File& file, const std::string& dag) {
  if (!file.dag.empty()) file_of_.erase(file.dag);
  file.dag = dag;
  if (!dag.empty()) file_of_[dag] = name;
}

void DagFolder::read(const std::string& name, File& file) {
  const auto text = read_file(name);
  if (!text) return complain(name, "it cannot be read");
  const std::string hash = to_hex(sha256(*text));
  if (quarantine::is_left_alone(quarantine::Kind::kText, hash)) {
    return complain(name, fmt::format("{} is {}; it is read again when it changes", name, quarantine::complaint()));
  }
  const quarantine::Hold hold(quarantine::Kind::kText, hash);
  // Before they are read: what changes meanwhile is read once more.
  Signatures included;
  const fs::path folder = fs::path(name).parent_path();
  const ReadInclude read = [&, beside = include_beside(name)](const std::string& path) {
    included[folder / path] = signature_of(folder / path);
    return beside(path);
  };
  LoadedDag loaded = load_dag(*text, name, read);
  file.included = std::move(included);
  if (loaded.dag != nullptr) return deploy(name, file, std::move(loaded.dag));
  std::string what;
  for (const Diagnostic& one : loaded.diagnostics) {
    if (!one.warning) what += (what.empty() ? "" : "\n") + one.text();
  }
  complain(name, what);
}

void DagFolder::deploy(const std::string& name, File& file, DagPtr dag) {
  if (const auto holder = file_of_.find(dag->name); holder != file_of_.end() && holder->second != name) {
    file.signature = {};  // It is looked at again when anything changes: the other may go.
    return complain(name, fmt::format("{}: DAG {} is in {} already", name, dag->name, holder->second));
  }
  complain(name, "");
  if (file.dag == dag->name && file.version == dag->version) return;
  if (!file.dag.empty() && file.dag != dag->name) remove(file.dag, name);
  hold(name, file, dag->name);
  file.version = dag->version;
  ask_(DagDeployed{.dag = std::move(dag), .origin = name, .commit = commit_, .requested_by = "folder"},
       [name, complaints = complaints_](const Result<Value>& answer) {
         if (answer) return;
         log::warn("{}: {}", name, answer.error().message);
         const std::scoped_lock lock(complaints->mutex);
         complaints->by_file[name] = fmt::format("{}: {}", name, answer.error().message);
       });
}

void DagFolder::remove(const std::string& dag, const std::string& name) {
  ask_(DagRemoved{.dag = dag, .origin = name, .requested_by = "folder"}, [](const Result<Value>&) {
    // Gone already, or another's by now: either is what was wanted.
  });
}

void DagFolder::complain(const std::string& name, const std::string& what) {
  const std::scoped_lock lock(complaints_->mutex);
  if (what.empty()) {
    complaints_->by_file.erase(name);
    return;
  }
  if (std::string& told = complaints_->by_file[name]; told != what) {
    log::warn("{}", what);
    told = what;
  }
}

std::vector<api::DagComplaint> DagFolder::complaints() const {
  std::vector<api::DagComplaint> out;
  const std::scoped_lock lock(complaints_->mutex);
  for (const auto& [file, text] : complaints_->by_file) out.push_back({file, text});
  return out;
}

// ---- Watching ----

Result<std::unique_ptr<DagFolderWatch>> DagFolderWatch::start(const fs::path& path,
                                                              std::map<std::string, std::string> deployed, Post post) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("--dags: {} is no folder", path.string()));
  }
  std::unique_ptr<DagFolderWatch> watch(new DagFolderWatch(path, std::move(deployed), std::move(post)));
  if (watch->inotify_ < 0 || watch->stop_fd_ < 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("--dags: cannot watch {}: {}", path.string(), std::strerror(errno)));
  }
  watch->thread_ = std::jthread([raw = watch.get()](const std::stop_token& stop) { raw->serve(stop); });
  return watch;
}

DagFolderWatch::DagFolderWatch(const fs::path& path, std::map<std::string, std::string> deployed, Post post)
    : post_(std::move(post)),
      folder_(path, std::move(deployed), [this](Event event, api::Backend::Done done) { ask(event, done); }),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void DagFolderWatch::ask(Event event, api::Backend::Done done) {
  constexpr int kRestMs = 2;
  pollfd stop{stop_fd_, POLLIN, 0};
  while (!post_(event, done)) {
    if (poll(&stop, 1, kRestMs) > 0) return;
  }
}

DagFolderWatch::~DagFolderWatch() {
  thread_.request_stop();
  if (stop_fd_ >= 0) (void)eventfd_write(stop_fd_, 1);
  if (thread_.joinable()) thread_.join();
  if (inotify_ >= 0) close(inotify_);
  if (stop_fd_ >= 0) close(stop_fd_);
}

/// A folder that is watched already is found again by its number. True: one is watched that was not before.
bool DagFolderWatch::watch(const std::vector<fs::path>& folders) {
  constexpr std::uint32_t kChanges =
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | IN_ATTRIB | IN_ONLYDIR;
  std::map<int, fs::path> now;
  bool fresh = false;
  for (const fs::path& folder : folders) {
    const int watch = inotify_add_watch(inotify_, folder.c_str(), kChanges);
    if (watch >= 0) {
      now.emplace(watch, folder);
      fresh = fresh || !watches_.contains(watch);
    } else if (errno == ENOSPC) {
      log::error("--dags: {} is not watched: raise fs.inotify.max_user_watches", folder.string());
    }
  }
  watches_.swap(now);
  return fresh;
}

void DagFolderWatch::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (!wait_for_git()) return;
    const std::set<fs::path> changed = std::exchange(changed_, {});
    if (std::exchange(scan_due_, false) || !folder_.look_at(changed)) {
      scan_due_ = watch(folder_.scan());  // What changed before a folder was watched is seen by another look.
    }
    if (!scan_due_ && !wait_for_change()) return;
  }
}

/// While git changes the files of a checkout, half of them are of one commit and half of another. False: it is time to
/// stop.
bool DagFolderWatch::wait_for_git() {
  constexpr int kLookMs = 10;
  constexpr int kLooksMax = 3'000;  // A lock that is older than this was left behind.
  for (int look = 0; look < kLooksMax; ++look) {
    const auto checkout = find_git_checkout(folder_.path());
    if (!checkout || !checkout->is_changing()) return true;
    pollfd stop{stop_fd_, POLLIN, 0};
    if (poll(&stop, 1, kLookMs) > 0) return false;
  }
  log::warn("--dags: {} has been locked by git for long; it is read all the same", folder_.path().string());
  return true;
}

/// False: it is time to stop. News that come close together are taken as one.
bool DagFolderWatch::wait_for_change() {
  constexpr int kQuietMs = 20, kTogetherMax = 50;
  pollfd fds[] = {{inotify_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
  int timeout = -1;
  for (int i = 0; i < kTogetherMax; ++i) {
    const int ready = poll(fds, std::size(fds), timeout);
    if ((fds[1].revents & POLLIN) != 0) return false;
    if (ready == 0) return true;
    if (ready < 0) continue;
    take_in_news();
    timeout = kQuietMs;
  }
  return true;
}

/// A file that is written is looked at alone. Whatever else happens, or is not known, asks for a scan.
void DagFolderWatch::take_in_news() {
  constexpr std::uint32_t kWritten = IN_CLOSE_WRITE | IN_ATTRIB;
  constexpr std::size_t kLookedAtMax = 64;  // With more a scan costs less.
  alignas(inotify_event) std::array<char, 16 * 1024> news{};
  for (ssize_t size = 0; (size = ::read(inotify_, news.data(), news.size())) > 0;) {
    for (ssize_t at = 0; at < size;) {
      inotify_event event{};
      std::memcpy(&event, news.data() + at, sizeof event);
      const char* name = news.data() + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      const auto folder = watches_.find(event.wd);
      if (folder == watches_.end() || event.len == 0 || (event.mask & ~kWritten) != 0 ||
          changed_.size() >= kLookedAtMax) {
        scan_due_ = true;
      } else {
        changed_.insert(folder->second / name);
      }
    }
  }
}

}  // namespace chappe
