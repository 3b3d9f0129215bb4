#include "scheduler/app/outside.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "engine/base/text.h"
#include "engine/ports/object_key.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;
using What = LookReported::What;

constexpr std::string_view kTooMany = "there are more than";
constexpr std::size_t kListBytesMax = std::size_t{4} << 20;  ///< Of what a fan-out is told of its objects.

LookReported there(const LookTarget& target, ValueMap found) {
  return {.target = target, .what = What::kThere, .found = std::move(found), .message = ""};
}
LookReported not_yet(const LookTarget& target, std::string message) {
  return {.target = target, .what = What::kNotYet, .found = {}, .message = std::move(message)};
}
LookReported refused(const LookTarget& target, std::string message) {
  return {.target = target, .what = What::kRefused, .found = {}, .message = std::move(message)};
}

/// What another look cannot change ends the wait; a store that is out of reach, or credentials that are too old, may.
LookReported failed(const LookTarget& target, const Error& error) {
  const bool for_good = error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported;
  return for_good ? refused(target, error.message) : not_yet(target, error.message);
}

Value size_value(std::uint64_t size) { return static_cast<std::int64_t>(size); }

SeenObject seen(const ObjectStore& store, const ObjectInfo& info) {
  return {info.key, store.locate_object(info.key), info.etag, info.store_version, info.size, info.modified_at};
}

/// The first object in the order of keys, or the one with this key.
Result<std::optional<ObjectInfo>> find_object(ObjectStore& store, const std::string& key) {
  if (!key.ends_with('/')) {
    auto info = store.head(key);
    if (!info && info.error().code == ErrorCode::kNotFound) return std::optional<ObjectInfo>();
    if (!info) return fail(std::move(info.error()));
    return std::optional(std::move(*info));
  }
  std::optional<ObjectInfo> first;
  auto listed = store.list(key, [&](const ObjectInfo& info) {
    if (info.key == key) return true;  // What marks a folder is nothing in it.
    first = info;
    return false;
  });
  if (!listed) return fail(std::move(listed.error()));
  return first;
}

bool is_beneath(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

fs::path without_slash(fs::path path) { return path.has_filename() || path == "/" ? path : path.parent_path(); }

}  // namespace

Outside::Outside(ObjectStore& objects, std::vector<fs::path> file_roots)
    : objects_(objects), file_roots_(std::move(file_roots)), http_({.proxy_of_environment = true, .guarded = true}) {
  for (fs::path& root : file_roots_) root = without_slash(root.lexically_normal());
}

LookReported Outside::look(const LookTarget& target) {
  switch (target.kind) {
    case LookTarget::Kind::kObject:
      return look_at_object(target);
    case LookTarget::Kind::kFile:
      return look_at_file(target);
    case LookTarget::Kind::kHttp:
      return look_at_url(target);
    case LookTarget::Kind::kListing:
      return list_objects(target);
    case LookTarget::Kind::kObjects:
      return list_once(target);
  }
  return refused(target, "nobody knows how to look at this");
}

LookReported Outside::look_at_object(const LookTarget& target) {
  const auto place = objects_.find(target.name);
  if (!place) return failed(target, place.error());
  const std::string& key = place->key;
  const auto fits = check_object_key(key.ends_with('/') ? std::string_view(key).substr(0, key.size() - 1) : key);
  if (!fits) return failed(target, fits.error());
  const auto found = find_object(*place->store, key);
  if (!found) return failed(target, found.error());
  if (!*found) return not_yet(target, "there is no such object");
  return there(target, {{"key", (*found)->key}, {"etag", (*found)->etag}, {"size", size_value((*found)->size)}});
}

/// One object, all beneath a prefix, or those that look as a pattern says.
LookReported Outside::list_objects(const LookTarget& target) {
  const auto place = objects_.find(target.name);
  if (!place) return failed(target, place.error());
  const std::string& key = place->key;
  LookReported report{.target = target, .what = What::kListed, .found = {}, .message = "", .objects = {}};
  if (!key.ends_with('/') && !is_pattern(key)) {
    auto info = place->store->head(key);
    if (info) report.objects.push_back(seen(*place->store, *info));
    return info || info.error().code == ErrorCode::kNotFound ? report : failed(target, info.error());
  }
  bool too_many = false;
  const auto listed = place->store->list(key.substr(0, key.find_first_of("*?")), [&](const ObjectInfo& info) {
    if (info.key.ends_with('/')) return true;  // What marks a folder is nothing in it.
    if (is_pattern(key) && !matches_pattern(info.key, key)) return true;
    too_many = report.objects.size() >= kSightingsMax;
    if (!too_many) report.objects.push_back(seen(*place->store, info));
    return !too_many;
  });
  if (!listed) return failed(target, listed.error());
  if (!too_many) return report;
  return not_yet(target, fmt::format("{} {} objects: nothing is news until there are fewer, or the trigger is about "
                                     "fewer",
                                     kTooMany, kSightingsMax));
}

/// The same for a fan-out, which is over what there is now.
LookReported Outside::list_once(const LookTarget& target) {
  const LookReported listed = list_objects(target);
  if (listed.what == What::kRefused) return listed;
  if (listed.what != What::kListed) {
    const bool too_many = listed.message.starts_with(kTooMany);
    return too_many ? refused(target, fmt::format("{} {} objects: a fan-out is over fewer", kTooMany, kSightingsMax))
                    : not_yet(target, listed.message);
  }
  ValueList objects;
  std::size_t bytes = 0;
  for (const SeenObject& object : listed.objects) {
    bytes += object.key.size() + object.uri.size() + object.etag.size();
    objects.emplace_back(
        ValueMap{{"key", object.key}, {"uri", object.uri}, {"etag", object.etag}, {"size", size_value(object.size)}});
  }
  if (bytes > kListBytesMax) {
    return refused(target, fmt::format("the names of all objects have more than {} bytes", kListBytesMax));
  }
  return there(target, {{"objects", std::move(objects)}});
}

LookReported Outside::look_at_file(const LookTarget& target) const {
  const fs::path path = fs::path(target.name).lexically_normal();
  const auto beneath = [](const fs::path& root, const fs::path& leaf) { return is_beneath(leaf, root); };
  const auto root =
      std::find_if(file_roots_.begin(), file_roots_.end(), [&](const fs::path& each) { return beneath(each, path); });
  if (root == file_roots_.end()) {
    return refused(target, fmt::format("'{}' is not beneath a directory that this scheduler was started with "
                                       "--wait-files for",
                                       target.name));
  }
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return not_yet(target, error.message());
  const fs::path real_root = fs::canonical(*root, error);
  if (error || !beneath(real_root, real)) {
    return refused(target, fmt::format("'{}' leads out of '{}'", target.name, root->string()));
  }
  struct stat info {};
  if (stat(real.c_str(), &info) != 0) return not_yet(target, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return not_yet(target, "it is no regular file");
  const WallTime modified{std::int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000};
  return there(target, {{"path", target.name},
                        {"size", size_value(static_cast<std::uint64_t>(info.st_size))},
                        {"modified_at", to_iso8601(modified)}});
}

LookReported Outside::look_at_url(const LookTarget& target) {
  using std::chrono::seconds;
  http::Request request{.url = target.name, .connect_timeout = seconds(5), .timeout = seconds(10)};
  request.body_bytes_max = std::size_t{1} << 20;
  request.sink_status = target.status;
  const auto answer = http_.stream(request, [](std::span<const std::byte>) { return false; });
  if (!answer && answer.error().code == ErrorCode::kPermissionDenied) return refused(target, answer.error().message);
  if (!answer) return not_yet(target, answer.error().message);
  if (answer->status != target.status) return not_yet(target, fmt::format("it answers with {}", answer->status));
  return there(target,
               {{"url", target.name}, {"status", std::int64_t{answer->status}}, {"etag", answer->header("etag")}});
}

}  // namespace chappe
