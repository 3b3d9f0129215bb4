#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "engine/calendar/schedule.h"

namespace chappe::cli {
namespace {

/// "gap=skip,fold=twice"
Result<calendar::DstPolicy> parse_dst(std::string_view text) {
  calendar::DstPolicy out;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item == "gap=shift" || item == "gap=skip") {
      out.gap = item == "gap=skip" ? calendar::Gap::kSkip : calendar::Gap::kShift;
    } else if (item == "fold=once" || item == "fold=twice") {
      out.fold = item == "fold=twice" ? calendar::Fold::kTwice : calendar::Fold::kOnce;
    } else {
      return fail(ErrorCode::kInvalidInput, fmt::format("--dst: '{}' is none of gap=shift, gap=skip, fold=once, "
                                                        "fold=twice",
                                                        printable(item)));
    }
  }
  return out;
}

Result<calendar::Schedule> read_schedule(const CronOptions& options) {
  auto cron = calendar::parse_cron(options.expression);
  if (!cron) return fail(std::move(cron.error()));
  auto zone = calendar::Zone::find(options.timezone);
  if (!zone) return fail(std::move(zone.error()).in("--timezone"));
  auto dst = parse_dst(options.dst);
  if (!dst) return fail(std::move(dst.error()));
  return calendar::Schedule{*cron, *std::move(zone), *dst, options.expression};
}

}  // namespace

int show_cron(const Session& session, const CronOptions& options) {
  const auto schedule = read_schedule(options);
  if (!schedule) return complain(schedule.error().message, kUsage);
  const auto from = options.from.empty() ? wall_now() : calendar::parse_local_time(options.from, *schedule->zone);
  if (!from) return complain("--from: " + from.error().message, kUsage);
  ValueList times;
  // A time that is asked for counts itself.
  std::optional<WallTime> at = WallTime{from->us - (options.from.empty() ? 0 : 1)};
  for (std::uint32_t i = 0; i < options.count && (at = calendar::next_fire(*schedule, *at)); ++i) {
    times.emplace_back(calendar::to_iso8601(*at, *schedule->zone));
  }
  if (session.output.json) {
    print_json(times);
    return kOk;
  }
  for (const Value& time : times) print(*time.as_string() + "\n");
  return kOk;
}

}  // namespace chappe::cli
