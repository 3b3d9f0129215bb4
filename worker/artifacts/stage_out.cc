#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "worker/artifacts/beneath.h"
#include "worker/artifacts/data_files.h"
#include "worker/artifacts/pack.h"
#include "worker/artifacts/staging.h"
#include "worker/artifacts/values.h"

namespace chappe::artifacts {
namespace {

constexpr std::size_t kSmallValue = 1024;  // As JSON: it is told, however many others are. A metric always is.
constexpr std::size_t kSumPieceBytes = std::size_t{1} << 20;

tl::unexpected<StagingFailure> failed(Reason reason, std::string message) {
  return tl::unexpected(StagingFailure{reason, std::move(message)});
}

/// An output that is there; held open, so that nothing else can take its place.
struct Found {
  const ResolvedOutput* spec = nullptr;
  File file;
  std::uint64_t size = 0;
  bool packed = false;
};

bool is_empty_folder(const File& folder) {
  const int copy = ::openat(folder.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy >= 0 ? ::fdopendir(copy) : nullptr, &::closedir);
  if (entries == nullptr) return true;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

/// nullopt: it is not there, and need not be. Errors: what the task did wrong.
Result<std::optional<Found>> find_output(const Folder& folder, const ResolvedOutput& spec) {
  Result<File> file = folder.open_file(spec.path, O_RDONLY | O_NONBLOCK);
  if (!file && file.error().code == ErrorCode::kNotFound) {
    if (!spec.required) return std::nullopt;
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not there; the task must write it", spec.path));
  }
  if (!file) return fail(file.error());
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0) return fail(ErrorCode::kInvalidInput, std::strerror(errno));
  const bool folder_itself = S_ISDIR(status.st_mode);
  if (!S_ISREG(status.st_mode) && !folder_itself) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is neither a file nor a directory", spec.path));
  }
  if (folder_itself && spec.pack == Pack::kNone) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is a directory, and 'pack: none' wants a file", spec.path));
  }
  if (spec.non_empty && (folder_itself ? is_empty_folder(*file) : status.st_size == 0)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is empty", spec.path));
  }
  return Found{&spec, std::move(*file), static_cast<std::uint64_t>(status.st_size), folder_itself};
}

class Staging {
 public:
  Staging(const StagingPlace& place, const std::string& prefix, AttemptId attempt)
      : place_(place), prefix_(prefix), attempt_(attempt) {}

  Result<void> upload(const Found& found) {
    return once_reachable([&] { return upload_once(found); });
  }

  /// Prepares the assets' uploads: last, when nothing else can fail.
  Result<void> stage(const Found& found) {
    if (found.spec->asset_uri.empty()) return {};
    return once_reachable([&] { return stage_once(found); });
  }

  /// A value that is too large to be told becomes an object, once the outputs are known to be there.
  void add(NamedValue value) {
    std::string json = to_json(value.value);
    const bool fits = json.size() <= kInlineValueMax && inline_bytes_ + json.size() <= kInlineSumMax;
    if (fits || json.size() <= kSmallValue) {
      inline_bytes_ += json.size();
      staged_.outputs.values.push_back(std::move(value));
    } else {
      large_.emplace_back(std::move(value.name), std::move(json));
    }
  }

  Result<void> upload_values() {
    for (const auto& [name, json] : large_) {
      auto uploaded = once_reachable([this, &name = name, &json = json] { return upload_value(name, json); });
      if (!uploaded) return fail(std::move(uploaded.error()).in("store value '" + name + "'"));
    }
    return {};
  }

  StagedOut take() { return std::move(staged_); }
  void undo() { discard(place_.store, staged_.outputs); }

 private:
  /// The whole transfer again, as long as it is the store that is out of reach.
  template <typename Transfer>
  Result<void> once_reachable(Transfer transfer) {
    Waiting waiting(place_.patience, place_.stop);
    Result<void> done = transfer();
    while (!done && done.error().code == ErrorCode::kUnavailable && waiting.rest()) done = transfer();
    return done;
  }

  Result<void> upload_value(const std::string& name, const std::string& json) {
    if (place_.stop.load(std::memory_order_relaxed)) return stopped();
    OutputObject object;
    object.name = value_object_name(name);
    object.key = output_key(prefix_, object.name);
    const PutOptions options{.content_type = "application/json", .metadata = {{"chappe-attempt", to_text(attempt_)}}};
    auto writer = place_.store.create(object.key, options, json.size());
    if (!writer) return not_of_the_task(std::move(writer.error()));
    if (auto written = (*writer)->write(std::as_bytes(std::span(json))); !written) {
      return not_of_the_task(std::move(written.error()));
    }
    return keep(**writer, std::move(object));
  }

  Result<void> keep(ObjectWriter& writer, OutputObject object) {
    Result<StoredObject> stored = writer.finish();
    if (!stored) return not_of_the_task(std::move(stored.error()));
    object.size = stored->size;
    object.sha256 = std::move(stored->sha256);
    object.etag = std::move(stored->etag);
    staged_.bytes += object.size;
    staged_.outputs.objects.push_back(std::move(object));
    return {};
  }

  Result<void> upload_once(const Found& found) {
    OutputObject object;
    object.name = found.spec->name;
    object.key = output_key(prefix_, object.name);
    object.packed = found.packed;
    object.asset_uri = found.spec->asset_uri;
    object.asset_name = found.spec->asset_name;
    auto writer = place_.store.create(object.key, options(found), found.packed ? 0 : found.size);
    if (!writer) return fail(writer.error());
    const auto sink = [&](std::span<const std::byte> bytes) -> Result<void> {
      if (place_.stop.load(std::memory_order_relaxed)) return stopped();
      auto written = (*writer)->write(bytes);
      return written ? written : not_of_the_task(std::move(written.error()));
    };
    if (auto copied = found.packed ? pack_folder(found, sink) : copy_file(found, sink); !copied) return copied;
    if (auto kept = keep(**writer, std::move(object)); !kept) return kept;
    return check_hash(*found.spec, staged_.outputs.objects.back().sha256);
  }

  static Result<void> check_hash(const ResolvedOutput& spec, const std::string& sha256) {
    if (spec.sha256.empty() || spec.sha256 == sha256) return {};
    return fail(ErrorCode::kInvalidInput, fmt::format("its SHA-256 is {}, and must be {}", sha256, spec.sha256));
  }

  Result<void> stage_once(const Found& found) {
    for (OutputObject& object : staged_.outputs.objects) {
      if (object.name != found.spec->name) continue;
      PutOptions how = options(found);
      how.if_absent = found.spec->immutable;
      how.sha256 = object.sha256;
      Result<std::string> upload = place_.store.stage(object.key, object.size, object.asset_uri, how);
      if (!upload) return fail(upload.error());
      object.upload = std::move(*upload);
    }
    return {};
  }

  PutOptions options(const Found& found) const {
    PutOptions options;
    if (found.packed) options.content_type = "application/zstd";
    options.metadata = {{"chappe-attempt", to_text(attempt_)}};
    return options;
  }

  /// A store that refuses a request as malformed has not judged what the task wrote.
  static Failure not_of_the_task(Error error) {
    if (error.code == ErrorCode::kInvalidInput) error.code = ErrorCode::kUnsupported;
    return fail(std::move(error));
  }

  static Failure stopped() { return fail(ErrorCode::kUnavailable, "stopped"); }

  static Result<void> pack_folder(const Found& found, const ByteSink& sink) {
    File copy(::openat(found.file.fd(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return pack(Folder(std::move(copy)), sink);
  }

  static Result<void> copy_file(const Found& found, const ByteSink& sink) {
    if (::lseek(found.file.fd(), 0, SEEK_SET) != 0) return fail(ErrorCode::kCorrupt, std::strerror(errno));
    std::vector<std::byte> piece(std::min<std::uint64_t>(kSumPieceBytes, found.size + 1));
    for (;;) {
      const ssize_t got = ::read(found.file.fd(), piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(ErrorCode::kCorrupt, fmt::format("read: {}", std::strerror(errno)));
      if (got == 0) return {};
      if (auto written = sink({piece.data(), static_cast<std::size_t>(got)}); !written) return written;
    }
  }

  const StagingPlace& place_;
  const std::string& prefix_;
  const AttemptId attempt_;
  StagedOut staged_;
  std::size_t inline_bytes_ = 0;                            ///< JSON of the values that are told.
  std::vector<std::pair<std::string, std::string>> large_;  ///< Others: name and JSON.
};

/// The task's doing is kInvalidInput (a link out of a directory, say); all else is the storage's.
Reason reason_of(const Error& error) {
  return error.code == ErrorCode::kInvalidInput ? Reason::kInvalidOutput : Reason::kArtifactIo;
}

/// A metric that may be absent, and is: a check could not measure it.
bool is_absent(const OutputValue& spec, const Value& value) { return spec.metric && value.is_null(); }

/// Its data are as its schema says, if it has one.
Result<void> check_schema(const Found& found, const std::atomic<bool>& stop) {
  if (found.spec->schema == nullptr) return {};
  if (found.packed) return fail(ErrorCode::kInvalidInput, "it is a directory, and its 'schema' is of a file");
  auto unfit = why_unfit(found.file.fd(), *found.spec->schema, stop);
  if (!unfit) return fail(std::move(unfit.error()));
  return unfit->empty() ? Result<void>{} : fail(ErrorCode::kInvalidInput, *std::move(unfit));
}

}  // namespace

std::string output_key(const std::string& prefix, const std::string& name) {
  // Names are identifiers: none is "log.output".
  return prefix + (name == "log" ? "log.output" : name);
}

Staged<StagedOut> stage_out(const StagingPlace& place, const std::string& prefix, AttemptId attempt,
                            const ResolvedWork& work) {
  const Result<Folder> folder = Folder::open(place.directory);
  // The worker made it: that it is gone says nothing of the task.
  if (!folder) return failed(Reason::kArtifactIo, folder.error().message);
  std::vector<Found> found;
  for (const ResolvedOutput& output : work.outputs) {
    auto one = find_output(*folder, output);
    if (!one) {
      return failed(Reason::kInvalidOutput, fmt::format("output '{}': {}", output.name, one.error().message));
    }
    if (*one) found.push_back(std::move(**one));
  }
  for (const Found& one : found) {
    if (auto fits = check_schema(one, place.stop); !fits) {
      return failed(reason_of(fits.error()), fmt::format("output '{}': {}", one.spec->name, fits.error().message));
    }
  }
  Staging staging(place, prefix, attempt);
  for (const OutputValue& spec : work.values) {
    auto value = read_value(*folder, spec);
    if (!value) return failed(Reason::kInvalidOutput, value.error().message);
    if (!is_absent(spec, value->value)) staging.add(std::move(*value));
  }
  if (auto uploaded = staging.upload_values(); !uploaded) {
    staging.undo();
    return failed(reason_of(uploaded.error()), uploaded.error().message);
  }
  for (const auto move : {&Staging::upload, &Staging::stage}) {
    for (const Found& one : found) {
      const Result<void> moved = (staging.*move)(one);
      if (moved) continue;
      staging.undo();
      return failed(reason_of(moved.error()),
                    fmt::format("store output '{}': {}", one.spec->name, moved.error().message));
    }
  }
  return staging.take();
}

void discard(ObjectStore& store, const AttemptOutputs& outputs) {
  for (const OutputObject& object : outputs.objects) {
    // Best effort: an upload that stays open shows nothing, and nobody names the object.
    if (!object.upload.empty()) (void)store.abort(object.upload);
    (void)store.remove(object.key);
  }
}

}  // namespace chappe::artifacts
