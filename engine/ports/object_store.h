/// \file
/// Where artifacts, assets and logs live: S3, or a directory. Blocking; streams in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"

namespace chappe {

/// What a store knows of an object.
struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;           ///< As the store gives it, without quotes; "" where it has none.
  std::string store_version;  ///< Version id; "" where the bucket keeps none, and in lists.
  WallTime modified_at;       ///< Not set where the store does not say.
  std::vector<std::pair<std::string, std::string>> metadata;  ///< Lower-case names, without "x-amz-meta-".
};

/// What a finished upload was.
struct StoredObject {
  std::uint64_t size = 0;
  std::string sha256;  ///< 64 hex digits, of the bytes that were written.
  std::string etag;
  std::string store_version;
};

struct PutOptions {
  std::string content_type = "application/octet-stream";
  std::vector<std::pair<std::string, std::string>> metadata;
  bool if_absent = false;  ///< Fail with kConflict where the key exists. Errors: kUnsupported where the store cannot.
  std::string sha256;      ///< stage(): of the object, where it is known. Then an `if_absent` URI that holds the same
                           ///< bytes already is no conflict.
};

/// A file on its way in. Not finishing it leaves nothing visible.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;  ///< Without finish(): aborts.
  virtual Result<void> write(std::span<const std::byte> bytes) = 0;
  virtual Result<StoredObject> finish() = 0;
};

/// Objects under one root, by key. A key is any UTF-8 text of 1 to 900 bytes without NUL, no empty, "." or ".."
/// segment. Thread: any, concurrently; each writer belongs to one thread.
/// Errors of all calls: kNotFound, kConflict, kPermissionDenied, kUnavailable (passing; retried inside already, within
/// a budget), kUnsupported, kInvalidInput (a bad key or URI).
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Streams; `size_hint` (0: unknown) chooses between one request and a multipart upload.
  virtual Result<std::unique_ptr<ObjectWriter>> create(const std::string& key, const PutOptions& options,
                                                       std::uint64_t size_hint) = 0;
  /// Reads the whole object, or `length` bytes from `offset`, in order, in pieces, on the caller's thread; false from
  /// `sink` stops early (no error). Large objects are fetched in parallel ranges with bounded memory.
  virtual Result<ObjectInfo> read(const std::string& key, std::uint64_t offset, std::optional<std::uint64_t> length,
                                  const std::function<bool(std::span<const std::byte>)>& sink) = 0;
  virtual Result<ObjectInfo> head(const std::string& key) = 0;
  virtual Result<void> remove(const std::string& key) = 0;  ///< Removing what is not there is no error.
  /// Objects whose key begins with `prefix`, in the order of their bytes; false from `visit` stops.
  virtual Result<void> list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) = 0;

  // ---- Publishing, design.md section 5 ----

  /// Prepares `uri` to show what is stored at `key`, without showing it: on S3 an open multipart upload filled by
  /// server-side copy, in a directory a link under a temporary name. Returns the upload, written down as text that any
  /// process with the same store can complete or abort. `uri`: "NAME/..." beneath the store's root, or
  /// "s3://BUCKET/KEY" on S3.
  virtual Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                                    const PutOptions& options) = 0;
  /// As stage(), for the URI, the size and under the condition of `upload`, which is gone.
  virtual Result<std::string> restage(const std::string& upload, const std::string& key, PutOptions options) = 0;
  /// Makes a staged upload visible. Idempotent: completing one that is visible already answers the same. Where an
  /// `if_absent` URI holds the same bytes already, whoever wrote them, it answers as if it had, and the upload is gone
  /// (on S3: where stage() was told the hash). A server without conditional writes is looked at first, which leaves a
  /// race of moments between writers of the same URI.
  /// Errors: kConflict: an `if_absent` URI holds other bytes; kNotFound: the upload is gone: it was aborted, or it was
  /// completed and another version has taken its place.
  virtual Result<ObjectInfo> complete(const std::string& upload) = 0;
  /// Gives a staged upload up. Idempotent; never undoes a completed one.
  virtual Result<void> abort(const std::string& upload) = 0;
  /// Where an asset's URI is in the world, for people and other tools: "s3://bucket/prefix/assets/NAME", "/path/...".
  virtual std::string locate(const std::string& uri) const = 0;
  /// The same of an object: "s3://bucket/prefix/objects/KEY", "/path/...".
  virtual std::string locate_object(const std::string& key) const = 0;
};

/// Where an object is that somebody named.
struct ObjectPlace {
  ObjectStore* store = nullptr;
  std::string key;
};

}  // namespace chappe
