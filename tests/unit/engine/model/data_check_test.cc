#include "engine/model/data_check.h"

#include <gmock/gmock.h>

namespace chappe {
namespace {

using ::testing::ElementsAre;

DataCheck whole_check() {
  ColumnExpectations age{.name = "age", .type = ColumnType::kInteger, .values = {0, 120}};
  age.allowed = {"1", "2"};
  age.pattern = "^[0-9]+$";
  age.unique = true;
  age.nulls = {{}, 0.01};
  age.distinct = {1, {}};
  age.mean = {20, 60};
  age.median = {20, {}};
  age.quantiles = {{0.9, {{}, 90}}, {0.995, {1, {}}}};
  DataCheck out{.sources = {"ingest.rows", "asset:a@b"}};
  out.data.push_back({0, {.format = DataFormat::kCsv, .rows = {1, {}}, .columns = {age}, .other_columns = false}});
  out.drift.push_back({0,
                       1,
                       {.current_format = DataFormat::kCsv,
                        .baseline_format = DataFormat::kJsonLines,
                        .columns = {"age", "Âge (years)"},
                        .method = DriftMethod::kKs,
                        .alpha = 0.05,
                        .optional = true}});
  return out;
}

TEST(DataCheck, ComesBackAsItWas) {
  const auto back = data_check_from(to_value(whole_check()), 2);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, whole_check());
}

TEST(DataCheck, FiguresHaveNamesOfTheirOwn) {
  EXPECT_THAT(metrics_of(whole_check()),
              ElementsAre("rows", "age_nulls", "age_distinct", "age_min", "age_max", "age_mean", "age_median",
                          "age_q90", "age_q99_5", "age_ks_p", "_ge__years__ks_p"));
  DataCheck twice = whole_check();
  twice.data.push_back(twice.data[0]);
  EXPECT_EQ(metrics_of(twice)[9], "rows_2");
  EXPECT_EQ(metrics_of(twice)[10], "age_nulls_2");
}

TEST(DataCheck, WhatIsNoneIsRefused) {
  const auto problem = [](auto change) {
    DataCheck check = whole_check();
    change(check);
    const auto back = data_check_from(to_value(check), 2);
    return back ? "" : back.error().message;
  };
  EXPECT_EQ(problem([](DataCheck&) {}), "");
  EXPECT_EQ(problem([](DataCheck& check) { check.data[0].input = 2; }), "a check of data: 'input' is none");
  EXPECT_EQ(problem([](DataCheck& check) { check.sources.pop_back(); }), "a check of data: 'sources' is none");
  EXPECT_EQ(problem([](DataCheck& check) { check.data[0].expected.format = DataFormat::kByName; }),
            "a check of data: 'format' is none");
  EXPECT_EQ(problem([](DataCheck& check) { check.drift[0].expected.max = 1; }), "a check of data: 'max' is none");
  EXPECT_EQ(problem([](DataCheck& check) { check.drift[0].expected.columns.clear(); }),
            "a check of data: 'columns' is none");
  EXPECT_EQ(problem([](DataCheck& check) { check = {.sources = {"a", "b"}}; }), "a check of data: 'data' is none");
}

TEST(DataCheck, HasBounds) {
  const auto fits = [](auto change) {
    DataCheck check = whole_check();
    change(check);
    return data_check_from(to_value(check), 2).has_value();
  };
  const auto columns = [&](std::size_t count) {
    return fits([&](DataCheck& check) {
      auto& all = check.data[0].expected.columns;
      all.assign(count, {.name = "a", .unique = true});
    });
  };
  EXPECT_TRUE(columns(kDataColumnsMax));
  EXPECT_FALSE(columns(kDataColumnsMax + 1));
  const auto sets = [&](std::size_t count) {
    return fits([&](DataCheck& check) { check.data.assign(count, {0, {.format = DataFormat::kCsv}}); });
  };
  EXPECT_TRUE(sets(kDataSetsMax));
  EXPECT_FALSE(sets(kDataSetsMax + 1));
  const auto allowed = [&](std::size_t count, std::size_t bytes) {
    return fits(
        [&](DataCheck& check) { check.data[0].expected.columns[0].allowed.assign(count, std::string(bytes, 'x')); });
  };
  EXPECT_TRUE(allowed(kAllowedValuesMax, kAllowedBytesMax));
  EXPECT_FALSE(allowed(kAllowedValuesMax + 1, 1));
  EXPECT_FALSE(allowed(1, kAllowedBytesMax + 1));
  const auto figures = [&](std::size_t of_columns) {  // Ten each, and a count of rows; the drift's two.
    return fits([&](DataCheck& check) {
      ColumnExpectations column = check.data[0].expected.columns[0];
      column.quantiles = {{0.1, {0, {}}}, {0.2, {0, {}}}, {0.3, {0, {}}}, {0.4, {0, {}}}};
      check.data[0].expected.columns.assign(of_columns, column);
    });
  };
  EXPECT_TRUE(figures(99));
  EXPECT_FALSE(figures(100));
}

TEST(DataFormat, IsToldByAName) {
  EXPECT_EQ(data_format_of("out/rows.csv"), DataFormat::kCsv);
  EXPECT_EQ(data_format_of("s3://a/ROWS.CSV.GZ"), DataFormat::kCsv);
  EXPECT_EQ(data_format_of("a.tab"), DataFormat::kTsv);
  EXPECT_EQ(data_format_of("a.jsonl.zst"), DataFormat::kJsonLines);
  EXPECT_EQ(data_format_of("a.parquet"), DataFormat::kByName);
  EXPECT_EQ(data_format_of(""), DataFormat::kByName);
}

}  // namespace
}  // namespace chappe
