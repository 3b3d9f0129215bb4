/// \file
/// What attempts read and write: objects with a hash, assets with versions, values. Plain values.
///
/// Every output is an immutable object under a key of its attempt; consumers are handed exact keys and hashes. An
/// output with an asset is, besides, *published* at the asset's URI when its attempt has won; the asset version keeps
/// naming the immutable object, so that it can be read again years later whatever stands at the URI by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/value.h"

namespace chappe {

/// One object that an attempt wrote, as its manifest names it.
struct OutputObject {
  std::string name;        ///< The artifact's.
  std::string key;         ///< Of the immutable object, from the object store's root.
  std::uint64_t size = 0;  ///< Bytes as stored.
  std::string sha256;      ///< 64 hex digits, of the bytes as stored.
  bool packed = false;     ///< A directory, stored as tar.zst.
  std::string etag;        ///< The store's; "" where it has none.
  std::string asset_uri;   ///< "" for an artifact of the run only.
  std::string asset_name;  ///< Short name for aliases; "" for none.
  std::string upload;      ///< The open upload at asset_uri, as the object store wrote it down; "" when none is.
  bool operator==(const OutputObject&) const = default;
};

struct NamedValue {
  std::string name;
  Value value;
  bool metric = false;
  bool operator==(const NamedValue&) const = default;
};

inline constexpr std::size_t kInlineValueMax = std::size_t{64} << 10;    ///< Bytes of a value's JSON in a row.
inline constexpr std::size_t kValueMax = std::size_t{8} << 20;           ///< The same of one in an object.
inline constexpr std::uint64_t kRunValuesMax = std::uint64_t{64} << 20;  ///< Of all that one run has in objects.

/// A value that is too large for a row is an object among its attempt's outputs, under this name: fenced, dropped and
/// verified as they are. No artifact's name has a dot.
std::string value_object_name(std::string_view value);
/// The value that such an object holds; nullopt: it is an artifact.
std::optional<std::string> value_in_object(std::string_view object_name);

/// An asset version, once its URI shows it or while it is about to.
struct AssetVersion {
  AssetVersionId id;
  std::string uri;
  std::string name;  ///< Short name; "" for none.
  std::string key;   ///< Immutable object.
  std::uint64_t size = 0;
  std::string sha256;
  bool packed = false;
  InstanceKey producer;
  AttemptId attempt;
  std::string artifact;       ///< Its name in the producing task.
  std::string etag;           ///< Of the object at the URI; "" until published, or where the store has none.
  std::string store_version;  ///< The bucket's version id; "" where it keeps none.
  WallTime created_at;        ///< When the attempt's commit named it.
  WallTime published_at;      ///< When the URI showed it; not set before.
  bool operator==(const AssetVersion&) const = default;
};

/// One object handed to an attempt. Of one that Chappe need not have made (`s3`) only that is known before it is read,
/// and whoever reads it tells the rest.
struct InputObject {
  std::string name;  ///< The input's.
  std::string path;  ///< Where it is placed in the work directory.
  std::string key;   ///< Immutable object to read; "": it is `text`, or `s3`.
  std::string text;  ///< Of a value that is in no object.
  std::uint64_t size = 0;
  std::string sha256;
  bool packed = false;
  AssetVersionId asset;  ///< 0 unless it is a version of an asset.
  InstanceKey producer;  ///< Who wrote it.
  AttemptId producer_attempt;
  std::string s3 = {};             ///< To be read: its name, see check_object_name(). Once it was: its URI.
  bool may_be_absent = false;      ///< Of `s3`: then nothing is placed.
  std::string etag = {};           ///< Of what was read from `s3`; "" where the store has none.
  std::string store_version = {};  ///< The bucket's version id of that; "" where it keeps none.
  bool operator==(const InputObject&) const = default;
};

/// The text as one segment of a key or a path: characters outside [A-Za-z0-9._=-] are written as %XX.
std::string path_segment(std::string_view text);

/// Where all objects of a run's attempts live: `runs/DAG/RUN/`.
std::string run_prefix(std::string_view dag, const RunId& run);

/// Where an attempt's objects live: `runs/DAG/RUN/TASK[/KEY]/ATTEMPT/`. Never reused, so nothing is overwritten.
/// Each part is a path_segment().
std::string attempt_prefix(std::string_view dag, const RunId& run, std::string_view task, std::string_view map_key,
                           AttemptId attempt);

}  // namespace chappe
