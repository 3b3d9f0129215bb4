#include "storage/local/local_object_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>

#include "engine/ports/object_key.h"
#include "storage/digest/digest.h"
#include "storage/local/attributes.h"
#include "storage/local/directory.h"
#include "storage/local/file_writer.h"
#include "storage/local/folder_walk.h"
#include "storage/local/paths.h"
#include "storage/local/upload.h"

namespace chappe {
namespace {

using local::Directory;
using local::File;
using local::IfThere;
using local::path_of_key;
using local::system_error;
using local::Upload;

constexpr std::size_t kReadBytes = 256 << 10;

std::int64_t modified_ns(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

Result<struct stat> status_of(const File& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.fd(), &status) != 0) return fail(system_error("look at", path, errno));
  return status;
}

Failure not_found(const std::string& key) {
  return fail(ErrorCode::kNotFound, fmt::format("no object \"{}\" in the store", key));
}

class LocalObjectStore final : public ObjectStore {
 public:
  explicit LocalObjectStore(Directory root) : root_(std::move(root)) {}

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& key, const PutOptions& options,
                                               std::uint64_t /*size_hint*/) override {
    if (auto valid = check_object_key(key); !valid) return fail(std::move(valid.error()));
    return local::make_file_writer(root_, "objects/" + path_of_key(key), options);
  }

  Result<ObjectInfo> read(const std::string& key, std::uint64_t offset, std::optional<std::uint64_t> length,
                          const std::function<bool(std::span<const std::byte>)>& sink) override {
    const auto file = open_object(key);
    if (!file) return fail(file.error());
    auto info = info_of(*file, key);
    if (!info) return info;
    const std::uint64_t begin = std::min(offset, info->size);
    if (auto done = copy_out(*file, begin, std::min(length.value_or(info->size), info->size - begin), sink); !done) {
      return fail(std::move(done.error()));
    }
    return info;
  }

  Result<ObjectInfo> head(const std::string& key) override {
    const auto file = open_object(key);
    if (!file) return fail(file.error());
    return info_of(*file, key);
  }

  Result<void> remove(const std::string& key) override {
    if (auto valid = check_object_key(key); !valid) return valid;
    const std::filesystem::path path = "objects/" + path_of_key(key);
    const auto folder = root_.open_file(path.parent_path(), O_RDONLY | O_DIRECTORY);
    if (!folder && folder.error().code == ErrorCode::kNotFound) return {};
    if (!folder) return fail(folder.error());
    const bool removed = ::unlinkat(folder->fd(), path.filename().c_str(), 0) == 0;
    if (!removed && (errno == ENOENT || errno == EISDIR)) return {};
    if (!removed) return fail(system_error("remove", key, errno));
    root_.prune_above(path);
    return {};
  }

  Result<void> list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    return local::walk_objects(root_, prefix, visit);
  }

  Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                            const PutOptions& options) override;
  Result<std::string> restage(const std::string& text, const std::string& key, PutOptions options) override {
    const auto upload = local::parse_upload(text);
    if (!upload) return fail(upload.error());
    options.if_absent = upload->if_absent;
    return stage(key, upload->size, upload->uri, options);
  }
  Result<ObjectInfo> complete(const std::string& text) override;
  Result<void> abort(const std::string& text) override;

  std::string locate(const std::string& uri) const override { return root_.path() + "/assets/" + path_of_key(uri); }

  std::string locate_object(const std::string& key) const override {
    return root_.path() + "/objects/" + path_of_key(key);
  }

 private:
  Result<File> open_object(const std::string& key) const {
    if (auto valid = check_object_key(key); !valid) return fail(std::move(valid.error()));
    auto file = root_.open_file("objects/" + path_of_key(key), O_RDONLY);
    const bool is_missing =
        !file && (file.error().code == ErrorCode::kNotFound || file.error().code == ErrorCode::kInvalidInput);
    if (is_missing) return not_found(key);  // "a/b" where "a" is an object is not there, either.
    return file;
  }

  static Result<ObjectInfo> info_of(const File& file, const std::string& key) {
    const auto status = status_of(file, key);
    if (!status) return fail(status.error());
    if (!S_ISREG(status->st_mode)) return not_found(key);
    return ObjectInfo{.key = key,
                      .size = static_cast<std::uint64_t>(status->st_size),
                      .modified_at = local::modified_at(*status),
                      .metadata = local::read_attributes(file)};
  }

  static Result<void> copy_out(const File& file, std::uint64_t offset, std::uint64_t length,
                               const std::function<bool(std::span<const std::byte>)>& sink) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(kReadBytes, length));
    while (length > 0) {
      const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), length);
      const ssize_t got = ::pread(file.fd(), buffer.data(), wanted, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(system_error("read", "an object", errno));
      if (got == 0) return fail(ErrorCode::kCorrupt, "an object became shorter while it was read");
      const auto bytes = static_cast<std::size_t>(got);
      if (!sink(std::span(buffer).first(bytes))) return {};
      offset += bytes;
      length -= bytes;
    }
    return {};
  }

  Result<std::string> stage_link(const File& staging, const File& object, const std::string& key) const;
  Result<std::string> stage_copy(const File& object, const std::string& key) const;
  Result<File> staging() const { return root_.open_file("staging", O_RDONLY | O_DIRECTORY); }
  /// True where the URI of `upload` shows another file with the bytes of the staged one.
  bool shows_equal_bytes(const File& staging, const Upload& upload) const;
  /// What the URI of `upload` shows, when that is this very upload.
  Result<ObjectInfo> shown_by(const Upload& upload, ErrorCode otherwise, std::string_view why) const;

  Directory root_;
};

Result<std::string> LocalObjectStore::stage_link(const File& staging, const File& object,
                                                 const std::string& key) const {
  const std::string name = random_hex(16);
  const std::string self = fmt::format("/proc/self/fd/{}", object.fd());
  if (::linkat(AT_FDCWD, self.c_str(), staging.fd(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return name;
  const bool cannot_link = errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP || errno == EXDEV;
  if (!cannot_link) return fail(system_error("stage", key, errno));
  return stage_copy(object, key);
}

Result<std::string> LocalObjectStore::stage_copy(const File& object, const std::string& key) const {
  auto staged = local::StagedFile::make(root_);
  if (!staged) return fail(staged.error());
  off_t offset = 0;
  for (;;) {
    const ssize_t copied = ::copy_file_range(object.fd(), &offset, staged->file().fd(), nullptr, 1 << 30, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) return fail(system_error("copy", key, errno));
    if (copied == 0) break;
  }
  if (auto done = local::write_attributes(staged->file(), local::read_attributes(object), key); !done) {
    return fail(done.error());
  }
  if (auto done = local::sync(staged->file(), key); !done) return fail(done.error());
  return staged->keep();
}

Result<std::string> LocalObjectStore::stage(const std::string& key, std::uint64_t size, const std::string& uri,
                                            const PutOptions& options) {
  if (uri.starts_with("s3://")) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("\"{}\": this object store is the directory {}", uri, root_.path()));
  }
  if (auto valid = check_object_key(uri); !valid) return fail(std::move(valid.error()));
  const auto object = open_object(key);
  if (!object) return fail(object.error());
  const auto folder = staging();
  if (!folder) return fail(folder.error());
  const auto name = stage_link(*folder, *object, key);
  if (!name) return name;
  struct stat status {};
  if (::fstatat(folder->fd(), name->c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(system_error("look at", key, errno));
  }
  Upload upload{.name = *name,
                .inode = status.st_ino,
                .modified_ns = modified_ns(status),
                .size = static_cast<std::uint64_t>(status.st_size),
                .if_absent = options.if_absent,
                .uri = uri};
  if (upload.size != size) {
    (void)abort(to_text(upload));  // The error below says more than a failure to clean up.
    return fail(ErrorCode::kCorrupt, fmt::format("\"{}\" has {} bytes, {} were announced", key, upload.size, size));
  }
  if (auto done = local::sync(*folder, "staging"); !done) return fail(done.error());
  return to_text(upload);
}

Result<ObjectInfo> LocalObjectStore::shown_by(const Upload& upload, ErrorCode otherwise, std::string_view why) const {
  const std::string path = "assets/" + path_of_key(upload.uri);
  const auto file = root_.open_file(path, O_RDONLY);
  const auto status = file ? status_of(*file, path) : Result<struct stat>(fail(file.error()));
  const bool is_ours = status && status->st_ino == upload.inode && modified_ns(*status) == upload.modified_ns &&
                       static_cast<std::uint64_t>(status->st_size) == upload.size;
  if (!is_ours) return fail(otherwise, fmt::format("publish \"{}\": {}", upload.uri, why));
  return info_of(*file, upload.uri);
}

bool LocalObjectStore::shows_equal_bytes(const File& staging, const Upload& upload) const {
  const auto shown = root_.open_file("assets/" + path_of_key(upload.uri), O_RDONLY);
  const File ours(::openat(staging.fd(), upload.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!shown || !ours.is_open()) return false;
  const auto status = status_of(*shown, upload.uri);
  if (!status || static_cast<std::uint64_t>(status->st_size) != upload.size) return false;
  const auto hash_of = [&](const File& file) {
    Sha256 hash;
    const auto read = copy_out(file, 0, upload.size, [&](std::span<const std::byte> bytes) {
      hash.update(bytes);
      return true;
    });
    return read ? to_hex(hash.finish()) : std::string();
  };
  const std::string hash = hash_of(ours);
  return !hash.empty() && hash == hash_of(*shown);
}

Result<ObjectInfo> LocalObjectStore::complete(const std::string& text) {
  const auto upload = local::parse_upload(text);
  if (!upload) return fail(upload.error());
  const auto folder = staging();
  if (!folder) return fail(folder.error());
  const std::string target = "assets/" + path_of_key(upload->uri);
  const File ours(::openat(folder->fd(), upload->name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  auto done =
      local::publish(root_, *folder, upload->name, target, upload->if_absent ? IfThere::kRefuse : IfThere::kReplace);
  if (!done && done.error().code == ErrorCode::kConflict && shows_equal_bytes(*folder, *upload)) {
    // The same bytes again are no change. Our file takes the other's place, so that a repetition knows its work.
    done = local::publish(root_, *folder, upload->name, target, IfThere::kReplace);
  }
  if (!done && done.error().code == ErrorCode::kNotFound) {
    return shown_by(*upload, ErrorCode::kNotFound, "the upload is gone");
  }
  if (!done && done.error().code != ErrorCode::kConflict) return fail(done.error());
  auto shown = shown_by(*upload, ErrorCode::kConflict, "the URI holds something else");
  // It was shown; another version has taken its place since.
  if (!shown && done && !upload->if_absent && ours.is_open()) shown = info_of(ours, upload->uri);
  // Renaming a link onto a link to the same file does nothing, and leaves it.
  if (shown) ::unlinkat(folder->fd(), upload->name.c_str(), 0);
  return shown;
}

Result<void> LocalObjectStore::abort(const std::string& text) {
  const auto upload = local::parse_upload(text);
  if (!upload) return fail(upload.error());
  const auto folder = staging();
  if (!folder) return fail(folder.error());
  if (::unlinkat(folder->fd(), upload->name.c_str(), 0) != 0 && errno != ENOENT) {
    return fail(system_error("abort the upload to", upload->uri, errno));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_local_object_store(const std::string& directory) {
  for (const std::string_view folder : {"objects", "assets", "staging"}) {
    if (auto made = Directory::open(fmt::format("{}/{}", directory, folder)); !made) return fail(made.error());
  }
  std::error_code error;
  auto root = Directory::open(std::filesystem::absolute(directory, error).lexically_normal());
  if (!root) return fail(std::move(root.error()));
  return std::make_unique<LocalObjectStore>(std::move(*root));
}

}  // namespace chappe
