/// \file
/// The distribution of a column's numbers, in bounded memory and without chance: equal numbers in equal order give an
/// equal sample.
///
/// Up to kSampleExact numbers it is exact. Beyond, it is a sketch of levels: what stands on level L counts 2^L times.
/// A level that is full is sorted, and every second of its numbers goes up a level, those at even and at odd positions
/// by turns. Each time that moves a rank by at most 2^L, so that of n numbers no rank is off by more than
/// n * log2(n / kSampleExact) / kSampleExact: by 0.02 % of a billion, and less in practice, because turns make up for
/// each other. Minimum, maximum, mean and counts are exact always.
/// Source: Manku, Rajagopalan and Lindsay, "Approximate medians and other quantiles in one pass", SIGMOD 1998.
#pragma once

#include <cstdint>
#include <vector>

namespace chappe::data {

inline constexpr std::size_t kSampleExact = std::size_t{1} << 16;

struct Weighted {
  double value = 0;
  std::uint64_t weight = 1;  ///< So many numbers it stands for.
  bool operator==(const Weighted&) const = default;
};

class Sample {
 public:
  void add(double number);  ///< Requires: finite.
  std::uint64_t count() const { return count_; }
  /// All it stands for, by value; the weights sum up to count().
  std::vector<Weighted> sorted() const;

 private:
  struct Level {
    std::vector<double> numbers;
    bool odd = false;  ///< Which go up the next time.
  };
  void compact(std::size_t level);

  std::vector<Level> levels_;
  std::uint64_t count_ = 0;
};

}  // namespace chappe::data
