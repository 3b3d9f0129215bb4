#include "storage/open/measured_object_store.h"

#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace chappe {
namespace {

using Clock = std::chrono::steady_clock;

/// One operation: "read", "write" ...
class Operation {
 public:
  Operation(metrics::Registry& registry, std::string name)
      : registry_(registry),
        name_(std::move(name)),
        ok_(counter("ok")),
        seconds_(registry.seconds("chappe_object_store_seconds", "How long operations on the object store take.",
                                  {{"operation", name_}})) {}

  /// Carries `call` out.
  template <typename Call>
  auto measure(const Call& call) const {
    const auto began = Clock::now();
    return count(began, call());
  }

  template <typename T>
  Result<T> count(Clock::time_point began, Result<T> result) const {
    seconds_.observe(std::chrono::duration<double>(Clock::now() - began).count());
    (result ? ok_ : counter(std::string(name_of(result.error().code)))).add();
    return result;
  }

 private:
  metrics::Counter counter(const std::string& result) const {
    return registry_.counter("chappe_object_store_requests_total", "Operations on the object store, by how they went.",
                             {{"operation", name_}, {"result", result}});
  }

  metrics::Registry& registry_;
  const std::string name_;
  const metrics::Counter ok_;
  const metrics::Seconds seconds_;
};

/// An upload is one operation, from its first byte to its last.
class MeasuredWriter final : public ObjectWriter {
 public:
  MeasuredWriter(std::unique_ptr<ObjectWriter> writer, const Operation& operation, Clock::time_point began)
      : writer_(std::move(writer)), operation_(operation), began_(began) {}
  Result<void> write(std::span<const std::byte> bytes) override { return writer_->write(bytes); }
  Result<StoredObject> finish() override { return operation_.count(began_, writer_->finish()); }

 private:
  std::unique_ptr<ObjectWriter> writer_;
  const Operation& operation_;
  const Clock::time_point began_;
};

class MeasuredObjectStore final : public ObjectStore {
 public:
  MeasuredObjectStore(std::unique_ptr<ObjectStore> store, metrics::Registry& registry)
      : store_(std::move(store)), registry_(registry) {}

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& key, const PutOptions& options,
                                               std::uint64_t size_hint) override {
    const auto began = Clock::now();
    auto writer = store_->create(key, options, size_hint);
    if (!writer) return write_.count(began, std::move(writer));
    return std::make_unique<MeasuredWriter>(*std::move(writer), write_, began);
  }
  Result<ObjectInfo> read(const std::string& key, std::uint64_t offset, std::optional<std::uint64_t> length,
                          const std::function<bool(std::span<const std::byte>)>& sink) override {
    return read_.measure([&] { return store_->read(key, offset, length, sink); });
  }
  Result<ObjectInfo> head(const std::string& key) override {
    return head_.measure([&] { return store_->head(key); });
  }
  Result<void> remove(const std::string& key) override {
    return remove_.measure([&] { return store_->remove(key); });
  }
  Result<void> list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    return list_.measure([&] { return store_->list(prefix, visit); });
  }
  Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                            const PutOptions& options) override {
    return stage_.measure([&] { return store_->stage(key, size, uri, options); });
  }
  Result<std::string> restage(const std::string& upload, const std::string& key, PutOptions options) override {
    return stage_.measure([&] { return store_->restage(upload, key, std::move(options)); });
  }
  Result<ObjectInfo> complete(const std::string& upload) override {
    return complete_.measure([&] { return store_->complete(upload); });
  }
  Result<void> abort(const std::string& upload) override {
    return abort_.measure([&] { return store_->abort(upload); });
  }
  std::string locate(const std::string& uri) const override { return store_->locate(uri); }
  std::string locate_object(const std::string& key) const override { return store_->locate_object(key); }

 private:
  std::unique_ptr<ObjectStore> store_;
  metrics::Registry& registry_;
  const Operation write_{registry_, "write"};
  const Operation read_{registry_, "read"};
  const Operation head_{registry_, "head"};
  const Operation remove_{registry_, "remove"};
  const Operation list_{registry_, "list"};
  const Operation stage_{registry_, "stage"};
  const Operation complete_{registry_, "complete"};
  const Operation abort_{registry_, "abort"};
};

}  // namespace

std::unique_ptr<ObjectStore> measure(std::unique_ptr<ObjectStore> store, metrics::Registry& registry) {
  return std::make_unique<MeasuredObjectStore>(std::move(store), registry);
}

}  // namespace chappe
