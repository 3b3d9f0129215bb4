#include <fmt/format.h>

#include <memory>
#include <utility>

#include "proto/json/json.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"
#include "scheduler/api/sent_dag.h"
#include "scheduler/quarantine/quarantine.h"

namespace chappe::api {
namespace {

constexpr std::size_t kRequestIdMax = 200;
constexpr std::size_t kShortIdMin = 4;

Result<WallTime> time_member(const Value& body, std::string_view name) {
  const std::string text = text_member(body, name);
  if (text.empty()) return WallTime{};
  auto time = parse_iso8601(text);
  if (!time) return fail(std::move(time.error()).in(name));
  return time;
}

Result<std::string> request_id_of(const Request& request, const Value& body) {
  std::string id = text_member(body, "request_id");
  if (id.empty()) id = request.idempotency_key;
  if (id.size() > kRequestIdMax) {
    return fail(ErrorCode::kInvalidInput, fmt::format("the request id is longer than {} characters", kRequestIdMax));
  }
  return id;
}

/// The parameters as RunRow::params_json keeps them: secret ones as null.
Value recorded_params(const Dag& dag, const ValueMap& params) {
  ValueMap out = params;
  for (auto& [name, value] : out) {
    for (const ParamSpec& spec : dag.params) {
      if (spec.name == name && spec.secret) value = Value();
    }
  }
  return out;
}

/// Everything of a RunRequested but its DAG.
Result<RunRequested> read_run_request(Context& context, const Request& request, const Value& body, const DagPtr& dag) {
  RunRequested event{.id = context.backend.new_run_id(), .dag = dag, .requested_by = request.principal};
  event.source = request.source;
  const Value* given = body.find("params");
  auto params = resolve_params(dag->params, given == nullptr ? Value() : *given);
  if (!params) return fail(params.error());
  event.params = *std::move(params);
  auto id = request_id_of(request, body);
  if (!id) return fail(id.error());
  event.request_id = *std::move(id);
  const Value* no_cache = body.find("no_cache");
  event.no_cache = no_cache != nullptr && *no_cache->as_bool();
  for (const auto& [name, field] : {std::pair("logical_time", &RunRequested::logical_time),
                                    std::pair("interval_start", &RunRequested::interval_start),
                                    std::pair("interval_end", &RunRequested::interval_end)}) {
    const auto time = time_member(body, name);
    if (!time) return fail(time.error());
    event.*field = *time;
  }
  return event;
}

/// What the same request made before: its run, or 409 where it asked for something else.
std::optional<Answer> answer_of_repeat(Context& context, const RunRequested& event) {
  if (event.request_id.empty()) return std::nullopt;
  const auto known = context.reader.run_by_request(event.request_id);
  if (!known) return problem(known.error());
  if (!*known) return std::nullopt;
  const RunRow& run = **known;
  const auto params = parse_json(run.params_json);
  if (run.dag_version == event.dag->version && params && *params == recorded_params(*event.dag, event.params)) {
    return json_answer(run_json(run));
  }
  return problem(409, fmt::format("request id '{}' was used for run {} of another DAG version or with other parameters",
                                  event.request_id, run.id.text()));
}

/// The engine's answer to a request for a run, told as the run it made.
Answer accepted(const Value& answer, const RunId& asked, const Dag& dag, Value warnings) {
  const Value* told = answer.find("run");
  const std::string id = told != nullptr && told->as_string() != nullptr ? *told->as_string() : asked.text();
  const Value* state = answer.find("state");
  Answer out = json_answer(ValueMap{{"id", id},
                                    {"dag", dag.name},
                                    {"dag_version", dag.version},
                                    {"state", state != nullptr ? *state : Value("queued")},
                                    {"warnings", std::move(warnings)}},
                           id == asked.text() ? 201 : 200);
  out.headers.emplace_back("Location", "/api/v1/runs/" + id);
  return out;
}

void request_run(Context& context, RunRequested event, Value warnings, Respond respond) {
  const RunId id = event.id;
  const DagPtr dag = event.dag;
  context.backend.request(std::move(event), [respond = std::move(respond), id, dag,
                                             warnings = std::move(warnings)](const Result<Value>& answer) {
    respond(answer ? accepted(*answer, id, *dag, warnings) : problem(answer.error()));
  });
}

void start_run(Context& context, const Request& request, const Value& body, const DagPtr& dag, Value warnings,
               Respond respond) {
  auto event = read_run_request(context, request, body, dag);
  if (!event) return respond(problem(event.error()));
  if (auto repeat = answer_of_repeat(context, *event)) return respond(*std::move(repeat));
  request_run(context, *std::move(event), std::move(warnings), std::move(respond));
}

/// The parameters of a run as they were kept, and those that are given anew. Secret ones were not kept.
ValueMap params_again(const RunRow& run, const Value& body) {
  ValueMap params;
  const auto kept = parse_json(run.params_json);
  const Value* given = body.find("params");
  for (const Value* some : {kept ? &*kept : nullptr, given}) {
    if (some == nullptr || some->as_map() == nullptr) continue;
    for (const auto& [name, value] : *some->as_map()) {
      std::erase_if(params, [&name = name](const auto& known) { return known.first == name; });
      if (some == given || !value.is_null()) params.emplace_back(name, value);
    }
  }
  return params;
}

/// Which version is meant: "" for the run's own, "latest", or a hash.
Result<DagVersionRow> version_for_rerun(Context& context, const RunRow& run, const std::string& version) {
  auto row = version == "latest" ? version_in_use(context, run.dag)
                                 : context.reader.dag_version(version.empty() ? run.dag_version : version);
  if (row && row->dag != run.dag) return fail(ErrorCode::kNotFound, "this version is of another DAG");
  return row;
}

Result<RunFilter> run_filter(const Request& request, std::string dag) {
  RunFilter filter{.dag = std::move(dag)};
  const auto range = request.time_range();
  if (!range) return fail(range.error());
  filter.created = *range;
  if (const auto state = request.parameter("state")) {
    filter.state = parse_run_state(*state);
    if (!filter.state) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("unknown state '{}'; known are queued, running, success, failed, cancelled", *state));
    }
  }
  const auto limit = request.number("limit", 50, 1, 1'000);
  if (!limit) return fail(limit.error());
  filter.limit = *limit;
  const auto before = request.number("after", 0, 1, UINT32_MAX);
  if (!before) return fail(before.error());
  const auto backfill = request.number("backfill", 0, 1, UINT32_MAX);
  if (!backfill) return fail(backfill.error());
  filter.backfill = {static_cast<std::uint32_t>(*backfill)};
  if (*before != 0) filter.before = RunSeq{static_cast<std::uint32_t>(*before)};
  return filter;
}

}  // namespace

Result<RunRow> find_run(Context& context, const Request& request) {
  const std::string& id = request.variable("run");
  if (id == "latest") {
    auto runs = context.reader.runs({.limit = 1});
    if (!runs) return fail(runs.error());
    if (runs->empty()) return fail(ErrorCode::kNotFound, "there is no run yet");
    return runs->front();
  }
  if (id.size() < kShortIdMin) {
    return fail(ErrorCode::kNotFound,
                fmt::format("no run '{}': give at least {} characters of its id", id, kShortIdMin));
  }
  auto run = context.reader.run(id);
  if (!run && run.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound, fmt::format("there is no run '{}'; see 'chappe runs'", id));
  }
  return run;
}

Result<RunRow> find_whole_run(Context& context, const Request& request) {
  auto run = find_run(context, request);
  if (run && run->pruned_at.is_set()) return fail(ErrorCode::kNotFound, told_pruned(*run));
  return run;
}

Result<RunRow> find_run_in_hand(Context& context, const Request& request) {
  auto run = find_whole_run(context, request);
  if (run && quarantine::is_left_alone(quarantine::Kind::kRun, std::to_string(run->seq.value))) {
    return fail(ErrorCode::kConflict, fmt::format("run {} is {}", run->id.text(), quarantine::complaint()));
  }
  return run;
}

void submit_run(Context& context, const Request& request, Respond respond) {
  auto body = read_body(request.body, {{"dag_yaml", "string"},
                                       {"file", "string"},
                                       {"params", "object"},
                                       {"request_id", "string"},
                                       {"no_cache", "boolean"},
                                       {"logical_time", "string"},
                                       {"interval_start", "string"},
                                       {"interval_end", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto loaded = load_sent_dag(*body);
  if (const auto* refused = std::get_if<Answer>(&loaded)) return respond(*refused);
  const auto& sent = std::get<SentDag>(loaded);
  start_run(context, request, *body, sent.dag, sent.diagnostics, std::move(respond));
}

void trigger_dag(Context& context, const Request& request, Respond respond) {
  auto body = read_body(request.body, {{"params", "object"},
                                       {"request_id", "string"},
                                       {"no_cache", "boolean"},
                                       {"logical_time", "string"},
                                       {"interval_start", "string"},
                                       {"interval_end", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto version = version_in_use(context, request.variable("dag"));
  if (!version) return respond(problem(version.error()));
  const auto dag = context.views.dag(context.reader, version->version);
  if (!dag) return respond(problem(dag.error()));
  start_run(context, request, *body, *dag, ValueList{}, std::move(respond));
}

void cancel_run(Context& context, const Request& request, Respond respond) {
  const auto run = find_run_in_hand(context, request);
  if (!run) return respond(problem(run.error()));
  context.backend.request(CancelRequested{.run = run->id, .requested_by = request.principal, .source = request.source},
                          answer_with(std::move(respond)));
}

void rerun_run(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"version", "string"}, {"params", "object"}, {"request_id", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto run = find_whole_run(context, request);
  if (!run) return respond(problem(run.error()));
  const auto version = version_for_rerun(context, *run, text_member(*body, "version"));
  if (!version) return respond(problem(version.error()));
  const auto dag = context.views.dag(context.reader, version->version);
  if (!dag) return respond(problem(dag.error()));
  const Value wanted =
      ValueMap{{"params", params_again(*run, *body)}, {"request_id", text_member(*body, "request_id")}};
  auto event = read_run_request(context, request, wanted, *dag);
  if (!event) return respond(problem(event.error()));
  event->trigger = "rerun";
  event->logical_time = run->logical_time;
  event->interval_start = run->interval_start;
  event->interval_end = run->interval_end;
  event->rerun_of = run->seq;
  if (auto repeat = answer_of_repeat(context, *event)) return respond(*std::move(repeat));
  request_run(context, *std::move(event), ValueList{}, std::move(respond));
}

namespace {

Answer list_runs_of(Context& context, const Request& request, std::string dag) {
  const auto filter = run_filter(request, std::move(dag));
  if (!filter) return problem(400, filter.error().message);
  const auto rows = context.reader.runs(*filter);
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const RunRow& run : *rows) items.push_back(run_json(run));
  const bool more = rows->size() == filter->limit;
  return json_answer(page_json(std::move(items), more ? Value(std::to_string(rows->back().seq.value)) : Value()));
}

}  // namespace

Answer list_runs(Context& context, const Request& request) {
  return list_runs_of(context, request, request.parameter("dag").value_or(""));
}

Answer list_dag_runs(Context& context, const Request& request) {
  const std::string& dag = request.variable("dag");
  if (!context.reader.newest_dag_version(dag)) return problem(404, no_such_dag(context, dag));
  return list_runs_of(context, request, dag);
}

Answer show_run(Context& context, const Request& request) {
  const auto run = find_run(context, request);
  if (!run) return problem(run.error());
  const auto counts = context.reader.state_counts(*run);
  if (!counts) return problem(counts.error());
  const auto version = context.reader.dag_version(run->dag_version);
  if (!version) return problem(version.error());
  Value shown = run_json(*run);
  shown.as_map()->emplace_back("dag_commit", version->commit.empty() ? Value() : Value(version->commit));
  shown.as_map()->emplace_back("counts", run->pruned_at.is_set() ? Value() : counts_json(*counts));
  shown.as_map()->emplace_back("outputs", run->outputs);
  const auto events = context.reader.events_of(run->seq);
  if (!events) return problem(events.error());
  ValueList told;
  for (const TriggerEventRow& event : *events) told.push_back(event_json(event));
  shown.as_map()->emplace_back("events", std::move(told));
  if (run->rerun_of) {
    const auto first = context.reader.run_by_seq(run->rerun_of);
    shown.as_map()->emplace_back("rerun_of", first ? Value(first->id.text()) : Value());
  }
  return json_answer(shown);
}

Answer watch(Context& context, const Request& request) {
  const auto run = find_whole_run(context, request);
  if (!run) return problem(run.error());
  return {.content_type = "application/x-ndjson", .stream = watch_run(run->seq)};
}

}  // namespace chappe::api
