/// \file
/// Figures of distributions, and how far two of them are apart. Pure; sums in the order of the values.
#pragma once

#include <span>
#include <vector>

#include "worker/data/sample.h"

namespace chappe::data {

/// An empty cell counts as this share in `psi`, which would be infinite else.
inline constexpr double kShareLeast = 0.0001;
/// Numbers are compared in cells between the deciles of the baseline.
inline constexpr std::size_t kCells = 10;

/// The value that this share of the numbers does not exceed, between two of them by linear interpolation (type 7 of
/// Hyndman and Fan, which R and NumPy take). Requires: sorted by value, not empty; 0 <= share <= 1.
double quantile(std::span<const Weighted> sorted, double share);

/// The limits between the cells: deciles, equal ones once.
std::vector<double> cell_limits(std::span<const Weighted> sorted);
/// How much of the numbers lies in each cell: up to the first limit, ..., above the last one. Requires: not empty.
std::vector<double> shares_of(std::span<const Weighted> sorted, std::span<const double> limits);

/// Population stability index: the sum over cells of (p - q) * ln(p / q). Requires: as many cells of both.
double psi(std::span<const double> current, std::span<const double> baseline);
/// sqrt(1 - sum of sqrt(p * q)), from 0 to 1. Requires: as many cells of both.
double hellinger(std::span<const double> current, std::span<const double> baseline);

/// The earth mover's distance, in the unit of the numbers. Requires: sorted, not empty.
double wasserstein(std::span<const Weighted> current, std::span<const Weighted> baseline);
/// The largest distance between the two cumulative shares: Kolmogorov's and Smirnov's statistic. Requires: the same.
double ks_statistic(std::span<const Weighted> current, std::span<const Weighted> baseline);
/// The chance that samples of so many numbers of one distribution are so far apart, or farther: the limit for large
/// samples, as R's ks.test(exact = FALSE). It is at most a little too large for small ones.
/// Requires: both sizes above zero.
double ks_chance(double statistic, double current_size, double baseline_size);

}  // namespace chappe::data
