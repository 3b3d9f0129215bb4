"""Expressions over dates and what they come to, by Python's zoneinfo: `zones.py SEED COUNT` writes a line for each."""

import random
import sys
from calendar import monthrange
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

# Half an hour and two hours of summer time, a day that never was, gaps at midnight, a winter time below standard time,
# offsets of seconds, changes in Ramadan.
ZONES = (
    "Australia/Lord_Howe Antarctica/Troll Pacific/Apia America/Sao_Paulo Asia/Beirut America/Havana Europe/Berlin "
    "America/New_York Asia/Kathmandu Africa/Casablanca Pacific/Kwajalein America/Nuuk Asia/Tehran UTC Africa/Cairo "
    "Asia/Manila Europe/Dublin"
).split()
MONTHS = {"month": 1, "quarter": 3, "year": 12}
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
UTC = timezone.utc


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset()


def change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The first second after `low` at which the offset is another."""
    before = offset_at(low, zone)
    first, last = int(low.timestamp()), int(high.timestamp()) + 1
    while last - first > 1:
        middle = (first + last) // 2
        if offset_at(datetime.fromtimestamp(middle, UTC), zone) == before:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)


def to_utc(local: datetime, zone: ZoneInfo, keep: timedelta | None = None) -> datetime:
    """The time with the offset `keep` if there is one, else the first; of a gap its end."""
    if keep is not None and offset_at((local - keep).replace(tzinfo=UTC), zone) == keep:
        return (local - keep).replace(tzinfo=UTC)
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).replace(tzinfo=None) == local:
        return early
    return change_between(min(early, late) - timedelta(seconds=1), max(early, late), zone)


def add_months(local: datetime, count: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + count, 12)
    return local.replace(year=year, month=month + 1, day=min(local.day, monthrange(year, month + 1)[1]))


def start_of(local: datetime, unit: str) -> datetime:
    local = local.replace(second=0, microsecond=0)
    if unit == "minute":
        return local
    if unit == "hour":
        return local.replace(minute=0)
    local = local.replace(hour=0, minute=0)
    if unit == "week":
        return local - timedelta(days=local.weekday())
    first_months = {"month": local.month, "quarter": (local.month - 1) // 3 * 3 + 1, "year": 1}
    return local.replace(month=first_months[unit], day=1) if unit in first_months else local


def told(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def some_moment(zone: ZoneInfo) -> datetime:
    """Any time; more often than not one near a change of the clocks."""
    year = random.choice([random.randint(2, 9998), random.randint(1900, 2040), random.randint(2000, 2030), 2011])
    begin = datetime(year, 1, 1, tzinfo=UTC)
    moment = begin + timedelta(seconds=random.randrange(365 * 86400), microseconds=random.choice([0, random.randrange(10**6)]))
    if random.random() > 0.6 or not 1905 < year < 2037:
        return moment
    for day in range(366):
        after = begin + timedelta(days=day)
        if offset_at(after, zone) != offset_at(begin, zone):
            change = change_between(after - timedelta(days=1), after, zone)
            return change + timedelta(seconds=random.randint(-90_000, 90_000))
    return moment


def some_case() -> tuple[str, str]:
    name = random.choice(ZONES)
    zone = ZoneInfo(name)
    moment = some_moment(zone)
    here = moment.astimezone(zone)
    local = here.replace(tzinfo=None, fold=0)
    kind = random.randrange(5)
    if kind == 0:
        unit, count = random.choice(["day", "week", *MONTHS]), random.randint(-40, 40)
        days = timedelta(days=count * (7 if unit == "week" else 1))
        there = add_months(local, count * MONTHS[unit]) if unit in MONTHS else local + days
        return f"date_add('{told(moment)}', {count}, '{unit}', '{name}')", told(to_utc(there, zone, here.utcoffset()))
    if kind == 1:
        unit, count = random.choice([*SECONDS]), random.randint(-100_000, 100_000)
        there = moment + timedelta(seconds=count * SECONDS[unit])
        return f"date_add('{told(moment)}', {count}, '{unit}s', '{name}')", told(there)
    if kind == 2:
        unit = random.choice(["minute", "hour", "day", "week", *MONTHS])
        keep = here.utcoffset() if unit in SECONDS else None
        return f"start_of('{told(moment)}', '{unit}', '{name}')", told(to_utc(start_of(local, unit), zone, keep))
    if kind == 3:
        year, week, day = local.isocalendar()
        pattern = "%Y-%m-%d %H:%M:%S.%f|%j|%G-W%V-%u|%w|%a %A %b %B|%I %p|%y"
        wanted = local.strftime(f"{local.year:04}-%m-%d %H:%M:%S.%f|%j|{year:04}-W{week:02}-{day}|%w|%a %A %b %B|%I %p|")
        return f"strftime('{told(moment)}', '{pattern}', '{name}')", f"{wanted}{local.year % 100:02}"
    return f"in_zone('{told(moment)}', '{name}')", here.isoformat()


def main() -> None:
    random.seed(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        try:
            print("\t".join(some_case()))
        except (OverflowError, ValueError):  # Beyond the years that Python has.
            continue


if __name__ == "__main__":
    main()
