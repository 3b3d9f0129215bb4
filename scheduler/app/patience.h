/// \file
/// What the loop asks its store for again where that failed: after a growing rest, and with a word once in a while.
#pragma once

#include <algorithm>

#include "engine/base/time.h"

namespace chappe {

class Patience {
 public:
  static constexpr Duration kRestMin = std::chrono::seconds(1);
  static constexpr Duration kRestMax = std::chrono::minutes(1);
  static constexpr Duration kWordEvery = std::chrono::minutes(1);

  bool rests(MonoTime now) const { return failed_ && now < until_; }
  /// It failed again. True: it is time to say so.
  bool failed(MonoTime now) {
    rest_ = failed_ ? std::min(rest_ * 2, Duration(kRestMax)) : Duration(kRestMin);
    failed_ = true;
    until_ = now + rest_;
    if (said_ && now < said_at_ + kWordEvery) return false;
    said_ = true;
    said_at_ = now;
    return true;
  }
  void went_well() { failed_ = false; }
  /// When to ask again, at the latest `otherwise`.
  MonoTime until(MonoTime otherwise) const { return failed_ ? std::min(until_, otherwise) : otherwise; }

 private:
  bool failed_ = false;
  bool said_ = false;  ///< Kept when it goes well: what fails now and then is as loud.
  Duration rest_{};
  MonoTime until_;
  MonoTime said_at_;
};

}  // namespace chappe
