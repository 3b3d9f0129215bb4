#include "tests/simulation/objects.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/base/assert.h"
#include "storage/digest/digest.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {

Objects::Trouble Objects::trouble() {
  if (lives_ && (*lives_ == 0 || --*lives_ == 0)) return Trouble::kBefore;
  if (outage_) return Trouble::kBefore;
  if (world_.happens(Fault::kObjectUnavailable)) return Trouble::kBefore;
  return world_.happens(Fault::kObjectTimeout) ? Trouble::kAfter : Trouble::kNone;
}

/// For some seconds at a time.
bool Objects::refuses() const {
  constexpr std::int64_t kSpell = 30'000'000;
  const bool does = world_.plan.refuses && !world_.healed() && (world_.time.now().us / kSpell) % 2 == 0;
  if (does) world_.saw(Sight::kRemovalRefused);
  return does;
}

Objects::Upload* Objects::find(const std::string& upload) {
  std::size_t position = 0;
  const auto [end, error] = std::from_chars(upload.data() + 1, upload.data() + upload.size(), position);
  CHAPPE_ASSERT(error == std::errc() && position < uploads_.size());
  return &uploads_[position];
}

const Objects::Upload* Objects::shown_at(const std::string& uri) const {
  const auto found = shown_.find(uri);
  return found == shown_.end() ? nullptr : &uploads_[found->second];
}

Result<void> Objects::put(const std::string& key, const std::string& sha256) {
  const Trouble trouble = this->trouble();
  if (trouble == Trouble::kBefore) return unavailable();
  world_.laws.object_stored(key);
  objects_[key] = {sha256, 1};
  if (trouble == Trouble::kAfter) return unavailable();
  return {};
}

Result<OutputObject> Objects::put_value(const std::string& key, const std::string& name, const std::string& json) {
  OutputObject object{.name = value_object_name(name), .key = key, .size = json.size(), .sha256 = to_hex(sha256(json))};
  if (auto stored = put(key, object.sha256); !stored) return chappe::fail(stored.error());
  objects_.at(key).size = json.size();
  objects_.at(key).text = json;
  return object;
}

Result<std::string> Objects::get(const std::string& key) {
  if (trouble() != Trouble::kNone) return unavailable();
  const auto found = objects_.find(key);
  if (found == objects_.end()) return fail(ErrorCode::kNotFound, key + " is not there");
  return found->second.sha256;
}

Result<std::unique_ptr<ObjectWriter>> Objects::create(const std::string&, const PutOptions&, std::uint64_t) {
  return fail(ErrorCode::kUnsupported, "programs of a simulation use put()");
}

Result<ObjectInfo> Objects::read(const std::string& key, std::uint64_t, std::optional<std::uint64_t>,
                                 const std::function<bool(std::span<const std::byte>)>& sink) {
  auto found = head(key);
  if (found) sink(std::as_bytes(std::span(objects_.at(key).text)));
  return found;
}

Result<ObjectInfo> Objects::head(const std::string& key) {
  const auto got = get(key);
  if (!got) return fail(got.error());
  return ObjectInfo{.key = key, .size = objects_.at(key).size, .etag = *got};
}

Result<void> Objects::remove(const std::string& key) {
  const Trouble trouble = this->trouble();
  if (trouble == Trouble::kBefore) return unavailable();
  if (refuses()) return fail(ErrorCode::kPermissionDenied, key + " is not ours to remove");
  if (objects_.erase(key) > 0) world_.laws.object_removed(key);
  if (trouble == Trouble::kAfter) return unavailable();
  return {};
}

Result<void> Objects::list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) {
  for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it) {
    if (!visit({.key = it->first, .size = it->second.size})) break;
  }
  return {};
}

Result<std::string> Objects::stage(const std::string& key, std::uint64_t, const std::string& uri,
                                   const PutOptions& options) {
  const Trouble trouble = this->trouble();
  if (trouble == Trouble::kBefore) return unavailable();
  const auto object = objects_.find(key);
  if (object == objects_.end()) return fail(ErrorCode::kNotFound, key + " is not there");
  Upload& upload = uploads_.emplace_back();
  upload.uri = uri;
  upload.key = key;
  upload.sha256 = object->second.sha256;
  upload.if_absent = options.if_absent;
  if (trouble == Trouble::kAfter) return unavailable();
  return fmt::format("u{}", uploads_.size() - 1);
}

Result<std::string> Objects::restage(const std::string& upload, const std::string& key, PutOptions options) {
  const Upload before = *find(upload);
  options.if_absent = before.if_absent;
  world_.saw(Sight::kPublishRestaged);
  return stage(key, 1, before.uri, options);
}

Result<ObjectInfo> Objects::complete(const std::string& upload) {
  const Trouble trouble = this->trouble();
  if (trouble == Trouble::kBefore) return unavailable();
  auto shown = show(*find(upload));
  if (trouble == Trouble::kAfter) return unavailable();
  return shown;
}

Result<ObjectInfo> Objects::show(Upload& upload) {
  ObjectInfo info{.key = upload.key, .size = 1, .etag = upload.sha256};
  const auto place = shown_.find(upload.uri);
  if (upload.state != Upload::State::kOpen) {
    // Uploads of one object bear one mark: what another of them showed is recognised.
    const bool ours = place != shown_.end() && uploads_[place->second].key == upload.key;
    return ours ? Result<ObjectInfo>(std::move(info)) : fail(ErrorCode::kNotFound, "the upload is gone");
  }
  if (place != shown_.end() && upload.if_absent) {
    if (uploads_[place->second].sha256 != upload.sha256) return fail(ErrorCode::kConflict, "something else is there");
    upload.state = Upload::State::kGone;
    return info;
  }
  if (place != shown_.end()) uploads_[place->second].state = Upload::State::kReplaced;
  upload.state = Upload::State::kShown;
  shown_[upload.uri] = static_cast<std::size_t>(&upload - uploads_.data());
  world_.laws.shown(upload.uri, upload.key);
  return info;
}

Result<void> Objects::abort(const std::string& upload) {
  const Trouble trouble = this->trouble();
  if (trouble == Trouble::kBefore) return unavailable();
  Upload& open = *find(upload);
  if (open.state == Upload::State::kOpen) open.state = Upload::State::kGone;
  if (trouble == Trouble::kAfter) return unavailable();
  return {};
}

void Objects::sweep() {
  for (Upload& upload : uploads_) {
    if (upload.state != Upload::State::kOpen || !world_.chance.one_in(2)) continue;
    upload.state = Upload::State::kGone;
    world_.saw(Sight::kUploadSwept);
    return;
  }
}

}  // namespace chappe::simulation
