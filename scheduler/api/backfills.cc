#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/calendar/zone.h"
#include "engine/model/backfill.h"
#include "proto/json/json.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::int64_t kDaySeconds = 24 * 60 * 60;

/// A date is the whole of its day where the DAG is at home: `last` asks for its end.
Result<WallTime> bound_member(const Value& body, std::string_view name, const calendar::Zone& zone, bool last) {
  const std::string text = text_member(body, name);
  if (text.empty()) return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is needed: a date, or a time", name));
  auto time = calendar::parse_local_time(text, zone);
  if (!time) return fail(std::move(time.error()).in(name));
  if (!last || !calendar::is_date(text)) return time;
  const auto midnight = calendar::parse_local_time(text, *calendar::Zone::utc());
  return WallTime{zone.to_utc(midnight->us / 1'000'000 + kDaySeconds) * 1'000'000 - 1};
}

Result<BackfillSpec> read_spec(const Value& body, const SchedulePlan& plan) {
  const calendar::ZonePtr zone = plan.empty() ? calendar::Zone::utc() : plan.lines.front().when.zone;
  const auto from = bound_member(body, "from", *zone, false);
  if (!from) return fail(from.error());
  const auto to = bound_member(body, "to", *zone, true);
  if (!to) return fail(to.error());
  BackfillSpec spec{.from = *from, .to = *to};
  if (const std::string text = text_member(body, "reprocess"); !text.empty()) {
    const auto reprocess = parse_reprocess(text);
    if (!reprocess) {
      return fail(ErrorCode::kInvalidInput, fmt::format("reprocess is none, failed or completed, not '{}'", text));
    }
    spec.reprocess = *reprocess;
  }
  const std::string order = text_member(body, "order");
  if (!order.empty() && order != "oldest" && order != "newest") {
    return fail(ErrorCode::kInvalidInput, fmt::format("order is oldest or newest, not '{}'", order));
  }
  spec.newest_first = order == "newest";
  if (const Value* most = body.find("max_active")) {
    spec.max_active = static_cast<std::uint32_t>(std::clamp<std::int64_t>(*most->as_int(), 0, UINT32_MAX));
  }
  spec.tasks = text_list(body, "tasks");
  return spec;
}

/// The parameters for all runs. What is secret is kept nowhere, so it cannot be handed to a run of tomorrow.
Result<ValueMap> given_params(const Value& body, const Dag& dag) {
  const Value* given = body.find("params");
  if (given == nullptr) return ValueMap{};
  if (auto checked = resolve_params(dag.params, *given); !checked) return fail(std::move(checked.error()));
  for (const ParamSpec& spec : dag.params) {
    if (!spec.secret || given->find(spec.name) == nullptr) continue;
    return fail(ErrorCode::kInvalidInput,
                fmt::format("parameter '{}' is secret, and a backfill would have to keep it", spec.name));
  }
  return *given->as_map();
}

Value backfill_json(const BackfillRow& row) {
  const BackfillSpec& spec = row.spec;
  auto params = parse_json(row.params_json);
  return ValueMap{{"id", std::int64_t{row.id.value}},
                  {"dag", row.dag},
                  {"dag_version", row.version},
                  {"state", name_of(row.state)},
                  {"message", row.message.empty() ? Value() : Value(row.message)},
                  {"from", time_json(spec.from)},
                  {"to", time_json(spec.to)},
                  {"reprocess", name_of(spec.reprocess)},
                  {"order", spec.newest_first ? "newest" : "oldest"},
                  {"max_active", std::int64_t{spec.max_active}},
                  {"tasks", ValueList(spec.tasks.begin(), spec.tasks.end())},
                  {"params", params ? *std::move(params) : Value(ValueMap{})},
                  {"total", std::int64_t{row.total}},
                  {"made", std::int64_t{row.made}},
                  {"skipped", std::int64_t{row.skipped}},
                  {"left", std::int64_t{row.total} - row.made - row.skipped},
                  {"created_by", row.created_by},
                  {"created_at", time_json(row.created_at)},
                  {"ended_at", time_json(row.ended_at)}};
}

/// What a backfill would do, date by date.
Answer foretell(Context& context, const Dag& dag, const BackfillSpec& spec) {
  std::vector<WallTime> times;
  for (auto time = spec.next(dag.schedule, {}); time && times.size() < kBackfillDatesMax;
       time = spec.next(dag.schedule, *time)) {
    times.push_back(*time);
  }
  const auto newest = context.reader.newest_of_dates(dag.name, times);
  if (!newest) return problem(newest.error());
  ValueList dates;
  std::int64_t made = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const std::string why = why_no_run(spec.reprocess, (*newest)[i]);
    if (why.empty()) ++made;
    dates.emplace_back(ValueMap{
        {"logical_time", time_json(times[i])}, {"run", why.empty()}, {"why_not", why.empty() ? Value() : Value(why)}});
  }
  const auto total = static_cast<std::int64_t>(times.size());
  return json_answer(ValueMap{{"dag", dag.name},
                              {"dag_version", dag.version},
                              {"total", total},
                              {"made", made},
                              {"skipped", total - made},
                              {"dates", std::move(dates)}});
}

/// The backfill of `{backfill}`. Errors: kNotFound.
Result<BackfillRow> find_backfill(Context& context, const Request& request) {
  const std::string& text = request.variable("backfill");
  const auto number = parse_json(text);
  const std::int64_t* id = number ? number->as_int() : nullptr;
  if (id == nullptr || *id < 1 || *id > UINT32_MAX) {
    return fail(ErrorCode::kNotFound, fmt::format("a backfill has a number, and '{}' is none", text));
  }
  auto row = context.reader.backfill({static_cast<std::uint32_t>(*id)});
  if (row || row.error().code != ErrorCode::kNotFound) return row;
  return fail(ErrorCode::kNotFound, fmt::format("there is no backfill {}; see 'chappe backfill list'", text));
}

void change_backfill(Context& context, const Request& request, BackfillState state, Respond respond) {
  if (const auto body = read_body(request.body, {}); !body) return respond(problem(400, body.error().message));
  const auto row = find_backfill(context, request);
  if (!row) return respond(problem(row.error()));
  context.backend.request(
      BackfillChangeRequested{
          .backfill = row->id, .state = state, .requested_by = request.principal, .source = request.source},
      answer_with(std::move(respond)));
}

}  // namespace

void create_backfill(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"dag", "string"},
                                             {"from", "string"},
                                             {"to", "string"},
                                             {"reprocess", "string"},
                                             {"order", "string"},
                                             {"max_active", "integer"},
                                             {"tasks", "array"},
                                             {"params", "object"},
                                             {"dry_run", "boolean"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto version = version_in_use(context, text_member(*body, "dag"));
  if (!version) return respond(problem(version.error()));
  const auto dag = context.views.dag(context.reader, version->version);
  if (!dag) return respond(problem(dag.error()));
  const auto spec = read_spec(*body, (*dag)->schedule);
  if (!spec) return respond(problem(spec.error()));
  const auto total = check_backfill(**dag, *spec);
  if (!total) return respond(problem(total.error()));
  auto params = given_params(*body, **dag);
  if (!params) return respond(problem(params.error()));
  const Value* dry = body->find("dry_run");
  if (dry != nullptr && *dry == Value(true)) return respond(foretell(context, **dag, *spec));
  context.backend.request(BackfillRequested{.dag = *dag,
                                            .spec = *spec,
                                            .total = *total,
                                            .params = *std::move(params),
                                            .requested_by = request.principal,
                                            .source = request.source},
                          answer_with(std::move(respond)));
}

Answer list_backfills(Context& context, const Request& request) {
  const auto limit = request.number("limit", 50, 1, 1'000);
  if (!limit) return problem(400, limit.error().message);
  const auto after = request.number("after", 0, 1, UINT32_MAX);
  if (!after) return problem(400, after.error().message);
  BackfillFilter filter{.dag = request.parameter("dag").value_or(""), .before = {}, .limit = *limit};
  if (*after != 0) filter.before = BackfillId{static_cast<std::uint32_t>(*after)};
  const auto rows = context.reader.backfills(filter);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const BackfillRow& row : *rows) items.push_back(backfill_json(row));
  const bool more = rows->size() == *limit;
  return json_answer(page_json(std::move(items), more ? Value(std::to_string(rows->back().id.value)) : Value()));
}

Answer show_backfill(Context& context, const Request& request) {
  const auto row = find_backfill(context, request);
  if (!row) return problem(row.error());
  const auto counts = context.reader.run_counts(row->id);
  if (!counts) return problem(counts.error());
  ValueMap runs;
  for (std::size_t state = 0; state < kRunStates; ++state) {
    runs.emplace_back(name_of(static_cast<RunState>(state)), static_cast<std::int64_t>((*counts)[state]));
  }
  Value shown = backfill_json(*row);
  shown.as_map()->emplace_back("runs", std::move(runs));
  return json_answer(shown);
}

void pause_backfill(Context& context, const Request& request, Respond respond) {
  change_backfill(context, request, BackfillState::kPaused, std::move(respond));
}

void resume_backfill(Context& context, const Request& request, Respond respond) {
  change_backfill(context, request, BackfillState::kRunning, std::move(respond));
}

void cancel_backfill(Context& context, const Request& request, Respond respond) {
  change_backfill(context, request, BackfillState::kCancelled, std::move(respond));
}

}  // namespace chappe::api
