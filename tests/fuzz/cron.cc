// Cron expressions: whatever the text, it is refused with a reason that can be shown, or has times that go on and on.
#include "engine/base/text.h"
#include "engine/calendar/schedule.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(cron) {
  using namespace calendar;
  const auto cron = parse_cron(input);
  if (!cron) {
    CHAPPE_ASSERT(cron.error().code == ErrorCode::kInvalidInput &&
                  printable(cron.error().message) == cron.error().message);
    return;
  }
  static const ZonePtr zone = Zone::find("Australia/Lord_Howe").value();
  const Schedule schedule{*cron, zone, {}, ""};
  WallTime at{1'700'000'000'000'000};
  for (int i = 0; i < 3; ++i) {
    const auto next = next_fire(schedule, at);
    CHAPPE_ASSERT(next && *next > at);  // What parses comes, within 50 years.
    if (i > 0) CHAPPE_ASSERT(previous_fire(schedule, *next) == at);
    at = *next;
  }
}

}  // namespace chappe::fuzz
