// How far columns of a file are from those of a baseline.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>

#include "storage/digest/digest.h"
#include "worker/data/measure.h"
#include "worker/data/statistics.h"

namespace chappe::data {
namespace {

constexpr std::size_t kTextKept = 64;  ///< Of a category; a longer one is told from others by its hash.

/// "007" is a code, and no number.
bool is_code(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// The values of one column in one of the files.
struct Side {
  bool there = false;
  std::uint64_t values = 0;  ///< That are not null.
  Misfits not_numbers;
  Numbers numbers;
  Sample sample;
  std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>> categories;
  bool too_many = false;  ///< More than kCategoriesMax categories.
  bool is_number() const { return values > 0 && not_numbers.count == 0; }

  void add(const Cell& cell, std::uint64_t line) {
    if (cell.is_null()) return;
    ++values;
    const auto number = is_code(cell.text) ? std::nullopt : number_of(cell);
    if (!number) not_numbers.add(line);
    if (number) numbers.add(*number);
    if (number) sample.add(*number);
    if (!too_many) count(cell.text);
  }

 private:
  void count(std::string_view text) {
    const std::string hash = text.size() > kTextKept ? to_hex(sha256(text)) : "";
    const std::string_view key = hash.empty() ? text : std::string_view(hash);
    const auto found = categories.find(key);
    if (found != categories.end()) {
      ++found->second;
    } else if (categories.size() < kCategoriesMax) {
      categories.emplace(key, 1);
    } else {
      too_many = true;
      categories.clear();
    }
  }
};

/// Errors: as the reader's.
Result<std::vector<Side>> sides_of(const std::vector<std::string>& names, DataFormat format, const ReadFile& read) {
  std::vector<Side> sides(names.size());
  std::vector<std::size_t> positions(names.size(), SIZE_MAX);
  std::size_t seen = 0;
  std::unique_ptr<TableReader> reader;
  const auto find_new = [&] {
    for (; seen < reader->columns().size(); ++seen) {
      const auto found = std::find(names.begin(), names.end(), reader->columns()[seen]);
      if (found == names.end()) continue;
      const auto at = static_cast<std::size_t>(found - names.begin());
      positions[at] = seen;
      sides[at].there = true;
    }
  };
  reader = TableReader::make(format, [&](const Row& row) -> Result<void> {
    find_new();
    for (std::size_t i = 0; i < sides.size(); ++i) {
      if (positions[i] < row.cells.size()) sides[i].add(row.cells[positions[i]], row.line);
    }
    return {};
  });
  if (auto done = read(*reader); !done) return fail(done.error());
  find_new();
  return sides;
}

/// What the figure is measured from: both as shares of the same cells.
struct Cells {
  std::vector<double> current, baseline;
};

Cells cells_of(const Side& current, const Side& baseline) {
  Cells out;
  if (baseline.is_number()) {
    const auto sorted = baseline.sample.sorted();
    const auto limits = cell_limits(sorted);
    out.baseline = shares_of(sorted, limits);
    out.current = shares_of(current.sample.sorted(), limits);
    return out;
  }
  std::map<std::string_view, std::pair<std::uint64_t, std::uint64_t>> counts;
  for (const auto& [text, count] : current.categories) counts[text].first = count;
  for (const auto& [text, count] : baseline.categories) counts[text].second = count;
  for (const auto& [text, both] : counts) {
    out.current.push_back(static_cast<double>(both.first) / static_cast<double>(current.values));
    out.baseline.push_back(static_cast<double>(both.second) / static_cast<double>(baseline.values));
  }
  return out;
}

class Comparing {
 public:
  Comparing(const DriftExpectations& expected, const FigureSpec& figure, const Side& current, const Side& baseline)
      : expected_(expected), figure_(figure), current_(current), baseline_(baseline) {}

  Finding finding() const {
    if (const std::string why = obstacle(); !why.empty()) {
      return {.holds = false, .text = fmt::format("{} cannot be told: {}", shown(figure_.what), why)};
    }
    const bool in_cells = expected_.method == DriftMethod::kPsi || expected_.method == DriftMethod::kHellinger;
    const Cells cells = in_cells ? cells_of(current_, baseline_) : Cells{};
    Finding out = finding_of(figure_, in_cells ? of_cells(cells) : of_numbers());
    out.text += fmt::format("; {} values against {}", current_.values, baseline_.values);
    if (in_cells) out.text += fmt::format(" in {} cells", cells.current.size());
    return out;
  }

 private:
  std::string obstacle() const {
    if (!baseline_.there) return "the baseline has no such column";
    if (!current_.there) return "there is no such column";
    if (baseline_.values == 0) return "the baseline has no values";
    if (current_.values == 0) return "there are no values";
    if (baseline_.is_number() && !current_.is_number()) {
      return fmt::format("numbers are compared with the baseline's, and that in line {} is none",
                         current_.not_numbers.first_line);
    }
    if (baseline_.is_number()) {
      const bool flat = expected_.method == DriftMethod::kWasserstein && baseline_.numbers.deviation() == 0;
      return flat ? "the baseline's values are all equal, and distances are told in their deviation" : "";
    }
    if (expected_.method == DriftMethod::kWasserstein || expected_.method == DriftMethod::kKs) {
      return fmt::format("it is about numbers, and that in line {} of the baseline is none",
                         baseline_.not_numbers.first_line);
    }
    if (baseline_.too_many || current_.too_many) return fmt::format("over {} different texts", kCategoriesMax);
    return "";
  }

  double of_cells(const Cells& cells) const {
    return expected_.method == DriftMethod::kPsi ? psi(cells.current, cells.baseline)
                                                 : hellinger(cells.current, cells.baseline);
  }

  double of_numbers() const {
    const auto current = current_.sample.sorted(), baseline = baseline_.sample.sorted();
    if (expected_.method == DriftMethod::kWasserstein) {
      return wasserstein(current, baseline) / baseline_.numbers.deviation();
    }
    const double statistic = ks_statistic(current, baseline);
    if (figure_.kind == FigureSpec::Kind::kDrift) return statistic;
    return ks_chance(statistic, static_cast<double>(current_.values), static_cast<double>(baseline_.values));
  }

  const DriftExpectations& expected_;
  const FigureSpec& figure_;
  const Side& current_;
  const Side& baseline_;
};

}  // namespace

Result<std::vector<Finding>> measure(const DriftExpectations& expected, const std::vector<FigureSpec>& figures,
                                     const ReadFile& read_current, const ReadFile& read_baseline) {
  const auto unreadable = [](std::string_view what, const Error& error) -> Result<std::vector<Finding>> {
    if (error.code != ErrorCode::kInvalidInput) return fail(error);
    return std::vector<Finding>{
        {.holds = false, .text = fmt::format("{} cannot be read: {}", what, shown_error(error.message))}};
  };
  const auto baseline = sides_of(expected.columns, expected.baseline_format, read_baseline);
  if (!baseline) return unreadable("the baseline", baseline.error());
  const auto current = sides_of(expected.columns, expected.current_format, read_current);
  if (!current) return unreadable("it", current.error());
  std::vector<Finding> out;
  for (const FigureSpec& figure : figures) {
    out.push_back(Comparing(expected, figure, (*current)[figure.column], (*baseline)[figure.column]).finding());
  }
  return out;
}

}  // namespace chappe::data
