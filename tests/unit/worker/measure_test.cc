// What data are expected to be like, and what is said where they are not.
#include "worker/data/measure.h"

#include <gmock/gmock.h>

#include "worker/data/statistics.h"

namespace chappe::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ReadFile text_of(std::string text) {
  return [text](TableReader& reader) -> Result<void> {
    auto read = reader.read(text);
    return read ? reader.finish() : read;
  };
}

/// All findings; those that do not hold begin with "!".
std::vector<std::string> findings(const DataExpectations& expected, const std::string& text) {
  FigureNames names;
  const auto found = measure(expected, names.of(expected), text_of(text));
  std::vector<std::string> out;
  for (const Finding& finding : found.value()) out.push_back((finding.holds ? "" : "!") + finding.text);
  return out;
}

std::vector<std::string> failures(const DataExpectations& expected, const std::string& text) {
  std::vector<std::string> out = findings(expected, text);
  std::erase_if(out, [](const std::string& each) { return !each.starts_with('!'); });
  return out;
}

DataExpectations csv(std::vector<ColumnExpectations> columns) {
  return {.format = DataFormat::kCsv, .columns = std::move(columns)};
}

TEST(Measure, CountsRows) {
  DataExpectations expected = csv({});
  expected.rows = {2, 3};
  EXPECT_THAT(findings(expected, "a\n1\n2\n"), ElementsAre("rows 2 (at least 2, at most 3)"));
  EXPECT_THAT(findings(expected, "a\n1\n"), ElementsAre("!rows 1 is below 2"));
  EXPECT_THAT(findings(expected, "a\n1\n2\n3\n4\n"), ElementsAre("!rows 4 is over 3"));
  EXPECT_THAT(findings(expected, ""), ElementsAre("!rows 0 is below 2"));
}

TEST(Measure, NamesAMissingColumnAndTheNearestOne) {
  EXPECT_THAT(failures(csv({{.name = "income"}}), "Income,b\n1,2\n"),
              ElementsAre("!there is no column 'income'; one is called 'Income'"));
  EXPECT_THAT(failures(csv({{.name = "income"}}), ""), ElementsAre("!there is no column 'income'"));
}

TEST(Measure, NamesColumnsThatNobodyExpects) {
  DataExpectations expected = csv({{.name = "a"}});
  expected.other_columns = false;
  EXPECT_THAT(failures(expected, "a\n1\n"), IsEmpty());
  EXPECT_THAT(failures(expected, "a,b\x01,c\n1,2,3\n"), ElementsAre("!columns that nobody expects: 'b\\x01', 'c'"));
  EXPECT_THAT(failures(expected, "a,b,c,d,e,f,g\n"),
              ElementsAre("!columns that nobody expects: 'b', 'c', 'd', 'e', 'f' and 1 more"));
}

TEST(Measure, NullsAreAShareOfTheRows) {
  const auto expected = csv({{.name = "a", .nulls = {{}, 0.25}}});
  EXPECT_THAT(failures(expected, "a,b\n1,x\n2,x\n3,x\n,x\n"), IsEmpty());
  EXPECT_THAT(failures(expected, "a,b\n1,x\n,x\n\"\",x\n"), ElementsAre("!nulls of a 0.666667 is over 0.25"));
}

TEST(Measure, CountsValuesThatAreNotAsTheyMustBe) {
  EXPECT_THAT(
      failures(csv({{.name = "a", .type = ColumnType::kInteger, .values = {0, 120}}}), "a\n5\n-4\nx\n121\n130\n1.5\n"),
      ElementsAre("!a: 2 values are no integer, the first in line 4", "!min of a -4 is below 0 (1 value is, in line 3)",
                  "!max of a 130 is over 120 (2 values are, the first in line 5)"));
  EXPECT_THAT(failures(csv({{.name = "a", .allowed = {"x", "y"}}}), "a\nx\nz\n"),
              ElementsAre("!a: 1 value is not among those allowed, in line 3"));
  EXPECT_THAT(failures(csv({{.name = "a", .pattern = "^[A-Z][0-9]$"}}), "a\nB2\nb2\nB22\n"),
              ElementsAre("!a: 2 values do not match the pattern, the first in line 3"));
  EXPECT_THAT(failures(csv({{.name = "a", .unique = true}}), "a,b\n1,x\n2,x\n1,x\n,x\n,x\n"),
              ElementsAre("!a: 1 value was there before, in line 4"));
}

TEST(Measure, AValueOfARowIsNeverTold) {
  const auto told = failures(csv({{.name = "a", .type = ColumnType::kDate, .allowed = {"x"}, .pattern = "x"}}),
                             "a\nMme Durand\nMme Durand\n");
  EXPECT_EQ(told.size(), 3U);
  for (const std::string& each : told) EXPECT_EQ(each.find("Durand"), std::string::npos) << each;
}

TEST(Measure, KnowsTypesOfTexts) {
  const auto fits = [](ColumnType type, std::string_view text) { return fits_type(type, {Cell::Kind::kText, text}); };
  EXPECT_TRUE(fits(ColumnType::kDate, "2028-02-29"));
  EXPECT_FALSE(fits(ColumnType::kDate, "2026-02-29"));
  EXPECT_FALSE(fits(ColumnType::kDate, "2026-2-9"));
  EXPECT_FALSE(fits(ColumnType::kDate, "20x6-02-09"));
  EXPECT_TRUE(fits(ColumnType::kBoolean, "TRUE"));
  EXPECT_FALSE(fits(ColumnType::kBoolean, "1"));
  EXPECT_TRUE(fits(ColumnType::kNumber, "-1.5e3"));
  for (const char* none : {"nan", "inf", "1,5", " 1", "0x10", "1e999", "1e141", ""}) {
    EXPECT_FALSE(fits(ColumnType::kNumber, none)) << none;
  }
  EXPECT_FALSE(fits(ColumnType::kInteger, "1.0"));
}

TEST(Measure, Csv2HasCommasBeforeDecimals) {
  const auto number = [](std::string_view text) { return number_of({Cell::Kind::kText, text, true}); };
  EXPECT_EQ(number("-1,5e3"), -1500);
  EXPECT_EQ(number("12"), 12);
  const std::string long_one = "1," + std::string(398, '0');
  EXPECT_EQ(number(long_one), 1);
  for (const std::string& none : {std::string("1.5"), std::string("1,2,3"), std::string("1 000,5"), long_one + "0"}) {
    EXPECT_FALSE(number(none)) << none;
  }
  DataExpectations expected = csv({{.name = "a", .values = {{}, 2}}});
  expected.format = DataFormat::kCsv2;
  EXPECT_THAT(failures(expected, "a;b\n1,5;x,y\n2,5;\n"), ElementsAre(testing::HasSubstr("max of a 2.5 is over 2")));
}

TEST(Measure, JsonKnowsItsOwnTypes) {
  DataExpectations expected{
      .format = DataFormat::kJsonLines,
      .columns = {{.name = "s", .type = ColumnType::kString}, {.name = "n", .type = ColumnType::kNumber}}};
  EXPECT_THAT(failures(expected, "{\"s\":\"1\",\"n\":1}\n{\"n\":null}\n"), IsEmpty());
  EXPECT_THAT(failures(expected, "{\"s\":1,\"n\":true}\n"),
              ElementsAre("!s: 1 value is no string, in line 1", "!n: 1 value is no number, in line 1"));
}

TEST(Measure, MeasuresFigures) {
  ColumnExpectations column{.name = "a"};
  column.distinct = {{}, 3};
  column.mean = {3, {}};
  column.median = {{}, 2};
  column.quantiles = {{0.9, {{}, 5}}};
  EXPECT_THAT(findings(csv({column}), "a\n1\n2\n3\n4\n"),
              ElementsAre("rows 4", "a is of type number", "!distinct of a 4 is over 3", "!mean of a 2.5 is below 3",
                          "!median of a 2.5 is over 2", "q90 of a 3.7 (at most 5)"));
  column.distinct = {};
  EXPECT_THAT(
      failures(csv({column}), "a\nx\n"),
      ElementsAre("!a: 1 value is no number, in line 2", "!mean of a cannot be told: there is no number",
                  "!median of a cannot be told: there is no number", "!q90 of a cannot be told: there is no number"));
}

TEST(Measure, SaysWhatIsNoTable) {
  EXPECT_THAT(failures(csv({{.name = "a"}}), "a\n1,2\n"),
              ElementsAre("!it is no csv: line 2: the row has 2 fields, and the first one has 1"));
}

TEST(Measure, AFileThatCannotBeReadIsNoVerdict) {
  const auto expected = csv({});
  const auto found =
      measure(expected, {}, [](TableReader&) -> Result<void> { return fail(ErrorCode::kUnavailable, "stopped"); });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message, "stopped");
}

TEST(DistinctSet, HasABoundOverAllColumns) {
  DistinctRoom room{.left = 3};
  DistinctSet a(room), b(room);
  EXPECT_EQ(a.add("1"), DistinctSet::Seen::kNew);
  EXPECT_EQ(a.add(""), DistinctSet::Seen::kNew);
  EXPECT_EQ(b.add("1"), DistinctSet::Seen::kNew);
  EXPECT_EQ(b.add("2"), DistinctSet::Seen::kNoRoom);
  EXPECT_EQ(a.add(""), DistinctSet::Seen::kBefore);
  EXPECT_EQ(a.count(), 2U);
}

TEST(DistinctSet, TellsShortAndLongTextsApart) {
  DistinctRoom room;
  DistinctSet set(room);
  std::uint64_t added = 0;
  for (std::size_t size = 0; size < 40; ++size) {
    for (int i = 0; i < 200; ++i) {
      const std::string text = std::string(size, 'x') + std::to_string(i) + std::string(1, '\0');
      EXPECT_EQ(set.add(text), DistinctSet::Seen::kNew);
      EXPECT_EQ(set.add(text), DistinctSet::Seen::kBefore);
      ++added;
    }
  }
  EXPECT_EQ(set.count(), added);
}

// ---- Drift ----

DriftExpectations drift(DriftMethod method, double max) {
  return {.current_format = DataFormat::kCsv,
          .baseline_format = DataFormat::kCsv,
          .columns = {"a"},
          .method = method,
          .max = max};
}

std::string drift_of(const DriftExpectations& expected, const std::string& current, const std::string& baseline) {
  FigureNames names;
  const auto found = measure(expected, names.of(expected), text_of(current), text_of(baseline));
  return (found.value()[0].holds ? "" : "!") + found.value()[0].text;
}

std::string column(const std::vector<std::pair<std::string, int>>& values) {
  std::string out = "a,b\n";
  for (const auto& [value, count] : values) {
    for (int i = 0; i < count; ++i) out += value + ",\n";
  }
  return out;
}

TEST(Drift, OfTextsIsByText) {
  const auto expected = drift(DriftMethod::kPsi, 0.1);
  // (0.7 - 0.5) * ln(0.7 / 0.5) + (0.3 - 0.5) * ln(0.3 / 0.5)
  EXPECT_EQ(drift_of(expected, column({{"x", 7}, {"y", 3}}), column({{"x", 5}, {"y", 5}})),
            "!psi of a 0.16946 is over 0.1; 10 values against 10 in 2 cells");
  EXPECT_EQ(drift_of(expected, column({{"x", 5}, {"y", 5}}), column({{"x", 50}, {"y", 50}})),
            "psi of a 0 (at most 0.1); 10 values against 100 in 2 cells");
  EXPECT_THAT(drift_of(expected, column({{"z", 5}}), column({{"x", 5}})), HasSubstr("in 2 cells"));
}

TEST(Drift, CodesWithZerosInFrontAreTexts) {
  EXPECT_EQ(
      drift_of(drift(DriftMethod::kHellinger, 0.5), column({{"01", 5}, {"02", 5}}), column({{"01", 5}, {"03", 5}})),
      "!hellinger of a 0.707107 is over 0.5; 10 values against 10 in 3 cells");
}

TEST(Drift, OfNumbersIsInDeviationsOfTheBaseline) {
  // Baseline 0 and 2: deviation 1. Current 1 and 3.
  EXPECT_EQ(drift_of(drift(DriftMethod::kWasserstein, 0.5), column({{"1", 5}, {"3", 5}}), column({{"0", 4}, {"2", 4}})),
            "!wasserstein of a 1 is over 0.5; 10 values against 8");
}

TEST(Drift, TheTestIsSharpenedForManyColumns) {
  DriftExpectations expected = drift(DriftMethod::kKs, 0);
  expected.max.reset();
  expected.alpha = 0.05;
  expected.columns = {"a", "b"};
  FigureNames names;
  const auto figures = names.of(expected);
  ASSERT_EQ(figures.size(), 2U);
  EXPECT_EQ(figures[0].metric, "a_ks_p");
  EXPECT_EQ(figures[0].limits, (Limits{0.025, {}}));
}

TEST(Drift, SaysWhyItCannotBeTold) {
  const auto psi_of = drift(DriftMethod::kPsi, 0.1);
  const auto one = column({{"1", 3}});
  EXPECT_EQ(drift_of(psi_of, "b\n1\n", one), "!psi of a cannot be told: there is no such column");
  EXPECT_EQ(drift_of(psi_of, one, "b\n1\n"), "!psi of a cannot be told: the baseline has no such column");
  EXPECT_EQ(drift_of(psi_of, column({{"", 3}}), one), "!psi of a cannot be told: there are no values");
  EXPECT_EQ(drift_of(psi_of, one, column({{"", 3}})), "!psi of a cannot be told: the baseline has no values");
  EXPECT_THAT(drift_of(psi_of, column({{"1", 2}, {"x", 1}}), one), HasSubstr("that in line 4 is none"));
  EXPECT_THAT(drift_of(drift(DriftMethod::kKs, 0.1), one, column({{"x", 1}})), HasSubstr("it is about numbers"));
  EXPECT_THAT(drift_of(drift(DriftMethod::kWasserstein, 0.1), one, one), HasSubstr("are all equal"));
  EXPECT_EQ(drift_of(psi_of, "a\n\"", one), "!it cannot be read: line 2: a quote is not closed");
}

TEST(Drift, HasABoundOfTexts) {
  std::string most = "a\n";
  for (std::size_t i = 0; i < kCategoriesMax; ++i) most += "x" + std::to_string(i) + "\n";
  EXPECT_EQ(drift_of(drift(DriftMethod::kPsi, 0.1), most, most),
            "psi of a 0 (at most 0.1); 10000 values against 10000 in 10000 cells");
  EXPECT_EQ(drift_of(drift(DriftMethod::kPsi, 0.1), most + "y\n", most),
            "!psi of a cannot be told: over 10000 different texts");
}

// ---- Messages ----

TEST(Message, SaysEveryFailureOnceItsSource) {
  const std::vector<std::pair<std::string, Finding>> all{
      {"in.a", {.holds = false, .text = "x"}}, {"in.a", {.text = "y"}}, {"in.b", {.holds = false, .text = "z"}}};
  EXPECT_EQ(message_of(all, 900), "2 of 3 expectations fail: in.a: x; in.b: z");
  EXPECT_EQ(message_of({all[1]}, 900), "1 expectation holds");
  EXPECT_EQ(message_of({all[0]}, 900), "in.a: x");
}

TEST(Message, IsBounded) {
  std::vector<std::pair<std::string, Finding>> all(kFailuresTold, {"in.a", {.holds = false, .text = "x"}});
  EXPECT_EQ(message_of(all, 900).find("more"), std::string::npos);
  all.push_back(all[0]);
  EXPECT_THAT(message_of(all, 900), ::testing::EndsWith("; x and 1 more"));
  const std::vector<std::pair<std::string, Finding>> long_ones(
      9, {"in.a", {.holds = false, .text = std::string(200, 'x')}});
  EXPECT_LE(message_of(long_ones, 900).size(), 900U);
  EXPECT_THAT(message_of(long_ones, 900), ::testing::EndsWith(" and 5 more"));
}

TEST(Message, ANameIsCutAndPrintable) {
  EXPECT_EQ(shown(std::string(kNameBytesTold, 'x')), std::string(kNameBytesTold, 'x'));
  EXPECT_EQ(shown(std::string(kNameBytesTold + 1, 'x')), std::string(kNameBytesTold, 'x') + "...");
  EXPECT_EQ(shown(std::string_view("a\nb\xff")), "a\\x0ab\\xff");
}

}  // namespace
}  // namespace chappe::data
