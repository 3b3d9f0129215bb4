// Files of data, which come from anywhere: the first line is the format and the length of the pieces that it comes in.
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "tests/fuzz/target.h"
#include "worker/data/measure.h"

namespace chappe::fuzz {
namespace {

using data::Cell;
using data::TableReader;

/// Null and an empty text are one in a table.
using Texts = std::vector<std::string>;

struct Table {
  Texts columns;
  std::vector<Texts> rows;
  std::string error;
  bool operator==(const Table&) const = default;
};

Result<void> feed(TableReader& reader, std::string_view text, std::size_t piece) {
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    if (auto read = reader.read(text.substr(0, piece)); !read) return read;
  }
  return reader.finish();
}

Table read(DataFormat format, std::string_view text, std::size_t piece) {
  Table out;
  std::uint64_t line = 0;
  std::unique_ptr<TableReader> reader;
  reader = TableReader::make(format, [&](const data::Row& row) -> Result<void> {
    CHAPPE_ASSERT(row.line > line && row.cells.size() <= reader->columns().size());
    line = row.line;
    Texts& cells = out.rows.emplace_back();
    for (const Cell& cell : row.cells) {
      CHAPPE_ASSERT(cell.is_null() == cell.text.empty() || format == DataFormat::kJsonLines);
      cells.emplace_back(cell.text);
    }
    return {};
  });
  if (const auto done = feed(*reader, text, piece); !done) {
    check_error(done.error());
    CHAPPE_ASSERT(done.error().code == ErrorCode::kInvalidInput && done.error().message.starts_with("line "));
    out.error = done.error().message;
  }
  out.columns = reader->columns();
  return out;
}

std::string quoted(const Texts& cells) {
  std::string out;
  for (const std::string& cell : cells) {
    out += out.empty() ? "\"" : ",\"";
    for (const char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    out += '"';
  }
  return out + "\r\n";
}

/// Written as RFC 4180 says, a table is read as it was.
void check_written(const Table& table) {
  std::string text = quoted(table.columns);
  for (const Texts& row : table.rows) text += quoted(row);
  CHAPPE_ASSERT(read(DataFormat::kCsv, text, text.size() + 1) == table);
}

/// Whatever is measured of it, what is said is bounded and can be shown.
void check_verdict(DataFormat format, std::string_view text) {
  ColumnExpectations a{.name = "a", .type = ColumnType::kInteger, .values = {0, 9}};
  a.unique = true;
  a.nulls.max = 0;
  a.median.max = 5;
  DataExpectations expected{.format = format, .rows = {1, 2}, .columns = {a}, .other_columns = false};
  FigureNames names;
  const data::ReadFile bytes = [&](TableReader& reader) { return feed(reader, text, text.size() + 1); };
  std::vector<std::pair<std::string, data::Finding>> all;
  const auto take = [&](const Result<std::vector<data::Finding>>& found) {
    CHAPPE_ASSERT(found && !found->empty());
    for (const data::Finding& finding : *found) {
      CHAPPE_ASSERT(std::isfinite(finding.value) && printable(finding.text) == finding.text);
      all.emplace_back("data", finding);
    }
  };
  take(data::measure(expected, names.of(expected), bytes));
  for (const DriftMethod method :
       {DriftMethod::kPsi, DriftMethod::kHellinger, DriftMethod::kWasserstein, DriftMethod::kKs}) {
    const DriftExpectations drift{
        .current_format = format, .baseline_format = format, .columns = {"a"}, .method = method, .max = 0};
    const auto found = data::measure(drift, names.of(drift), bytes, bytes);
    take(found);
    for (const data::Finding& finding : *found) {
      CHAPPE_ASSERT(finding.metric.empty() || std::abs(finding.value) < 1e-9);  // It is compared with itself.
    }
  }
  CHAPPE_ASSERT(data::message_of(all, 900).size() <= 900);
}

}  // namespace

FUZZ_TARGET(table) {
  std::string_view head = take_until(input, '\n');
  const std::string_view name = take_until(head, ' ');
  const DataFormat format = name == "tsv"          ? DataFormat::kTsv
                            : name == "json_lines" ? DataFormat::kJsonLines
                                                   : DataFormat::kCsv;
  std::size_t piece = 1;
  (void)std::from_chars(head.data(), head.data() + head.size(), piece);
  const Table whole = read(format, input, input.size() + 1);
  CHAPPE_ASSERT(read(format, input, std::max<std::size_t>(piece, 1)) == whole);
  if (format != DataFormat::kJsonLines && whole.error.empty() && !whole.columns.empty()) check_written(whole);
  check_verdict(format, input);
}

}  // namespace chappe::fuzz
