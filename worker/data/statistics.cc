#include "worker/data/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace chappe::data {
namespace {

double total_of(std::span<const Weighted> sorted) {
  std::uint64_t total = 0;
  for (const Weighted& each : sorted) total += each.weight;
  return static_cast<double>(total);
}

/// Calls `take(from, to, F, G)` for each stretch between neighbouring values, where the cumulative shares are F and G.
template <typename Take>
void walk(std::span<const Weighted> a, std::span<const Weighted> b, Take take) {
  const double a_total = total_of(a), b_total = total_of(b);
  double a_below = 0, b_below = 0;
  std::size_t i = 0, k = 0;
  while (i < a.size() || k < b.size()) {
    const bool from_a = k == b.size() || (i < a.size() && a[i].value <= b[k].value);
    const double at = from_a ? a[i].value : b[k].value;
    for (; i < a.size() && a[i].value == at; ++i) a_below += static_cast<double>(a[i].weight);
    for (; k < b.size() && b[k].value == at; ++k) b_below += static_cast<double>(b[k].weight);
    double next = at;
    if (i < a.size()) next = a[i].value;
    if (k < b.size()) next = i < a.size() ? std::min(next, b[k].value) : b[k].value;
    take(at, next, a_below / a_total, b_below / b_total);
  }
}

}  // namespace

double quantile(std::span<const Weighted> sorted, double share) {
  std::uint64_t count = 0;
  for (const Weighted& each : sorted) count += each.weight;
  const double rank = share * static_cast<double>(count - 1);
  const auto lower = static_cast<std::uint64_t>(rank);
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    before += sorted[i].weight;
    if (before <= lower) continue;
    const double value = sorted[i].value;
    if (before > lower + 1 || i + 1 == sorted.size()) return value;
    return value + (rank - static_cast<double>(lower)) * (sorted[i + 1].value - value);
  }
  return sorted.back().value;
}

std::vector<double> cell_limits(std::span<const Weighted> sorted) {
  std::vector<double> out;
  for (std::size_t i = 1; i < kCells; ++i) {
    const double limit = quantile(sorted, static_cast<double>(i) / kCells);
    if (out.empty() || out.back() != limit) out.push_back(limit);
  }
  return out;
}

std::vector<double> shares_of(std::span<const Weighted> sorted, std::span<const double> limits) {
  std::vector<double> out(limits.size() + 1);
  std::size_t cell = 0;
  for (const Weighted& each : sorted) {
    while (cell < limits.size() && each.value > limits[cell]) ++cell;
    out[cell] += static_cast<double>(each.weight);
  }
  const double total = total_of(sorted);
  for (double& share : out) share /= total;
  return out;
}

double psi(std::span<const double> current, std::span<const double> baseline) {
  double sum = 0;
  for (std::size_t i = 0; i < current.size(); ++i) {
    const double p = std::max(current[i], kShareLeast), q = std::max(baseline[i], kShareLeast);
    sum += (p - q) * std::log(p / q);
  }
  return sum;
}

double hellinger(std::span<const double> current, std::span<const double> baseline) {
  double sum = 0;
  for (std::size_t i = 0; i < current.size(); ++i) {
    const double distance = std::sqrt(current[i]) - std::sqrt(baseline[i]);
    sum += distance * distance;
  }
  return std::sqrt(sum / 2);  // The same as with 1 - sum(sqrt(p * q)), and exact where both are equal.
}

double wasserstein(std::span<const Weighted> current, std::span<const Weighted> baseline) {
  double sum = 0;
  walk(current, baseline, [&](double from, double to, double f, double g) { sum += (to - from) * std::abs(f - g); });
  return sum;
}

double ks_statistic(std::span<const Weighted> current, std::span<const Weighted> baseline) {
  double largest = 0;
  walk(current, baseline, [&](double, double, double f, double g) { largest = std::max(largest, std::abs(f - g)); });
  return largest;
}

/// Kolmogorov's distribution by the series that converges fast on either side. Source: Marsaglia, Tsang and Wang,
/// "Evaluating Kolmogorov's distribution", J. Stat. Softw. 8 (2003). Boost.Math has it from 1.75 on; Debian 12
/// has 1.74.
double ks_chance(double statistic, double current_size, double baseline_size) {
  constexpr double kPi = std::numbers::pi;
  const double x = statistic * std::sqrt(current_size * baseline_size / (current_size + baseline_size));
  if (x < 0.04) return 1;  // Below, it is 1 in a double.
  double sum = 0;
  if (x < 1) {
    for (int k = 1; k < 20; k += 2) sum += std::exp(-k * k * kPi * kPi / (8 * x * x));
    return 1 - std::sqrt(2 * kPi) / x * sum;
  }
  for (int k = 1; k < 20; ++k) sum += (k % 2 == 1 ? 2 : -2) * std::exp(-2.0 * k * k * x * x);
  return sum;
}

}  // namespace chappe::data
