// Rows out of bytes: what is RFC 4180, what is null, where a mistake is, and that pieces make no difference.
#include "worker/data/table_reader.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace chappe::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Rows = std::vector<std::vector<std::string>>;

struct Table {
  std::vector<std::string> columns;
  Rows rows;  ///< Null as "NULL".
  std::vector<std::uint64_t> lines;
  std::string error;
};

Table read(DataFormat format, std::string_view text, std::size_t piece = 1'000'000) {
  Table out;
  const auto reader = TableReader::make(format, [&](const Row& row) -> Result<void> {
    std::vector<std::string> cells;
    for (const Cell& cell : row.cells) cells.emplace_back(cell.is_null() ? "NULL" : cell.text);
    out.rows.push_back(cells);
    out.lines.push_back(row.line);
    return {};
  });
  Result<void> done;
  for (std::size_t at = 0; at < text.size() && done; at += piece) done = reader->read(text.substr(at, piece));
  if (done) done = reader->finish();
  if (!done) out.error = done.error().message;
  out.columns = reader->columns();
  return out;
}

TEST(TableReader, ReadsQuotesLineBreaksAndNulls) {
  const std::string text =
      "\xEF\xBB\xBFid,\"a \"\"b\"\"\",c\r\n1,\"x,\r\ny\",\r\n\r\n2,\"\",plain \"quote\"\r\n3,,last";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, text.size()}) {
    const Table table = read(DataFormat::kCsv, text, piece);
    EXPECT_EQ(table.error, "");
    EXPECT_THAT(table.columns, ElementsAre("id", "a \"b\"", "c"));
    EXPECT_EQ(table.rows, (Rows{{"1", "x,\r\ny", "NULL"}, {"2", "NULL", "plain \"quote\""}, {"3", "NULL", "last"}}));
    EXPECT_THAT(table.lines, ElementsAre(2, 5, 6));
  }
}

TEST(TableReader, TakesEveryLineEnd) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const Table table = read(DataFormat::kTsv, "a\tb" + end + "1\t2" + end + end + "3\t4" + end, 1);
    EXPECT_EQ(table.rows, (Rows{{"1", "2"}, {"3", "4"}})) << end.size();
    EXPECT_THAT(table.lines, ElementsAre(2, 4));
  }
}

TEST(TableReader, Csv2HasSemicolons) {
  const Table table = read(DataFormat::kCsv2, "a;b\n1,5;\"x;y\"\n;2,25\n");
  EXPECT_THAT(table.columns, ElementsAre("a", "b"));
  EXPECT_EQ(table.rows, (Rows{{"1,5", "x;y"}, {"NULL", "2,25"}}));
}

TEST(TableReader, AFileMayBeEmptyOrHaveNamesOnly) {
  EXPECT_THAT(read(DataFormat::kCsv, "").columns, IsEmpty());
  EXPECT_THAT(read(DataFormat::kCsv, "a,b").columns, ElementsAre("a", "b"));
  EXPECT_EQ(read(DataFormat::kCsv, "\xEF\xBB\xBF").error, "");
  EXPECT_THAT(read(DataFormat::kCsv, "\xEF\xBBx\n", 1).columns, ElementsAre("\xEF\xBBx"));
  EXPECT_THAT(read(DataFormat::kJsonLines, "\n\n").rows, IsEmpty());
}

TEST(TableReader, SaysInWhichLineATableIsNone) {
  EXPECT_EQ(read(DataFormat::kCsv, "a,b\n1,2\n3\n").error, "line 3: the row has 1 fields, and the first one has 2");
  EXPECT_EQ(read(DataFormat::kCsv, "a,a\n").error, "line 1: two columns have one name");
  EXPECT_EQ(read(DataFormat::kCsv, "a\n1\n\"2\n\n").error, "line 3: a quote is not closed");
  EXPECT_EQ(read(DataFormat::kCsv, "a\n\"1\n2\"x\n").error, "line 3: something follows the quote that closes a field");
}

TEST(TableReader, ReadsAnObjectALine) {
  const Table table = read(DataFormat::kJsonLines, "{\"a\": 1, \"b\": \"x\"}\r\n\n{\"c\": [true], \"a\": null}", 3);
  EXPECT_EQ(table.error, "");
  EXPECT_THAT(table.columns, ElementsAre("a", "b", "c"));
  EXPECT_EQ(table.rows, (Rows{{"1", "x"}, {"NULL", "NULL", "[true]"}}));
  EXPECT_THAT(table.lines, ElementsAre(1, 3));
  EXPECT_EQ(read(DataFormat::kJsonLines, "{}\n[1]\n").error, "line 2: an object is expected, not a array");
  EXPECT_THAT(read(DataFormat::kJsonLines, "{}\n{\"a\": }\n").error, HasSubstr("line 2: "));
}

TEST(TableReader, ARowHasABound) {
  const std::string most(kRowBytesMax, 'x');
  EXPECT_EQ(read(DataFormat::kCsv, "a\n" + most + "\n").error, "");
  EXPECT_EQ(read(DataFormat::kCsv, "a\n" + most + "x\n", 4096).error, "line 2: the row has over 16 MiB");
  EXPECT_EQ(read(DataFormat::kCsv, "a\n\"" + most + "x\"\n", 4096).error, "line 2: the row has over 16 MiB");
  EXPECT_EQ(read(DataFormat::kJsonLines, most + "x\n", 4096).error, "line 1: the row has over 16 MiB");
}

TEST(TableReader, AFileHasABoundOfColumns) {
  const auto header = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += (i == 0 ? "c" : ",c") + std::to_string(i);
    return out + "\n";
  };
  EXPECT_EQ(read(DataFormat::kCsv, header(kFileColumnsMax)).error, "");
  EXPECT_EQ(read(DataFormat::kCsv, header(kFileColumnsMax + 1)).error, "line 1: over 10000 columns");
  std::string objects = "{\"c0\":1";
  for (std::size_t i = 1; i < kFileColumnsMax; ++i) objects += ",\"c" + std::to_string(i) + "\":1";
  objects += "}\n";
  EXPECT_EQ(read(DataFormat::kJsonLines, objects).error, "");
  EXPECT_EQ(read(DataFormat::kJsonLines, objects + "{\"one more\":1}\n").error, "line 2: over 10000 columns");
}

}  // namespace
}  // namespace chappe::data
