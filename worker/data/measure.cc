#include "worker/data/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/text.h"
#include "worker/data/statistics.h"

namespace chappe::data {
namespace {

using Kind = FigureSpec::Kind;

std::string told(const Misfits& misfits, std::string_view one, std::string_view many) {
  return misfits.count == 1
             ? fmt::format("1 value {}, in line {}", one, misfits.first_line)
             : fmt::format("{} values {}, the first in line {}", misfits.count, many, misfits.first_line);
}

/// The columns of one file, beside what is expected of them.
class Measuring {
 public:
  Measuring(const DataExpectations& expected, const std::vector<FigureSpec>& figures)
      : expected_(expected), figures_(figures) {
    columns_.reserve(expected.columns.size());
    for (const ColumnExpectations& column : expected.columns) columns_.emplace_back(column, room_);
    positions_.resize(columns_.size(), kNowhere);
  }

  void take(const std::vector<std::string>& names, const Row& row) {
    find_new(names);
    ++rows_;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const bool has = positions_[i] < row.cells.size();
      columns_[i].add(has ? row.cells[positions_[i]] : Cell{}, row.line);
    }
  }

  std::vector<Finding> findings(const std::vector<std::string>& names) {
    find_new(names);
    for (const FigureSpec& figure : figures_) {
      if (figure.kind == Kind::kRows) out_.push_back(finding_of(figure, static_cast<double>(rows_)));
    }
    for (std::uint32_t i = 0; i < columns_.size(); ++i) judge_column(i, names);
    if (!expected_.other_columns) judge_others(names);
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kNowhere = SIZE_MAX;

  void find_new(const std::vector<std::string>& names) {
    for (; names_seen_ < names.size(); ++names_seen_) {
      for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (expected_.columns[i].name == names[names_seen_]) positions_[i] = names_seen_;
      }
    }
  }

  void judge_column(std::uint32_t i, const std::vector<std::string>& names) {
    const ColumnExpectations& expected = expected_.columns[i];
    const Column& column = columns_[i];
    const std::string name = shown(expected.name);
    if (positions_[i] == kNowhere) {
      const auto near = names.size() <= kDataColumnsMax ? nearest(expected.name, names) : std::nullopt;
      return say(false, fmt::format("there is no column '{}'{}", name,
                                    near ? fmt::format("; one is called '{}'", shown(*near)) : ""));
    }
    if (column.type() != ColumnType::kAny) {
      const std::string_view type = name_of(column.type());
      say(column.of_type, fmt::format("{} is of type {}", name, type), name + ": ", fmt::format("is no {}", type),
          fmt::format("are no {}", type));
    }
    if (!expected.allowed.empty()) {
      say(column.not_allowed, fmt::format("{} is one of {} values", name, expected.allowed.size()), name + ": ",
          "is not among those allowed", "are not among those allowed");
    }
    if (!expected.pattern.empty()) {
      say(column.no_match, fmt::format("{} matches its pattern", name), name + ": ", "does not match the pattern",
          "do not match the pattern");
    }
    if (expected.unique && column.no_room) {
      say(false,
          fmt::format("{}: whether it is unique cannot be told of over {} different values", name, kDistinctMax));
    } else if (expected.unique) {
      say(column.again, fmt::format("{} is unique", name), name + ": ", "was there before", "were there before");
    }
    for (const FigureSpec& figure : figures_) {
      if (figure.kind != Kind::kRows && figure.column == i) judge_figure(figure, column);
    }
  }

  void judge_figure(const FigureSpec& figure, const Column& column) {
    const bool of_numbers = figure.kind != Kind::kNulls && figure.kind != Kind::kDistinct;
    if (of_numbers && column.numbers.count == 0) {
      return say(false, fmt::format("{} cannot be told: there is no number", shown(figure.what)));
    }
    if (figure.kind == Kind::kDistinct && column.no_room) {
      return say(false, fmt::format("{} cannot be told: they are over {}", shown(figure.what), kDistinctMax));
    }
    std::string more;
    if (figure.kind == Kind::kMin && column.below.count > 0) more = told(column.below, "is", "are");
    if (figure.kind == Kind::kMax && column.above.count > 0) more = told(column.above, "is", "are");
    out_.push_back(finding_of(figure, value_of(figure, column), more));
  }

  double value_of(const FigureSpec& figure, const Column& column) const {
    switch (figure.kind) {
      case Kind::kNulls:
        return rows_ == 0 ? 0 : static_cast<double>(column.nulls) / static_cast<double>(rows_);
      case Kind::kDistinct:
        return static_cast<double>(column.distinct());
      case Kind::kMin:
        return column.numbers.min;
      case Kind::kMax:
        return column.numbers.max;
      case Kind::kMean:
        return column.numbers.mean;
      case Kind::kMedian:
        return quantile(column.sample.sorted(), 0.5);
      case Kind::kQuantile:
        return quantile(column.sample.sorted(), figure.quantile);
      default:
        return 0;
    }
  }

  void judge_others(const std::vector<std::string>& names) {
    std::vector<std::string> others;
    for (const std::string& name : names) {
      const bool named = std::any_of(expected_.columns.begin(), expected_.columns.end(),
                                     [&](const ColumnExpectations& column) { return column.name == name; });
      if (!named) others.push_back(fmt::format("'{}'", shown(name)));
    }
    if (others.empty()) return say(true, "there are no other columns");
    const std::size_t more = others.size() - std::min(others.size(), kNamesTold);
    others.resize(others.size() - more);
    say(false, fmt::format("columns that nobody expects: {}{}", fmt::join(others, ", "),
                           more > 0 ? fmt::format(" and {} more", more) : ""));
  }

  void say(bool holds, std::string text) { out_.push_back({.holds = holds, .text = std::move(text)}); }
  void say(const Misfits& misfits, std::string well, const std::string& name, std::string_view one,
           std::string_view many) {
    say(misfits.count == 0, misfits.count == 0 ? std::move(well) : name + told(misfits, one, many));
  }

  const DataExpectations& expected_;
  const std::vector<FigureSpec>& figures_;
  DistinctRoom room_;
  std::vector<Column> columns_;
  std::vector<std::size_t> positions_;  ///< By expected column: that in the file.
  std::size_t names_seen_ = 0;
  std::uint64_t rows_ = 0;
  std::vector<Finding> out_;
};

}  // namespace

std::string shown(std::string_view name) {
  std::size_t size = 0;
  while (size < name.size()) {
    const std::size_t next = std::max<std::size_t>(1, character_length(name.substr(size)));
    if (size + next > kNameBytesTold) return printable(name.substr(0, size)) + "...";
    size += next;
  }
  return printable(name);
}

std::string shown_error(std::string_view message) {
  constexpr std::size_t kErrorBytesTold = 200;
  return printable(message.substr(0, kErrorBytesTold));
}

std::string shown(double number) {
  const bool whole = std::trunc(number) == number && std::abs(number) < 1e15;
  return whole ? fmt::format("{:.0f}", number) : fmt::format("{:.6g}", number);
}

Finding finding_of(const FigureSpec& figure, double value, const std::string& more) {
  const Limits& limits = figure.limits;
  Finding out{limits.hold(value), {}, figure.metric, value, limits};
  std::string held;
  if (limits.min) held = "at least " + shown(*limits.min);
  if (limits.max) held += fmt::format("{}at most {}", held.empty() ? "" : ", ", shown(*limits.max));
  const std::string what = fmt::format("{} {}", shown(figure.what), shown(value));
  if (out.holds) {
    out.text = held.empty() ? what : fmt::format("{} ({})", what, held);
    return out;
  }
  const bool below = limits.min && value < *limits.min;
  out.text = fmt::format("{} is {} {}{}", what, below ? "below" : "over", shown(below ? *limits.min : *limits.max),
                         more.empty() ? "" : fmt::format(" ({})", more));
  return out;
}

Result<std::vector<Finding>> measure(const DataExpectations& expected, const std::vector<FigureSpec>& figures,
                                     const ReadFile& read) {
  Measuring measuring(expected, figures);
  std::unique_ptr<TableReader> reader;
  reader = TableReader::make(expected.format, [&](const Row& row) -> Result<void> {
    measuring.take(reader->columns(), row);
    return {};
  });
  const Result<void> done = read(*reader);
  if (done) return measuring.findings(reader->columns());
  if (done.error().code != ErrorCode::kInvalidInput) return fail(done.error());
  return std::vector<Finding>{
      {.holds = false,
       .text = fmt::format("it is no {}: {}", name_of(expected.format), shown_error(done.error().message))}};
}

std::string message_of(const std::vector<std::pair<std::string, Finding>>& by_source, std::size_t bytes_max) {
  std::size_t failures = 0, told = 0;
  for (const auto& [source, finding] : by_source) failures += finding.holds ? 0 : 1;
  if (failures == 0 && by_source.size() == 1) return "1 expectation holds";
  if (failures == 0) return fmt::format("{} expectations hold", by_source.size());
  std::string out = failures == 1 ? "" : fmt::format("{} of {} expectations fail: ", failures, by_source.size());
  std::string_view last;
  for (const auto& [source, finding] : by_source) {
    if (finding.holds) continue;
    std::string piece = told == 0 ? "" : "; ";
    if (!source.empty() && (told == 0 || last != source)) piece += source + ": ";
    piece += finding.text;
    constexpr std::size_t kRest = 20;  // " and 1000 more"
    if (told == kFailuresTold || out.size() + piece.size() + kRest > bytes_max) break;
    out += piece;
    ++told;
    last = source;
  }
  if (told < failures) out += fmt::format(" and {} more", failures - told);
  return out.substr(0, bytes_max);
}

}  // namespace chappe::data
