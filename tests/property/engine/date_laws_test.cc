// Laws of dates, for any time of the years 1 to 9999 in zones whose clocks do what few others do.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "engine/calendar/days.h"
#include "engine/calendar/moment.h"
#include "engine/calendar/pattern.h"

namespace chappe::calendar {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000, kDayUs = 86'400 * kSecondUs;

ZonePtr some_zone() {
  const std::string name = *rc::gen::element<std::string>(
      "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "America/Sao_Paulo",
      "Asia/Beirut", "America/Havana", "Asia/Manila", "Africa/Casablanca", "America/Nuuk");
  return Zone::find(name).value();
}

/// In any year, or in those that have most changes of clocks. Two days from the edges.
std::int64_t some_us() {
  const bool any = *rc::gen::arbitrary<bool>();
  const std::int64_t first = any ? kFirstDay + 2 : -36'500, last = any ? kLastDay - 2 : 36'500;
  return *rc::gen::inRange(first * kDayUs, last * kDayUs);
}

Moment some_moment() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return {.form = Moment::Form::kDate, .us = floor_div(some_us(), kDayUs) * kDayUs};
    case 1:
      return {.form = Moment::Form::kUtc, .us = some_us()};
    default:
      return {.form = Moment::Form::kOffset, .us = some_us(), .offset = *rc::gen::inRange(-57'360, 57'360)};
  }
}

Unit some_unit(Unit least) {
  return static_cast<Unit>(*rc::gen::inRange(static_cast<int>(least), static_cast<int>(Unit::kYear) + 1));
}

RC_GTEST_PROP(DateLaws, ATextSaysWhatItWasMadeOf, ()) {
  const Moment moment = some_moment();
  RC_ASSERT((parse_moment(to_text(moment)) == moment));
}

RC_GTEST_PROP(DateLaws, ABeginningIsNotLaterAndIsItsOwn, ()) {
  const ZonePtr zone = some_zone();
  const Moment moment = some_moment();
  const Unit unit = some_unit(moment.is_date() ? Unit::kDay : Unit::kSecond);
  const auto start = start_of(moment, unit, Clock(*zone));
  RC_PRE(start.has_value());  // A week may begin in the year 0.
  RC_ASSERT(start->us <= moment.us);
  RC_ASSERT((start_of(*start, unit, Clock(*zone)) == *start));
}

RC_GTEST_PROP(DateLaws, AnEndIsTheLastDayOfItsUnit, ()) {
  const ZonePtr zone = some_zone();
  const Moment moment{.form = Moment::Form::kDate, .us = floor_div(some_us(), kDayUs) * kDayUs};
  const Unit unit = some_unit(Unit::kWeek);
  const auto end = end_of(moment, unit, Clock(*zone));
  RC_ASSERT(end.has_value() && end->us >= moment.us);
  RC_ASSERT((start_of(*end, unit, Clock(*zone)).value() == start_of(moment, unit, Clock(*zone)).value()));
  const auto next = add(*end, 1, Unit::kDay, Clock(*zone));
  if (next) RC_ASSERT((start_of(*next, unit, Clock(*zone)) == *next));
}

RC_GTEST_PROP(DateLaws, ADifferenceLeadsAsFarAsItCan, ()) {
  const ZonePtr zone = some_zone();
  const Clock clock(*zone);
  const Moment start{.form = Moment::Form::kUtc, .us = some_us()};
  const Moment end{.form = Moment::Form::kUtc, .us = some_us()};
  const Unit unit = some_unit(Unit::kSecond);
  const auto units = difference(start, end, unit, clock);
  RC_ASSERT(units.has_value());
  const std::int64_t sign = end.us < start.us ? -1 : 1;
  const auto reached = add(start, *units, unit, clock), past = add(start, *units + sign, unit, clock);
  RC_ASSERT(reached.has_value() && (reached->us - end.us) * sign <= 0);
  if (past) RC_ASSERT((past->us - end.us) * sign > 0);
}

RC_GTEST_PROP(DateLaws, NothingLaterChangesNothing, ()) {
  const ZonePtr zone = some_zone();
  const Moment moment{.form = Moment::Form::kUtc, .us = some_us()};
  RC_ASSERT((add(moment, 0, some_unit(Unit::kSecond), Clock(*zone)) == moment));
}

RC_GTEST_PROP(DateLaws, AnyCountEndsInAResultOrAnError, (std::int64_t count)) {
  const ZonePtr zone = some_zone();
  const Moment moment = some_moment();
  const auto made = add(moment, count, some_unit(Unit::kSecond), Clock(*zone));
  if (made) RC_ASSERT((parse_moment(to_text(*made)) == *made));
}

RC_GTEST_PROP(DateLaws, APatternReadsWhatItWrote, ()) {
  const ZonePtr zone = some_zone();
  const Moment moment{.form = Moment::Form::kUtc, .us = floor_div(some_us(), kSecondUs) * kSecondUs};
  const auto shown = wall_clock(moment, Clock(*zone));
  RC_PRE(shown.has_value());
  const std::string pattern = *rc::gen::element<std::string>("%F %T.%f", "%Y%j %H%M%S", "%d %B %Y, %T", "%s");
  const auto read = read_pattern(write_pattern(pattern, *shown), pattern);
  RC_ASSERT(read.has_value());
  const auto again =
      WallClock{.day = read->day, .us = read->us.value_or(-1), .offset = read->offset.value_or(shown->offset)};
  RC_ASSERT((pattern == "%s"
                 ? WallClock{floor_div(moment.us, kDayUs), moment.us - floor_div(moment.us, kDayUs) * kDayUs, 0}
                 : *shown) == again);
}

RC_GTEST_PROP(DateLaws, AnyPatternIsRefusedOrWrites, (const std::string& pattern)) {
  const WallClock clock{.day = *rc::gen::inRange(kFirstDay, kLastDay + 1),
                        .us = *rc::gen::inRange<std::int64_t>(0, kDayUs)};
  if (const auto mistake = pattern_mistake(pattern, false)) {
    RC_ASSERT(!mistake->empty());
  } else {
    RC_ASSERT(!write_pattern(pattern, clock).empty());
  }
  if (!pattern_mistake(pattern, true)) (void)read_pattern(pattern, pattern);
}

}  // namespace
}  // namespace chappe::calendar
