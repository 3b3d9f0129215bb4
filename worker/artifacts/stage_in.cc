#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "storage/digest/digest.h"
#include "worker/artifacts/beneath.h"
#include "worker/artifacts/pack.h"
#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

constexpr char kPackedSuffix[] = ".chappe-packed";  // While it is fetched; the directory itself comes after.

Result<void> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(ErrorCode::kUnavailable, fmt::format("write: {}", std::strerror(errno)));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

/// Fetches one object into `file` and checks that it is the one that was recorded. Goes on where the store went out of
/// reach: what was pieced together wrongly, the hash would tell.
Result<void> fetch(const StagingPlace& place, const InputObject& object, int file) {
  if (object.key.empty()) return write_all(file, std::as_bytes(std::span(object.text)));
  Sha256 hash;
  std::uint64_t size = 0;
  Result<void> written;
  const auto sink = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    size += bytes.size();
    written = write_all(file, bytes);
    return written.has_value() && !place.stop.load(std::memory_order_relaxed);
  };
  Waiting waiting(place.patience, place.stop);
  auto read = place.store.read(object.key, 0, std::nullopt, sink);
  while (!read && read.error().code == ErrorCode::kUnavailable && waiting.rest()) {
    const std::uint64_t before = size;
    read = place.store.read(object.key, size, std::nullopt, sink);
    if (size > before) waiting.succeeded();
  }
  if (!read) return fail(read.error());
  if (!written) return written;
  if (place.stop.load(std::memory_order_relaxed)) return fail(ErrorCode::kUnavailable, "stopped");
  const std::string sha256 = to_hex(hash.finish());
  if (size == object.size && sha256 == object.sha256) return {};
  return fail(ErrorCode::kCorrupt,
              fmt::format("object {} is not what was recorded: {} bytes with SHA-256 {}, expected {} bytes with {}",
                          object.key, size, sha256, object.size, object.sha256));
}

/// As it stood at one moment, whoever writes it meanwhile. Errors: kConflict: it did not stand still.
Result<InputObject> fetch_once(const StagingPlace& place, const ObjectPlace& from, const InputObject& object,
                               int file) {
  if (::ftruncate(file, 0) != 0 || ::lseek(file, 0, SEEK_SET) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("write: {}", std::strerror(errno)));
  }
  Sha256 hash;
  InputObject out = object;
  Result<void> written;
  const auto read = from.store->read(from.key, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    out.size += bytes.size();
    written = write_all(file, bytes);
    return written.has_value() && !place.stop.load(std::memory_order_relaxed);
  });
  if (!read) return fail(read.error());
  // A full disk gets no better by waiting for the store.
  if (!written) return fail(ErrorCode::kUnsupported, written.error().message);
  if (place.stop.load(std::memory_order_relaxed)) return fail(ErrorCode::kUnsupported, "stopped");
  if (out.size != read->size) return fail(ErrorCode::kConflict, "it changed while it was read");
  out.sha256 = to_hex(hash.finish());
  out.etag = read->etag;
  out.store_version = read->store_version;
  out.s3 = from.store->locate_object(from.key);
  return out;
}

/// Fetches what is there by that name now; what it was goes to `reads`. False: there is nothing, and there need not be.
Result<bool> fetch_named(const StagingPlace& place, const InputObject& object, int file,
                         std::vector<InputObject>& reads) {
  if (place.find == nullptr) return fail(ErrorCode::kUnsupported, "this worker reads no objects by name");
  const auto from = place.find(object.s3);
  if (!from) return fail(from.error());
  Waiting waiting(place.patience, place.stop);
  for (int overwritten = 0;;) {
    auto read = fetch_once(place, *from, object, file);
    if (read) {
      reads.push_back(std::move(*read));
      return true;
    }
    if (read.error().code == ErrorCode::kNotFound && object.may_be_absent) return false;
    const bool again = read.error().code == ErrorCode::kConflict      ? ++overwritten <= kOverwrittenMax
                       : read.error().code == ErrorCode::kUnavailable ? waiting.rest()
                                                                      : false;
    if (!again) return fail(std::move(read.error()).in(fmt::format("read '{}'", object.s3)));
  }
}

/// False: it is absent, and may be.
Result<bool> fetch(const StagingPlace& place, const InputObject& object, int file, std::vector<InputObject>& reads) {
  if (!object.s3.empty()) return fetch_named(place, object, file, reads);
  if (auto fetched = fetch(place, object, file); !fetched) return fail(std::move(fetched.error()));
  return true;
}

/// A `mode` is what it says, whatever the worker's umask.
Result<void> place_file(const StagingPlace& place, const Folder& folder, const InputObject& object,
                        std::optional<std::uint32_t> mode, std::vector<InputObject>& reads) {
  const Result<File> file = folder.create_file(object.path, 0644);
  if (!file) return fail(file.error());
  const auto fetched = fetch(place, object, file->fd(), reads);
  if (!fetched) return fail(fetched.error());
  if (!*fetched) return folder.remove_file(object.path);
  if (mode && ::fchmod(file->fd(), static_cast<mode_t>(*mode)) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("set the mode of '{}': {}", object.path, std::strerror(errno)));
  }
  return {};
}

/// The whole archive is fetched and verified before anything of it is unpacked.
Result<void> place_folder(const StagingPlace& place, const Folder& folder, const InputObject& object,
                          std::vector<InputObject>& reads) {
  const std::string packed = object.path + kPackedSuffix;
  const Result<File> file = folder.create_file(packed, 0600);
  if (!file) return fail(file.error());
  const auto fetched = fetch(place, object, file->fd(), reads);
  if (!fetched) return fail(fetched.error());
  if (auto removed = folder.remove_file(packed); !removed || !*fetched) return removed;
  Result<File> inner = folder.make_folder(object.path);
  if (!inner) return fail(inner.error());
  if (::lseek(file->fd(), 0, SEEK_SET) != 0) return fail(ErrorCode::kUnavailable, std::strerror(errno));
  return unpack(file->fd(), Folder(std::move(*inner)));
}

}  // namespace

Staged<StagedIn> stage_in(const StagingPlace& place, const std::vector<ResolvedInput>& inputs) {
  StagedIn out;
  const auto failed = [](const ResolvedInput& input, const Error& error) {
    return tl::unexpected(
        StagingFailure{Reason::kArtifactIo, fmt::format("fetch input '{}': {}", input.name, error.message)});
  };
  const Result<Folder> folder = Folder::open(place.directory);
  for (const ResolvedInput& input : inputs) {
    if (!folder) return failed(input, folder.error());
    if (input.collection) {  // A task may count on the directory even where it is empty.
      if (auto made = folder->make_folder(input.path); !made) return failed(input, made.error());
    }
    for (const InputObject& object : input.objects) {
      const bool unpacks = object.packed && input.unpack != Unpack::kNever;
      const auto placed = unpacks ? place_folder(place, *folder, object, out.read)
                                  : place_file(place, *folder, object, input.mode, out.read);
      if (!placed) return failed(input, placed.error());
      out.bytes += object.size;
    }
  }
  for (const InputObject& object : out.read) out.bytes += object.size;
  return out;
}

}  // namespace chappe::artifacts
