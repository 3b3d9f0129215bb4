#include "storage/local/file_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "storage/digest/digest.h"
#include "storage/local/attributes.h"

namespace chappe::local {
namespace {

constexpr mode_t kReadOnly = 0444;  // Links share the file: who edits a published asset must not edit the object.
constexpr int kPlaceTriesMax = 16;  // A folder that is pruned while we enter it is made again.

int rename_once(int from_folder, const char* from, const Place& to, IfThere if_there) {
  const unsigned flags = if_there == IfThere::kRefuse ? RENAME_NOREPLACE : 0U;
  if (::renameat2(from_folder, from, to.folder.fd(), to.name.c_str(), flags) == 0) return 0;
  if (errno != EINVAL || if_there != IfThere::kRefuse) return -1;
  // A file system without RENAME_NOREPLACE (NFS): a link refuses, too.
  if (::linkat(from_folder, from, to.folder.fd(), to.name.c_str(), 0) != 0) return -1;
  return ::unlinkat(from_folder, from, 0);
}

class FileWriter final : public ObjectWriter {
 public:
  FileWriter(const Directory& root, StagedFile staged, std::string target, PutOptions options)
      : root_(root), staged_(std::move(staged)), target_(std::move(target)), options_(std::move(options)) {}

  Result<void> write(std::span<const std::byte> bytes) override {
    digest_.update(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t written = ::write(staged_.file().fd(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail(system_error("write", target_, errno));
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<StoredObject> finish() override {
    const StoredObject stored{.size = size_, .sha256 = to_hex(digest_.finish())};
    options_.metadata.emplace_back("sha256", stored.sha256);
    if (auto done = write_attributes(staged_.file(), options_.metadata, target_); !done)
      return fail(std::move(done.error()));
    if (::fchmod(staged_.file().fd(), kReadOnly) != 0) return fail(system_error("protect", target_, errno));
    if (auto done = sync(staged_.file(), target_); !done) return fail(std::move(done.error()));
    const auto name = staged_.keep();
    if (!name) return fail(name.error());
    const auto staging = root_.open_file("staging", O_RDONLY | O_DIRECTORY);
    if (!staging) return fail(staging.error());
    const auto done =
        publish(root_, *staging, *name, target_, options_.if_absent ? IfThere::kRefuse : IfThere::kReplace);
    if (!done) {
      ::unlinkat(staging->fd(), name->c_str(), 0);
      return fail(done.error());
    }
    return stored;
  }

 private:
  const Directory& root_;
  StagedFile staged_;
  std::string target_;
  PutOptions options_;
  Sha256 digest_;
  std::uint64_t size_ = 0;
};

}  // namespace

Result<void> publish(const Directory& root, const File& staging, const std::string& source, const std::string& target,
                     IfThere if_there) {
  for (int tries = 1;; ++tries) {
    const auto place = root.make_place(target);
    const bool is_gone = !place && place.error().code == ErrorCode::kNotFound;
    if (!place && (!is_gone || tries == kPlaceTriesMax)) return fail(place.error());
    if (!place) continue;
    if (rename_once(staging.fd(), source.c_str(), *place, if_there) == 0) return sync(place->folder, target);
    const int number = errno;
    struct stat status {};
    const bool folder_was_pruned = number == ENOENT && ::fstatat(staging.fd(), source.c_str(), &status, 0) == 0;
    if (!folder_was_pruned || tries == kPlaceTriesMax) return fail(system_error("store", target, number));
  }
}

Result<StagedFile> StagedFile::make(const Directory& root) {
  StagedFile staged;
  auto staging = root.open_file("staging", O_RDONLY | O_DIRECTORY);
  if (!staging) return fail(staging.error());
  staged.staging_ = std::move(*staging);
  staged.file_ = File(::openat(staged.staging_.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (staged.file_.is_open()) return staged;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return fail(system_error("make a file in", "staging", errno));
  staged.name_ = random_hex(16);
  staged.file_ =
      File(::openat(staged.staging_.fd(), staged.name_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!staged.file_.is_open()) return fail(system_error("make a file in", "staging", errno));
  return staged;
}

StagedFile::~StagedFile() {
  if (staging_.is_open() && !name_.empty()) ::unlinkat(staging_.fd(), name_.c_str(), 0);
}

Result<std::string> StagedFile::keep() {
  if (!name_.empty()) return std::exchange(name_, {});
  const std::string name = random_hex(16);
  const std::string self = fmt::format("/proc/self/fd/{}", file_.fd());
  if (::linkat(AT_FDCWD, self.c_str(), staging_.fd(), name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return fail(system_error("name a file in", "staging", errno));
  }
  return name;
}

Result<std::unique_ptr<ObjectWriter>> make_file_writer(const Directory& root, std::string target, PutOptions options) {
  auto staged = StagedFile::make(root);
  if (!staged) return fail(std::move(staged.error()));
  return std::make_unique<FileWriter>(root, std::move(*staged), std::move(target), std::move(options));
}

}  // namespace chappe::local
