#include "worker/data/sample.h"

#include <algorithm>

namespace chappe::data {

void Sample::add(double number) {
  if (levels_.empty()) levels_.emplace_back();
  if (levels_[0].numbers.size() == kSampleExact) compact(0);
  levels_[0].numbers.push_back(number);
  ++count_;
}

void Sample::compact(std::size_t level) {
  if (level + 1 == levels_.size()) levels_.emplace_back();
  if (levels_[level + 1].numbers.size() + kSampleExact / 2 > kSampleExact) compact(level + 1);
  std::vector<double>& from = levels_[level].numbers;
  std::sort(from.begin(), from.end());
  for (std::size_t i = levels_[level].odd ? 1 : 0; i < from.size(); i += 2) {
    levels_[level + 1].numbers.push_back(from[i]);
  }
  levels_[level].odd = !levels_[level].odd;
  from.clear();
}

std::vector<Weighted> Sample::sorted() const {
  std::vector<Weighted> out;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (const double number : levels_[level].numbers) out.push_back({number, std::uint64_t{1} << level});
  }
  std::sort(out.begin(), out.end(), [](const Weighted& a, const Weighted& b) { return a.value < b.value; });
  return out;
}

}  // namespace chappe::data
