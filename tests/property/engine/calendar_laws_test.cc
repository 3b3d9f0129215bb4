// The next time of a cron expression is what a walk over every minute finds, in zones where clocks do odd things.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "engine/calendar/schedule.h"

namespace chappe::calendar {
namespace {

constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86'400;
constexpr const char* kZones[] = {"UTC",
                                  "Europe/Berlin",
                                  "America/New_York",
                                  "Australia/Lord_Howe",
                                  "Antarctica/Troll",
                                  "America/Sao_Paulo",
                                  "Pacific/Apia",
                                  "Asia/Kathmandu",
                                  "Europe/Dublin",
                                  "Africa/Casablanca",
                                  "America/Santiago",
                                  "Asia/Gaza"};

struct Item {
  std::string text;
  std::set<int> values;
};

/// A field by chance, with what it means told apart from the parser under test.
Item random_field(int least, int most) {
  const int kind = *rc::gen::inRange(0, 4);
  const int first = *rc::gen::inRange(least, most + 1);
  const int last = *rc::gen::inRange(first, most + 1);
  const int step = *rc::gen::inRange(1, most - least + 1);
  Item out;
  const auto add = [&](int from, int to, int by) {
    for (int value = from; value <= to; value += by) out.values.insert(value);
  };
  if (kind == 0) return add(least, most, 1), out.text = "*", out;
  if (kind == 1) return add(least, most, step), out.text = fmt::format("*/{}", step), out;
  if (kind == 2) return add(first, last, step), out.text = fmt::format("{}-{}/{}", first, last, step), out;
  return out.values = {first, last}, out.text = fmt::format("{},{}", first, last), out;
}

struct RandomCron {
  std::vector<Item> fields;
  std::string text;
  bool fits(std::int64_t local) const {
    const std::int64_t days = local >= 0 ? local / kDay : -((-local + kDay - 1) / kDay);
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
    const int weekday = static_cast<int>(std::chrono::weekday(std::chrono::sys_days(date)).c_encoding());
    const std::int64_t second = local - days * kDay;
    const bool day = fields[2].values.contains(static_cast<int>(static_cast<unsigned>(date.day())));
    const bool of_week = fields[4].values.contains(weekday) || (weekday == 0 && fields[4].values.contains(7));
    const bool both = fields[2].text[0] == '*' || fields[4].text[0] == '*';
    return fields[0].values.contains(static_cast<int>(second % kHour / kMinute)) &&
           fields[1].values.contains(static_cast<int>(second / kHour)) &&
           fields[3].values.contains(static_cast<int>(static_cast<unsigned>(date.month()))) &&
           (both ? day && of_week : day || of_week);
  }
};

RandomCron random_cron() {
  RandomCron out;
  const auto calm = [](int least, int most) {  // Mostly unrestricted, or hardly anything would fire in a few days.
    return *rc::gen::inRange(0, 4) == 0 ? random_field(least, most) : Item{"*", [&] {
                                                                             std::set<int> all;
                                                                             for (int i = least; i <= most; ++i)
                                                                               all.insert(i);
                                                                             return all;
                                                                           }()};
  };
  out.fields = {random_field(0, 59), random_field(0, 23), calm(1, 31), calm(1, 12), calm(0, 6)};
  for (const Item& field : out.fields) out.text += (out.text.empty() ? "" : " ") + field.text;
  return out;
}

/// All times in [from, to), minute by minute.
std::set<std::int64_t> walk(const RandomCron& cron, const Zone& zone, DstPolicy dst, std::int64_t from,
                            std::int64_t to) {
  std::set<std::int64_t> out;
  const bool wildcard = cron.fields[1].text[0] == '*';
  if (wildcard) {
    for (std::int64_t at = from; at < to; at += kMinute) {
      if (cron.fits(at + zone.at(at).offset)) out.insert(at);
    }
    return out;
  }
  for (std::int64_t local = from - 2 * kDay; local < to + 2 * kDay; local += kMinute) {
    if (!cron.fits(local)) continue;
    std::set<std::int64_t> shown;  // When clocks show it.
    for (const std::int64_t around : {local - 2 * kDay, local - kDay, local, local + kDay, local + 2 * kDay}) {
      const std::int64_t at = local - zone.at(around).offset;
      if (at + zone.at(at).offset == local) shown.insert(at);
    }
    if (shown.empty() && dst.gap == Gap::kShift) {
      // The first minute at which clocks show something later.
      std::int64_t at = local - kDay - kDay;
      while (at + zone.at(at).offset < local) at += kMinute;
      shown.insert(at);
    }
    if (dst.fold == Fold::kOnce && shown.size() > 1) shown = {*shown.begin()};
    for (const std::int64_t at : shown) {
      if (at >= from && at < to) out.insert(at);
    }
  }
  return out;
}

RC_GTEST_PROP(CalendarLaws, NextFireFindsWhatAWalkOverEveryMinuteFinds, ()) {
  const RandomCron cron = random_cron();
  const auto parsed = parse_cron(cron.text);
  RC_PRE(parsed.has_value());  // A 31st that never comes.
  const ZonePtr zone =
      Zone::find(*rc::gen::elementOf(std::vector<const char*>(std::begin(kZones), std::end(kZones)))).value();
  const DstPolicy dst{*rc::gen::element(Gap::kShift, Gap::kSkip), *rc::gen::element(Fold::kOnce, Fold::kTwice)};
  // Around a change of clocks of the zone, or anywhere.
  const std::int64_t somewhere = *rc::gen::inRange<std::int64_t>(631'152'000, 2'871'763'200) / kMinute * kMinute;
  const std::int64_t change = zone->at(somewhere).begin;
  const std::int64_t middle = change > 0 && *rc::gen::inRange(0, 4) != 0 ? change : somewhere;
  const std::int64_t from = middle - 2 * kDay, to = middle + 2 * kDay;
  const Schedule schedule{*parsed, zone, dst, cron.text};
  std::set<std::int64_t> found;
  for (auto at = next_fire(schedule, WallTime{(from - 1) * 1'000'000}); at && at->us < to * 1'000'000;
       at = next_fire(schedule, *at)) {
    found.insert(at->us / 1'000'000);
    if (found.size() > 1) RC_ASSERT(previous_fire(schedule, *at)->us / 1'000'000 == *std::prev(found.end(), 2));
  }
  RC_ASSERT(found == walk(cron, *zone, dst, from, to));
}

}  // namespace
}  // namespace chappe::calendar
