#include "scheduler/api/allowances.h"

#include <algorithm>

namespace chappe::api {
namespace {

const std::string kAllOthers;

}  // namespace

double Allowances::left_in(const Bucket& bucket, MonoTime now) const {
  const auto rested = static_cast<double>((now - bucket.at).count());
  return std::min(rate_.burst, bucket.left + rested / static_cast<double>(rate_.one_more.count()));
}

Allowances::Bucket& Allowances::bucket_of(const std::string& key, MonoTime now) {
  const auto known = buckets_.find(key);
  if (known != buckets_.end()) return known->second;
  if (buckets_.size() >= rate_.keys_max) {
    std::erase_if(buckets_, [&](const auto& entry) { return left_in(entry.second, now) >= rate_.burst; });
  }
  const std::string& place = buckets_.size() < rate_.keys_max ? key : kAllOthers;
  return buckets_.try_emplace(place, Bucket{rate_.burst, now}).first->second;
}

bool Allowances::take(const std::string& key, MonoTime now) {
  Bucket& bucket = bucket_of(key, now);
  bucket = {left_in(bucket, now), now};
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  return true;
}

}  // namespace chappe::api
