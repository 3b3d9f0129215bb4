#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dags/loader/keys.h"
#include "dags/loader/read_dag.h"

namespace chappe {
namespace {

using calendar::DstPolicy;
using calendar::Zone;
using calendar::ZonePtr;
using yaml::Node;

ZonePtr read_zone(Reader& reader, const Node& map, const ZonePtr& otherwise) {
  const Node* node = map.find("timezone");
  if (node == nullptr) return otherwise;
  const auto name = reader.text(*node, "timezone");
  if (!name) return otherwise;
  auto zone = Zone::find(*name);
  if (zone) return *std::move(zone);
  reader.complaints().error(*node, std::move(zone.error().message));
  return otherwise;
}

DstPolicy read_dst(Reader& reader, const Node& root) {
  DstPolicy out;
  const Node* node = root.find("dst");
  if (node == nullptr || !reader.check_keys(*node, keys::kDst)) return out;
  if (const Node* gap = node->find("gap")) {
    const std::vector<std::string> choices = {"shift", "skip"};
    out.gap = static_cast<calendar::Gap>(reader.choice(*gap, "gap", choices).value_or(0));
  }
  if (const Node* fold = node->find("fold")) {
    const std::vector<std::string> choices = {"once", "twice"};
    out.fold = static_cast<calendar::Fold>(reader.choice(*fold, "fold", choices).value_or(0));
  }
  return out;
}

/// Reads the lines of one `schedule`.
class ScheduleReader {
 public:
  ScheduleReader(Reader& reader, ZonePtr zone, DstPolicy dst, WallTime start)
      : reader_(reader), zone_(std::move(zone)), dst_(dst), start_(start) {}

  std::vector<ScheduleLine> read(const Node& node) {
    if (!node.is_list()) {
      read_line(node);
      return std::move(lines_);
    }
    if (node.children.empty()) reader_.complaints().error(node, "'schedule' is empty; leave it out");
    if (node.children.size() > kScheduleLinesMax) {
      reader_.complaints().error(node, fmt::format("'schedule' has more than {} lines", kScheduleLinesMax));
      return {};
    }
    for (const Node* line : node.children) read_line(*line);
    return std::move(lines_);
  }

 private:
  void read_line(const Node& node) {
    if (node.is_scalar() && !node.is_null()) return read_cron(node, {{}, zone_, dst_, {}}, {});
    if (!reader_.check_keys(node, keys::kSchedule)) return;
    const Node* cron = node.find("cron");
    const Node* every = node.find("every");
    const Node* at = node.find("at");
    if ((cron != nullptr) + (every != nullptr) + (at != nullptr) != 1) {
      reader_.complaints().error(node, "a schedule needs exactly one of 'cron', 'every' and 'at'");
      return;
    }
    calendar::Schedule when{{}, read_zone(reader_, node, zone_), dst_, {}};
    Duration jitter{};
    reader_.take_duration(node, "jitter", jitter);
    if (cron != nullptr) read_cron(*cron, std::move(when), jitter);
    if (every != nullptr) read_every(*every, std::move(when), jitter);
    if (at != nullptr) read_at(*at, std::move(when), jitter);
  }

  void add(calendar::Schedule when, Duration jitter) { lines_.push_back({std::move(when), jitter}); }

  void read_cron(const Node& node, calendar::Schedule when, Duration jitter) {
    const auto text = reader_.text(node, "cron");
    if (!text) return;
    auto cron = calendar::parse_cron(*text);
    if (!cron) return reader_.complaints().error(node, std::move(cron.error().message));
    when.rule = *cron;
    when.text = *text;
    add(std::move(when), jitter);
  }

  /// Counted from `start_date`, or else from midnight on 1 January 1970.
  void read_every(const Node& node, calendar::Schedule when, Duration jitter) {
    const auto period = reader_.duration(node, "every");
    if (!period) return;
    if (*period < std::chrono::seconds(1)) {
      return reader_.complaints().error(node, "'every' is one second at least");
    }
    const WallTime anchor = start_.is_set() ? start_ : WallTime{when.zone->to_utc(0) * 1'000'000};
    when.rule = calendar::Every{*period, anchor};
    when.text = "every " + to_text(*period);
    add(std::move(when), jitter);
  }

  void read_at(const Node& node, calendar::Schedule when, Duration jitter) {
    const auto text = reader_.text(node, "at");
    if (!text) return;
    const auto time = calendar::parse_local_time(*text, *when.zone);
    if (!time) return reader_.complaints().error(node, std::move(time.error().message));
    when.rule = calendar::At{*time};
    when.text = "at " + *text;
    add(std::move(when), jitter);
  }

  Reader& reader_;
  ZonePtr zone_;
  DstPolicy dst_;
  WallTime start_;
  std::vector<ScheduleLine> lines_;
};

/// A mere date as the last one means the whole of that day.
WallTime read_date(Reader& reader, const Node& root, std::string_view key, const Zone& zone, bool last) {
  const Node* node = root.find(key);
  if (node == nullptr) return {};
  const auto text = reader.text(*node, key);
  if (!text) return {};
  auto time = calendar::parse_local_time(*text, zone);
  if (!time) {
    reader.complaints().error(*node, std::move(time.error().message));
    return {};
  }
  if (!last || !calendar::is_date(*text)) return *time;
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t local = time->us / 1'000'000 + zone.at(time->us / 1'000'000).offset;
  return WallTime{zone.to_utc(local + kDay) * 1'000'000 - 1};
}

void read_catchup(Reader& reader, const Node& root, SchedulePlan& plan) {
  constexpr std::int64_t kCatchupRunsMax = 10'000;
  if (const Node* catchup = root.find("catchup")) {
    const std::vector<std::string> choices = {"latest", "none", "all"};
    if (catchup->text == "true" || catchup->text == "false") {
      const char* meant = catchup->text == "true" ? "all" : "none";
      reader.complaints().error(*catchup, fmt::format("'catchup' is one of latest, none and all; write '{}'", meant));
      return;
    }
    plan.catchup = static_cast<Catchup>(reader.choice(*catchup, "catchup", choices).value_or(0));
  }
  reader.take_duration(root, "catchup_window", plan.catchup_window);
  reader.take_integer(root, "max_catchup_runs", 1, kCatchupRunsMax, plan.max_catchup_runs);
  const Node* most = root.find("max_catchup_runs");
  if (most != nullptr && plan.catchup != Catchup::kAll) {
    reader.complaints().warn(*most, "'max_catchup_runs' counts with 'catchup: all' only");
  }
}

void warn_without_schedule(Reader& reader, const Node& root) {
  constexpr std::array<std::string_view, 7> kNeedIt = {"dst",     "start_date",     "end_date",        "paused",
                                                       "catchup", "catchup_window", "max_catchup_runs"};
  for (const std::string_view key : kNeedIt) {
    const Node* node = key == "paused" && root.find("triggers") != nullptr ? nullptr : root.find(key);
    if (node != nullptr) reader.complaints().warn(*node, fmt::format("'{}' does nothing without a 'schedule'", key));
  }
}

/// That of all its schedules, where they agree and the DAG itself names none.
ZonePtr zone_of(const Node& root, const ZonePtr& named, const std::vector<ScheduleLine>& lines) {
  if (root.find("timezone") != nullptr || lines.empty()) return named;
  const std::string& first = lines.front().when.zone->name();
  const auto same = [&](const ScheduleLine& line) { return line.when.zone->name() == first; };
  return std::all_of(lines.begin(), lines.end(), same) ? lines.front().when.zone : named;
}

/// Nobody is there to be asked.
void check_params(Reader& reader, const Node& schedule, const Dag& dag) {
  for (const ParamSpec& param : dag.params) {
    if (!param.required || param.default_value) continue;
    reader.complaints().error(
        schedule,
        fmt::format("a schedule starts runs with the defaults of all parameters: '{}' is required and has none",
                    param.name));
  }
}

}  // namespace

void read_schedule(Reader& reader, const Node& root, Dag& dag) {
  SchedulePlan& plan = dag.schedule;
  const ZonePtr zone = read_zone(reader, root, Zone::utc());
  dag.zone = zone;
  const DstPolicy dst = read_dst(reader, root);
  plan.start = read_date(reader, root, "start_date", *zone, false);
  plan.end = read_date(reader, root, "end_date", *zone, true);
  if (plan.start.is_set() && plan.end.is_set() && plan.end < plan.start) {
    reader.complaints().error(*root.find("end_date"), "'end_date' is before 'start_date'");
  }
  reader.take_boolean(root, "paused", plan.paused);
  read_catchup(reader, root, plan);
  const Node* schedule = root.find("schedule");
  if (schedule == nullptr || schedule->is_null()) return warn_without_schedule(reader, root);
  plan.lines = ScheduleReader(reader, zone, dst, plan.start).read(*schedule);
  dag.zone = zone_of(root, zone, plan.lines);
  check_params(reader, *schedule, dag);
}

}  // namespace chappe
