// Figures beside those of SciPy 1.17 and NumPy, for
//   a = [((i*7919) % 1000) / 10 for i in range(300)]; b = [((i*6007) % 997) / 12 + 5 for i in range(250)]
#include "worker/data/statistics.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

namespace chappe::data {
namespace {

Sample sample_of(std::size_t count, double (*number)(std::size_t)) {
  Sample out;
  for (std::size_t i = 0; i < count; ++i) out.add(number(i));
  return out;
}

const std::vector<Weighted>& current() {
  static const auto kSorted =
      sample_of(300, [](std::size_t i) { return static_cast<double>((i * 7919) % 1000) / 10; }).sorted();
  return kSorted;
}

const std::vector<Weighted>& baseline() {
  static const auto kSorted =
      sample_of(250, [](std::size_t i) { return static_cast<double>((i * 6007) % 997) / 12 + 5; }).sorted();
  return kSorted;
}

TEST(Statistics, QuantilesAreNumPys) {  // numpy.quantile(b, ...)
  EXPECT_NEAR(quantile(baseline(), 0.5), 44.708333333333336, 1e-12);
  EXPECT_NEAR(quantile(baseline(), 0.9), 78.94166666666666, 1e-12);
  EXPECT_NEAR(quantile(baseline(), 0.333), 30.22925, 1e-12);
  EXPECT_EQ(quantile(baseline(), 0), baseline().front().value);
  EXPECT_EQ(quantile(baseline(), 1), baseline().back().value);
  EXPECT_EQ(quantile(std::vector<Weighted>{{7, 1}}, 0.9), 7);
}

TEST(Statistics, CellsAreBetweenDecilesOfTheBaseline) {
  const auto limits = cell_limits(baseline());
  ASSERT_EQ(limits.size(), kCells - 1);
  const auto p = shares_of(current(), limits), q = shares_of(baseline(), limits);
  // numpy: searchsorted(unique(quantile(b, arange(1, 10) / 10)), x, side='left'), shares below 0.0001 raised to it.
  EXPECT_NEAR(psi(p, q), 0.12457058979678698, 1e-12);
  EXPECT_NEAR(hellinger(p, q), 0.12424628432544167, 1e-12);
}

TEST(Statistics, EqualDecilesMakeOneCell) {
  Sample flags;
  for (int i = 0; i < 100; ++i) flags.add(i < 65 ? 0 : 1);
  const auto limits = cell_limits(flags.sorted());
  EXPECT_THAT(limits, ::testing::ElementsAre(0, 1));
  EXPECT_THAT(shares_of(flags.sorted(), limits), ::testing::ElementsAre(0.65, 0.35, 0));
}

TEST(Statistics, AnEmptyCellIsNoInfinity) {
  const std::vector<double> all{1, 0}, none{0, 1};
  EXPECT_NEAR(psi(all, none), 2 * (1 - kShareLeast) * std::log(1 / kShareLeast), 1e-9);
  EXPECT_DOUBLE_EQ(hellinger(all, none), 1);
  EXPECT_EQ(psi(all, all), 0);
  EXPECT_EQ(hellinger(all, all), 0);
}

TEST(Statistics, DistancesAreSciPys) {
  EXPECT_NEAR(wasserstein(current(), baseline()), 5.99671111111111, 1e-9);  // scipy.stats.wasserstein_distance(a, b)
  EXPECT_NEAR(ks_statistic(current(), baseline()), 0.12333333333333334, 1e-12);  // ks_2samp(a, b).statistic
  EXPECT_EQ(wasserstein(current(), current()), 0);
  EXPECT_EQ(ks_statistic(current(), current()), 0);
}

TEST(Statistics, ChancesAreSciPys) {
  // scipy.special.kolmogorov(sqrt(300 * 250 / 550) * 0.12333333333333334)
  EXPECT_NEAR(ks_chance(0.12333333333333334, 300, 250), 0.031576515865046055, 1e-12);
  // scipy.special.kolmogorov(x), on both sides of where the series change
  const std::pair<double, double> known[] = {{0.3, 0.9999906941986655},    {0.5, 0.9639452436648751},
                                             {0.9, 0.3927307079406543},    {1.0, 0.26999967167735456},
                                             {1.36, 0.049485876755377876}, {2.0, 0.0006709252557796953}};
  for (const auto& [x, p] : known) EXPECT_NEAR(ks_chance(x, 2, 2), p, 1e-12) << x;
  EXPECT_EQ(ks_chance(0, 10, 10), 1);
  EXPECT_NEAR(ks_chance(1, 1e9, 1e9), 0, 1e-12);
}

TEST(Sample, IsExactUpToItsBound) {
  Sample sample;
  for (std::size_t i = 0; i < kSampleExact; ++i) sample.add(static_cast<double>((i * 7919) % kSampleExact));
  EXPECT_EQ(sample.sorted().size(), kSampleExact);
  EXPECT_EQ(quantile(sample.sorted(), 0.25), 0.25 * (kSampleExact - 1));
  sample.add(0);
  EXPECT_EQ(sample.sorted().size(), kSampleExact / 2 + 1);
}

TEST(Sample, BeyondNoRankIsFartherOffThanItSays) {
  constexpr std::size_t kCount = 3'000'000;
  for (const bool rising : {true, false}) {
    Sample sample;
    for (std::size_t i = 0; i < kCount; ++i) {
      sample.add(static_cast<double>(rising ? i : (i * 1'000'003) % kCount));
    }
    const auto sorted = sample.sorted();
    EXPECT_LE(sorted.size(), 8 * kSampleExact);
    std::uint64_t weights = 0;
    for (const Weighted& each : sorted) weights += each.weight;
    EXPECT_EQ(weights, kCount);
    const double off_max = kCount * std::log2(static_cast<double>(kCount) / kSampleExact) / kSampleExact;
    for (const double share : {0.001, 0.1, 0.5, 0.9, 0.999}) {
      EXPECT_NEAR(quantile(sorted, share), share * kCount, off_max + 1) << share;
    }
  }
}

}  // namespace
}  // namespace chappe::data
