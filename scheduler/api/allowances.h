/// \file
/// So many at once, and then so many over time, for each key: token buckets, of which there is a bounded number.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "engine/base/time.h"

namespace chappe::api {

class Allowances {
 public:
  struct Rate {
    double burst = 10;    ///< At once, after a long rest.
    Duration one_more{};  ///< How long it takes until there is one more.
    std::size_t keys_max = 4'096;
  };
  explicit Allowances(Rate rate) : rate_(rate) {}

  /// True, and one is used up; false where none is left. Past `keys_max` keys that are not at rest, all others share
  /// one allowance: strangers cannot make the table grow.
  bool take(const std::string& key, MonoTime now);
  std::size_t keys() const { return buckets_.size(); }

 private:
  struct Bucket {
    double left = 0;
    MonoTime at;
  };
  double left_in(const Bucket& bucket, MonoTime now) const;
  Bucket& bucket_of(const std::string& key, MonoTime now);

  Rate rate_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace chappe::api
