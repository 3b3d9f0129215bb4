#include "worker/artifacts/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <vector>

#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
constexpr std::string_view kOneTooMany = "is one more than a directory may hold: pack it into a file";

struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeReader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

Failure failed(const std::string& path, std::string_view why) {
  return fail(ErrorCode::kInvalidInput, fmt::format("'{}' {}", path, why));
}

/// Carries a sink's error through libarchive's callback.
struct Sink {
  const ByteSink& write;
  Result<void> outcome{};
};

la_ssize_t write_bytes(archive*, void* sink_pointer, const void* bytes, std::size_t size) {
  Sink& sink = *static_cast<Sink*>(sink_pointer);
  sink.outcome = sink.write({static_cast<const std::byte*>(bytes), size});
  return sink.outcome ? static_cast<la_ssize_t>(size) : -1;
}

class Packer {
 public:
  Packer(const ByteSink& write, std::uint64_t entries_max)
      : writer_(archive_write_new()), sink_{write}, entries_left_(entries_max) {
    archive_write_set_format_pax_restricted(writer_.get());
    // Names are bytes: to translate them to UTF-8 fails for those of Latin-1, and for others by the process's locale.
    archive_write_set_options(writer_.get(), "hdrcharset=BINARY");
    archive_write_add_filter_zstd(writer_.get());
    archive_write_set_bytes_per_block(writer_.get(), static_cast<int>(kPieceBytes));
    archive_write_set_bytes_in_last_block(writer_.get(), 1);
  }

  Result<void> run(const Folder& folder) {
    if (archive_write_open(writer_.get(), &sink_, nullptr, &write_bytes, nullptr) != ARCHIVE_OK) return trouble();
    if (auto added = add_folder(folder.fd(), "", 0); !added) return added;
    if (archive_write_close(writer_.get()) != ARCHIVE_OK) return trouble();
    return std::move(sink_.outcome);
  }

 private:
  Result<void> trouble() {
    if (!sink_.outcome) return std::move(sink_.outcome);
    const char* why = archive_error_string(writer_.get());
    return fail(ErrorCode::kCorrupt, fmt::format("pack: {}", why != nullptr ? why : "libarchive fails"));
  }

  static Result<std::vector<std::string>> sorted_names(int folder, const std::string& path) {
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy >= 0 ? ::fdopendir(copy) : nullptr, &::closedir);
    if (entries == nullptr) return failed(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> add_folder(int folder, const std::string& path, std::size_t depth) {
    if (depth > kFolderDepthMax) return failed(path, fmt::format("lies deeper than {} directories", kFolderDepthMax));
    const Result<std::vector<std::string>> names = sorted_names(folder, path);
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
      if (auto added = add(folder, name, path.empty() ? name : path + "/" + name, depth); !added) return added;
    }
    return {};
  }

  Result<void> add(int folder, const std::string& name, const std::string& path, std::size_t depth) {
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return failed(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    if (S_ISREG(status.st_mode)) return add_file(folder, name, path);
    if (S_ISLNK(status.st_mode)) return add_link(folder, name, path);
    if (!S_ISDIR(status.st_mode)) return failed(path, "is neither file, directory nor link");
    if (auto written = write_header(path, AE_IFDIR, 0755, 0, nullptr); !written) return written;
    const File inner(::openat(folder, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return add_folder(inner.fd(), path, depth + 1);
  }

  Result<void> add_link(int folder, const std::string& name, const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size() - 1);
    if (size < 0) return failed(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    if (!stays_beneath(path, {target.data(), static_cast<std::size_t>(size)})) {
      return failed(path, fmt::format("is a link out of the directory, to '{}'", target.data()));
    }
    return write_header(path, AE_IFLNK, 0777, 0, target.data());
  }

  Result<void> add_file(int folder, const std::string& name, const std::string& path) {
    const File file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!file.is_open() || ::fstat(file.fd(), &status) != 0) {
      return failed(path, fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    const mode_t mode = (status.st_mode & 0100) != 0 ? 0755 : 0644;
    if (auto written = write_header(path, AE_IFREG, mode, status.st_size, nullptr); !written) return written;
    for (off_t left = status.st_size; left > 0;) {
      const ssize_t got = ::read(file.fd(), piece_.data(), std::min(piece_.size(), static_cast<std::size_t>(left)));
      if (got <= 0) return failed(path, "changed while it was read");
      if (archive_write_data(writer_.get(), piece_.data(), static_cast<std::size_t>(got)) != got) return trouble();
      left -= got;
    }
    return {};
  }

  Result<void> write_header(const std::string& path, unsigned type, mode_t mode, off_t size, const char* target) {
    if (entries_left_-- == 0) return failed(path, kOneTooMany);
    const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_filetype(entry.get(), type);
    archive_entry_set_perm(entry.get(), mode);
    archive_entry_set_size(entry.get(), size);
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (target != nullptr) archive_entry_set_symlink(entry.get(), target);
    return archive_write_header(writer_.get(), entry.get()) == ARCHIVE_OK ? Result<void>() : trouble();
  }

  std::unique_ptr<archive, FreeWriter> writer_;
  Sink sink_;
  std::uint64_t entries_left_;
  std::vector<char> piece_ = std::vector<char>(kPieceBytes);
};

class Unpacker {
 public:
  Unpacker(const Folder& into, std::uint64_t entries_max)
      : reader_(archive_read_new()), into_(into), entries_left_(entries_max) {
    archive_read_support_filter_zstd(reader_.get());
    archive_read_support_format_tar(reader_.get());
  }

  Result<void> run(int fd) {
    if (archive_read_open_fd(reader_.get(), fd, kPieceBytes) != ARCHIVE_OK) return trouble();
    archive_entry* entry = nullptr;
    int next = ARCHIVE_OK;
    while ((next = archive_read_next_header(reader_.get(), &entry)) == ARCHIVE_OK) {
      if (auto placed = place(entry); !placed) return placed;
    }
    return next == ARCHIVE_EOF ? Result<void>() : trouble();
  }

 private:
  Result<void> trouble() {
    const char* why = archive_error_string(reader_.get());
    return fail(ErrorCode::kInvalidInput, fmt::format("unpack: {}", why != nullptr ? why : "not a tar.zst"));
  }

  Result<void> place(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    std::string path = name != nullptr ? name : "";
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (!is_plain_path(path)) return failed(path, "in the archive leads out of its directory");
    if (entries_left_-- == 0) return failed(path, kOneTooMany);
    if (archive_entry_hardlink(entry) != nullptr) return failed(path, "in the archive is a hard link");
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return place_folder(path);
      case AE_IFREG:
        return place_file(path, (archive_entry_perm(entry) & 0100) != 0 ? 0755 : 0644, archive_entry_size(entry));
      case AE_IFLNK:
        return place_link(path, archive_entry_symlink(entry));
      default:
        return failed(path, "in the archive is neither file, directory nor link");
    }
  }

  Result<void> place_folder(const std::string& path) {
    if (auto folder = into_.make_folder(path); !folder) return fail(folder.error());
    return {};
  }

  Result<void> place_file(const std::string& path, mode_t mode, std::int64_t size) {
    struct statvfs disk {};
    const bool known = ::fstatvfs(into_.fd(), &disk) == 0;
    if (known && static_cast<std::uint64_t>(size) / disk.f_frsize >= disk.f_bavail) {
      return failed(path, fmt::format("in the archive has {} bytes, and the disk has {} left", size,
                                      disk.f_bavail * disk.f_frsize));
    }
    const Result<File> file = into_.create_file(path, mode);
    if (!file) return fail(file.error());
    if (archive_read_data_into_fd(reader_.get(), file->fd()) != ARCHIVE_OK) return trouble();
    return {};
  }

  Result<void> place_link(const std::string& path, const char* target) {
    if (target == nullptr || !stays_beneath(path, target)) return failed(path, "in the archive is a link out of it");
    return into_.make_link(path, target);
  }

  std::unique_ptr<archive, FreeReader> reader_;
  const Folder& into_;
  std::uint64_t entries_left_;
};

}  // namespace

Result<void> pack(const Folder& folder, const ByteSink& sink, std::uint64_t entries_max) {
  return Packer(sink, entries_max).run(folder);
}

Result<void> unpack(int archive_fd, const Folder& into, std::uint64_t entries_max) {
  return Unpacker(into, entries_max).run(archive_fd);
}

}  // namespace chappe::artifacts
