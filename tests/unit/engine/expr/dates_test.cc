// Dates in expressions by example: each function, each rule, each mistake.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/expr/expression.h"
#include "engine/expr/types.h"

namespace chappe::expr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A run of a DAG in Berlin.
class BerlinScope : public Scope {
 public:
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] != "run") return std::nullopt;
    return Value(ValueMap{{"date", "2026-11-20"}, {"logical_time", "2026-11-19T23:30:00.000000Z"}});
  }
  const calendar::Zone& zone() const override { return *zone_; }

 private:
  calendar::ZonePtr zone_ = calendar::Zone::find("Europe/Berlin").value();
};

/// The result as JSON, or the mistake and its place.
std::string told(std::string_view text) {
  auto parsed = Expression::parse(text);
  if (!parsed) return fmt::format("at {}: {}", parsed.error().offset, parsed.error().message);
  auto value = parsed->evaluate(BerlinScope());
  return value ? to_json(*value) : "error: " + value.error().message;
}

TEST(Dates, AreReckonedWithByTheCalendar) {
  EXPECT_EQ(told("date_add(run.date, -7, 'days')"), "\"2026-11-13\"");
  EXPECT_EQ(told("date_add(run.date, 1, 'week')"), "\"2026-11-27\"");
  EXPECT_EQ(told("date_add('2026-12-31', 1, 'day')"), "\"2027-01-01\"");
  EXPECT_EQ(told("date_add('2024-12-31', -1, 'quarter')"), "\"2024-09-30\"");
}

TEST(Dates, AMonthWithoutThatDayEndsWithItsLast) {
  EXPECT_EQ(told("date_add('2026-01-31', 1, 'month')"), "\"2026-02-28\"");
  EXPECT_EQ(told("date_add('2024-01-31', 1, 'month')"), "\"2024-02-29\"");
  EXPECT_EQ(told("date_add('2024-02-29', 1, 'year')"), "\"2025-02-28\"");
  EXPECT_EQ(told("date_add('2026-03-31', -1, 'month')"), "\"2026-02-28\"");
}

TEST(Dates, BeginAndEndWithTheirUnit) {
  EXPECT_EQ(told("start_of(date_add(run.date, -1, 'month'), 'month')"), "\"2026-10-01\"");
  EXPECT_EQ(told("end_of(date_add(run.date, -1, 'month'), 'month')"), "\"2026-10-31\"");
  EXPECT_EQ(told("start_of(run.date, 'week')"), "\"2026-11-16\"");
  EXPECT_EQ(told("end_of(run.date, 'week')"), "\"2026-11-22\"");
  EXPECT_EQ(told("start_of(run.date, 'quarter')"), "\"2026-10-01\"");
  EXPECT_EQ(told("end_of(run.date, 'year')"), "\"2026-12-31\"");
  EXPECT_THAT(told("end_of(run.date, 'day')"), HasSubstr("there are week, month, quarter and year"));
}

TEST(Dates, TheDaysOfATimeAreThoseOfTheDagsZone) {
  EXPECT_EQ(told("date(run.logical_time)"), "\"2026-11-20\"");
  EXPECT_EQ(told("date(run.logical_time, 'UTC')"), "\"2026-11-19\"");
  EXPECT_EQ(told("strftime(run.logical_time, '%Y-%m-%d %H:%M')"), "\"2026-11-20 00:30\"");
  EXPECT_EQ(told("start_of(run.logical_time, 'day')"), "\"2026-11-19T23:00:00.000000Z\"");
  EXPECT_EQ(told("in_zone(run.date)"), "\"2026-11-20T00:00:00+01:00\"");
}

TEST(Dates, ATimeWithAnOffsetIsLookedAtWithIt) {
  EXPECT_EQ(told("in_zone(run.logical_time, 'Asia/Tokyo')"), "\"2026-11-20T08:30:00+09:00\"");
  EXPECT_EQ(told("strftime(in_zone(run.logical_time, 'Asia/Tokyo'), '%H')"), "\"08\"");
  EXPECT_EQ(told("in_zone(run.logical_time, 'UTC')"), "\"2026-11-19T23:30:00+00:00\"");
  EXPECT_EQ(told("strftime(in_zone(run.logical_time, 'UTC'), '%H')"), "\"23\"");
}

TEST(Dates, ADayIsAsLongAsTheClocksSayAndAnHourIsAnHour) {
  // Clocks went from 02:00 to 03:00 on 29 March.
  EXPECT_EQ(told("date_add('2026-03-28T11:00:00Z', 1, 'day')"), "\"2026-03-29T10:00:00.000000Z\"");
  EXPECT_EQ(told("date_add('2026-03-28T11:00:00Z', 24, 'hours')"), "\"2026-03-29T11:00:00.000000Z\"");
  EXPECT_EQ(told("date_diff('2026-03-29', '2026-03-30', 'hours')"), "23");
}

TEST(Dates, WhatClocksLeaveOutIsTheEndOfTheGap) {
  EXPECT_EQ(told("date_add('2026-03-28T02:30:00+01:00', 1, 'day', 'Europe/Berlin')"), "\"2026-03-29T03:00:00+02:00\"");
  // Midnight is left out.
  EXPECT_EQ(told("start_of('2018-11-04T12:00:00-02:00', 'day', 'America/Sao_Paulo')"), "\"2018-11-04T01:00:00-02:00\"");
  // The whole day is.
  EXPECT_EQ(told("in_zone('2011-12-30', 'Pacific/Apia')"), "\"2011-12-31T00:00:00+14:00\"");
}

TEST(Dates, OfWhatClocksShowTwiceItIsTheOneThereWasElseTheFirst) {
  EXPECT_EQ(told("start_of('2026-10-25T02:30:00+01:00', 'hour', 'Europe/Berlin')"), "\"2026-10-25T02:00:00+01:00\"");
  EXPECT_EQ(told("date_add('2026-10-24T02:30:00+02:00', 1, 'day', 'Europe/Berlin')"), "\"2026-10-25T02:30:00+02:00\"");
}

TEST(Dates, AreWrittenByAPattern) {
  EXPECT_EQ(told("strftime(run.date, '%Y%m%d')"), "\"20261120\"");
  EXPECT_EQ(told("strftime('2027-01-01', '%G-W%V-%u')"), "\"2026-W53-5\"");
  EXPECT_EQ(told("strftime('2026-02-03T04:05:06.000007Z', '%y %j %q %I %p %f %a %A %b %B %w %z %s %T %F %%', 'UTC')"),
            "\"26 034 1 04 AM 000007 Tue Tuesday Feb February 2 +0000 1770091506 04:05:06 2026-02-03 %\"");
}

TEST(Dates, AreReadByAPattern) {
  EXPECT_EQ(told("strptime('20.11.2026', '%d.%m.%Y')"), "\"2026-11-20\"");
  EXPECT_EQ(told("strptime('2026-11', '%Y-%m')"), "\"2026-11-01\"");
  EXPECT_EQ(told("strptime('3 nov 99', '%d %b %y')"),
            "error: strptime(): '3 nov 99' does not fit the pattern '%d %b %y'");
  EXPECT_EQ(told("strptime('03 nov 99', '%d %b %y')"), "\"1999-11-03\"");
  EXPECT_EQ(told("strptime('2026324', '%Y%j')"), "\"2026-11-20\"");
  EXPECT_EQ(told("strptime('2026-11-20 03:00:00', '%F %T')"), "\"2026-11-20T02:00:00.000000Z\"");
  EXPECT_EQ(told("strptime('2026-11-20 03:00:00 +0530', '%F %T %z')"), "\"2026-11-20T03:00:00+05:30\"");
  EXPECT_EQ(told("strptime('-1', '%s')"), "\"1969-12-31T23:59:59.000000Z\"");
  EXPECT_THAT(told("strptime('2026-02-30', '%F')"), HasSubstr("does not fit"));
  EXPECT_THAT(told("strptime('2025366', '%Y%j')"), HasSubstr("does not fit"));
}

TEST(Dates, DifferenceCountsWholeUnits) {
  EXPECT_EQ(told("date_diff('2026-01-31', '2026-02-28', 'months')"), "1");
  EXPECT_EQ(told("date_diff('2026-02-28', '2026-01-31', 'months')"), "0");
  EXPECT_EQ(told("date_diff('2026-01-01', run.date, 'days')"), "323");
  EXPECT_EQ(told("date_diff(run.date, '2026-01-01', 'weeks')"), "-46");
  EXPECT_EQ(told("date_diff('0001-01-01', '9999-12-31', 'years')"), "9998");
  EXPECT_EQ(told("date_diff('2026-11-20T00:00:00Z', '2026-11-20T01:30:00+01:00', 'minutes')"), "30");
}

TEST(Dates, EndWithTheYears1And9999) {
  EXPECT_THAT(told("date_add('9999-12-31', 1, 'day')"), HasSubstr("beyond the years 1 to 9999"));
  EXPECT_THAT(told("date_add('0001-01-01', -1, 'day')"), HasSubstr("beyond the years 1 to 9999"));
  EXPECT_THAT(told("date_add(run.date, 9223372036854775807, 'years')"), HasSubstr("beyond the years"));
  EXPECT_THAT(told("date_add(run.logical_time, -9223372036854775808, 'hours')"), HasSubstr("beyond the years"));
  EXPECT_THAT(told("in_zone('9999-12-31T23:00:00Z', 'Asia/Tokyo')"), HasSubstr("beyond the years"));
  EXPECT_EQ(told("end_of('9999-12-01', 'year')"), "\"9999-12-31\"");
  EXPECT_EQ(told("strftime('0001-01-01', '%Y %a')"), "\"0001 Mon\"");
}

TEST(Dates, WhatIsWrittenOutIsCheckedBeforeARun) {
  EXPECT_EQ(told("date_add(run.date, 1, 'dya')"), "at 22: there is no unit 'dya'; did you mean 'day'?");
  EXPECT_EQ(told("start_of(run.date, 'day', 'Europe/Brelin')"),
            "at 26: there is no time zone 'Europe/Brelin'; did you mean 'Europe/Berlin'?");
  EXPECT_EQ(told("date_add('2026-02-30', 1, 'day')"),
            "at 9: '2026-02-30' is no date or time such as 2026-11-20 or 2026-11-20T03:00:00Z");
  EXPECT_THAT(told("date_add('2026-11-20T03:00', 1, 'day')"), HasSubstr("says no zone: in_zone('2026-11-20T03:00'"));
  EXPECT_THAT(told("date_add(run.date, '1', 'day')"), HasSubstr("at 19: date_add() needs an integer here"));
  EXPECT_EQ(told("date_ad(run.date, 1, 'day')"), "at 0: there is no function 'date_ad'; did you mean 'date_add'?");
}

TEST(Dates, APatternOfAnotherSystemIsToldInOurs) {
  EXPECT_THAT(told("strftime(run.date, 'YYYY/MM/DD')"), HasSubstr("did you mean '%Y/%m/%d'?"));
  EXPECT_THAT(told("strftime(run.date, '2006-01-02')"), HasSubstr("did you mean '%Y-%m-%d'?"));
  EXPECT_THAT(told("strftime(run.date, '%Y-%W')"), HasSubstr("no '%W'; write %V"));
  EXPECT_THAT(told("strftime(run.date, '%-d')"), HasSubstr("int(strftime(when, '%d'))"));
  EXPECT_THAT(told("strftime(run.date, '%Q')"), HasSubstr("there are %Y %y"));
  EXPECT_THAT(told("strftime(run.date, '100%')"), HasSubstr("write '%%'"));
  EXPECT_THAT(told("strptime('x', '%A')"), HasSubstr("'%A' can be written, but not read"));
  EXPECT_THAT(told("strptime('x', '%m')"), HasSubstr("without a year"));
}

TEST(Dates, ADateHasNoHours) {
  EXPECT_THAT(told("date_add(run.date, 6, 'hours')"), HasSubstr("a date has no hours"));
  EXPECT_EQ(told("date_add(in_zone(run.date), 6, 'hours')"), "\"2026-11-20T06:00:00+01:00\"");
  EXPECT_EQ(told("in_zone(run.date + 'T06:00')"), "\"2026-11-20T06:00:00+01:00\"");
}

TEST(Dates, TypesAreToldBeforeARun) {
  const Declarations declared = [](std::span<const std::string> path) -> std::optional<Declared> {
    return path[0] == "params" ? std::optional(Declared{"integer", {}}) : std::nullopt;
  };
  const auto mistakes = [&](std::string_view text) { return type_mistakes(*Template::parse(text), declared); };
  EXPECT_THAT(mistakes("${{ date_add(params.year, 1, 'day') }}"),
              ElementsAre("date_add() needs a text as argument 1, and 'params.year' is of type integer: write "
                          "date_add(when, count, unit, zone = the DAG's)"));
  EXPECT_THAT(mistakes("a ${{ date_diff(run.date, run.date, 'day') < '3' }} b"), ElementsAre(HasSubstr("needs two")));
  EXPECT_THAT(mistakes("${{ date_add(run.date, params.days, 'day') }}"), IsEmpty());
}

}  // namespace
}  // namespace chappe::expr
