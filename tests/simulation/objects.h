/// \file
/// The object store as a value: objects, uploads that are open, and what each URI shows. Fails as a real one may.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/lineage/objects.h"
#include "engine/ports/object_store.h"

namespace chappe::simulation {

class World;

class Objects final : public ObjectStore {
 public:
  struct Object {
    std::string sha256;
    std::uint64_t size = 0;
    std::string text = {};  ///< Of one that somebody reads for what it says.
  };
  struct Upload {
    enum class State : std::uint8_t { kOpen, kShown, kReplaced, kGone } state = State::kOpen;
    std::string uri;
    std::string key;
    std::string sha256;
    bool if_absent = false;
  };

  explicit Objects(World& world) : world_(world) {}

  /// What an attempt stores. Errors: kUnavailable.
  Result<void> put(const std::string& key, const std::string& sha256);
  /// A value that is too large to be told. Errors: kUnavailable.
  Result<OutputObject> put_value(const std::string& key, const std::string& name, const std::string& json);
  /// The bytes of an object. Errors: kUnavailable, kNotFound.
  Result<std::string> get(const std::string& key);

  Result<std::unique_ptr<ObjectWriter>> create(const std::string&, const PutOptions&, std::uint64_t) override;
  Result<ObjectInfo> read(const std::string&, std::uint64_t, std::optional<std::uint64_t>,
                          const std::function<bool(std::span<const std::byte>)>&) override;
  Result<ObjectInfo> head(const std::string& key) override;
  Result<void> remove(const std::string& key) override;
  Result<void> list(const std::string&, const std::function<bool(const ObjectInfo&)>&) override;
  Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                            const PutOptions& options) override;
  Result<std::string> restage(const std::string& upload, const std::string& key, PutOptions options) override;
  Result<ObjectInfo> complete(const std::string& upload) override;
  Result<void> abort(const std::string& upload) override;
  std::string locate(const std::string& uri) const override { return uri; }
  std::string locate_object(const std::string& key) const override { return key; }

  // ---- Faults ----
  void outage(bool on) { outage_ = on; }
  /// Requests are carried out; after `count` of them their process is dead, and they do nothing any more.
  void die_after(std::uint32_t count) { lives_ = count; }
  bool died() const { return lives_ == 0; }
  void live() { lives_.reset(); }
  /// Aborts one of the open uploads, as a bucket's rule does.
  void sweep();

  // ---- For those who check ----
  const std::map<std::string, Object>& objects() const { return objects_; }
  const std::vector<Upload>& uploads() const { return uploads_; }
  /// The upload that the URI shows; null where it shows nothing.
  const Upload* shown_at(const std::string& uri) const;

 private:
  enum class Trouble : std::uint8_t { kNone, kBefore, kAfter };
  Trouble trouble();
  bool refuses() const;
  Upload* find(const std::string& upload);
  static Failure unavailable() { return fail(ErrorCode::kUnavailable, "the object store is out of reach"); }
  Result<ObjectInfo> show(Upload& upload);

  World& world_;
  std::map<std::string, Object> objects_;
  std::vector<Upload> uploads_;               ///< Named by their position.
  std::map<std::string, std::size_t> shown_;  ///< By URI.
  bool outage_ = false;
  std::optional<std::uint32_t> lives_;
};

}  // namespace chappe::simulation
