#include "storage/local/folder_walk.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <memory>

#include "engine/ports/object_key.h"
#include "storage/local/attributes.h"
#include "storage/local/paths.h"

namespace chappe::local {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

/// A file or folder: its key (a folder's ends in "/"), and where it is.
struct Entry {
  std::string key;
  std::string path;
  bool operator<(const Entry& other) const { return key < other.key; }
};

bool is_folder(const dirent& found, const File& parent) {
  if (found.d_type != DT_UNKNOWN) return found.d_type == DT_DIR;
  struct stat status {};  // Some file systems do not say.
  return ::fstatat(parent.fd(), found.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

class Walk {
 public:
  Walk(const Directory& root, const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit)
      : root_(root), prefix_(prefix), visit_(visit) {}

  /// False: `visit` wants no more.
  Result<bool> folder(const std::string& path, const std::string& key) {
    std::vector<Entry> entries;
    if (auto done = gather(path, key, entries); !done) return fail(done.error());
    std::sort(entries.begin(), entries.end());
    for (const Entry& entry : entries) {
      const auto go_on = entry.key.ends_with('/') ? folder(entry.path, entry.key) : object(entry);
      if (!go_on || !*go_on) return go_on;
    }
    return true;
  }

 private:
  bool is_wanted(const std::string& key) const {
    const std::size_t length = std::min(key.size(), prefix_.size());
    return key.compare(0, length, prefix_, 0, length) == 0 && (key.ends_with('/') || key.size() >= prefix_.size());
  }

  // Pieces of long names are read into the folder that they belong to, so that all of it is sorted together.
  Result<void> gather(const std::string& path, const std::string& key, std::vector<Entry>& entries) {
    const auto file = root_.open_file(path, O_RDONLY | O_DIRECTORY);
    if (!file && file.error().code == ErrorCode::kNotFound) return {};  // Removed meanwhile.
    if (!file) return fail(file.error());
    const std::unique_ptr<DIR, CloseFolder> stream(::fdopendir(::fcntl(file->fd(), F_DUPFD_CLOEXEC, 0)));
    if (stream == nullptr) return fail(system_error("list", path, errno));
    while (const dirent* found = ::readdir(stream.get())) {
      const std::string name = found->d_name;
      if (name == "." || name == "..") continue;
      std::string text = key + text_of_name(name);
      std::string below = path + "/" + name;
      if (goes_on(name)) {
        if (auto done = gather(below, text, entries); !done) return done;
        continue;
      }
      if (is_folder(*found, *file)) text += '/';
      if (is_wanted(text)) entries.push_back({std::move(text), std::move(below)});
    }
    return {};
  }

  Result<bool> object(const Entry& entry) {
    const auto file = root_.open_file(entry.path, O_RDONLY);
    if (!file && file.error().code == ErrorCode::kNotFound) return true;  // Removed meanwhile.
    if (!file) return fail(file.error());
    struct stat status {};
    if (::fstat(file->fd(), &status) != 0) return fail(system_error("look at", entry.path, errno));
    return visit_({.key = entry.key,
                   .size = static_cast<std::uint64_t>(status.st_size),
                   .modified_at = modified_at(status),
                   .metadata = read_attributes(*file)});
  }

  const Directory& root_;
  const std::string& prefix_;
  const std::function<bool(const ObjectInfo&)>& visit_;
};

}  // namespace

Result<void> walk_objects(const Directory& root, const std::string& prefix,
                          const std::function<bool(const ObjectInfo&)>& visit) {
  const auto slash = prefix.rfind('/');
  const std::string key = slash == std::string::npos ? "" : prefix.substr(0, slash);
  if (!key.empty() && !check_object_key(key)) return {};  // No key begins like that.
  if (slash == 0) return {};
  Walk walk(root, prefix, visit);
  const auto done = key.empty() ? walk.folder("objects", "") : walk.folder("objects/" + path_of_key(key), key + "/");
  if (!done && done.error().code != ErrorCode::kInvalidInput) return fail(done.error());
  return {};  // kInvalidInput: an object stands where the prefix names a folder, so nothing is beneath.
}

}  // namespace chappe::local
