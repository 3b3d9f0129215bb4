#include "storage/open/named_objects.h"

#include <fmt/format.h>

#include <string_view>

#include "storage/open/object_stores.h"

namespace chappe {

Result<ObjectPlace> NamedObjects::find(const std::string& name) {
  constexpr std::string_view kS3 = "s3://";
  if (!name.starts_with(kS3)) return ObjectPlace{&own_, name};
  const std::size_t slash = name.find('/', kS3.size());
  if (slash == std::string::npos) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' has no key: s3://BUCKET/KEY", name));
  }
  const auto opened = bucket(name.substr(kS3.size(), slash - kS3.size()));
  if (!opened) return fail(opened.error());
  return ObjectPlace{*opened, name.substr(slash + 1)};
}

Result<ObjectStore*> NamedObjects::bucket(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto known = buckets_.find(name);
  if (known != buckets_.end()) return known->second.get();
  if (buckets_.size() >= kBucketsMax) {
    return fail(ErrorCode::kUnsupported, fmt::format("objects in {} buckets are looked at already", buckets_.size()));
  }
  auto opened = open_bucket(name);
  if (!opened) return fail(std::move(opened.error()));
  return (buckets_[name] = std::move(*opened)).get();
}

}  // namespace chappe
