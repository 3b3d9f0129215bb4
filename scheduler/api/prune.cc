// Runs of long ago that are to go: asked for by an administrator, or only looked at.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::size_t kLookedMax = 1'000;  // By one request that only looks, about.

/// "1764288000000000-17", as an earlier answer's `next` said it.
Result<PrunePlace> read_place(const std::string& text) {
  PrunePlace place;
  if (text.empty()) return place;
  const char* end = text.data() + text.size();
  const auto time = std::from_chars(text.data(), end, place.ended_at.us);
  const bool parted = time.ec == std::errc() && time.ptr != end && *time.ptr == '-';
  const auto run = parted ? std::from_chars(time.ptr + 1, end, place.run.value) : time;
  if (parted && run.ec == std::errc() && run.ptr == end && place.ended_at.is_set()) return place;
  return fail(ErrorCode::kInvalidInput, fmt::format("'after' is the 'next' of an earlier answer, not '{}'", text));
}

Result<PruneRequested> read_request(const Request& request, const Value& body) {
  PruneRequested event{.dag = text_member(body, "dag"), .requested_by = request.principal, .source = request.source};
  const std::string before = text_member(body, "before");
  if (before.empty()) {
    return fail(ErrorCode::kInvalidInput,
                "'before' is missing: runs that ended before this time go, as \"2026-01-31\"");
  }
  auto time = parse_iso8601(before);
  if (!time) return fail(std::move(time.error()).in("before"));
  if (*time > request.at) return fail(ErrorCode::kInvalidInput, "'before' is in the future");
  event.before = *time;
  auto place = read_place(text_member(body, "after"));
  if (!place) return fail(std::move(place.error()));
  event.after = *place;
  return event;
}

Value candidate_json(const PruneCandidate& run) {
  return ValueMap{{"run", run.row.id.text()},
                  {"dag", run.row.dag},
                  {"state", name_of(run.row.state)},
                  {"ended_at", time_json(run.row.ended_at)},
                  {"kept", run.kept == Kept::kNot ? Value() : Value(name_of(run.kept))},
                  {"why", run.kept == Kept::kNot ? Value() : Value(why_kept(run.kept))}};
}

/// What would go, as things are.
Answer look(Context& context, const PruneRequested& asked) {
  PruneQuery query{.before = asked.before, .dag = asked.dag, .after = asked.after};
  ValueList items;
  std::int64_t pruned = 0;
  std::map<Kept, std::int64_t> kept;
  bool last = false;
  while (!last && items.size() < kLookedMax) {
    const auto looked = context.reader.prunable(query);
    if (!looked) return problem(looked.error());
    query.from = 0;
    query.after = looked->end.ended_at.is_set() ? looked->end : query.after;
    last = looked->last;
    for (const PruneCandidate& run : looked->runs) {
      if (run.next != 0) {
        query.from = run.next;
        continue;
      }
      items.push_back(candidate_json(run));
      run.kept == Kept::kNot ? ++pruned : ++kept[run.kept];
    }
  }
  ValueMap counts;
  for (const auto& [why, count] : kept) counts.emplace_back(name_of(why), count);
  const std::string next = fmt::format("{}-{}", query.after.ended_at.us, query.after.run.value);
  return json_answer(ValueMap{{"pruned", pruned},
                              {"kept", std::move(counts)},
                              {"items", std::move(items)},
                              {"next", last ? Value() : Value(next)}});
}

}  // namespace

void prune_runs(Context& context, const Request& request, Respond respond) {
  const auto body =
      read_body(request.body, {{"before", "string"}, {"dag", "string"}, {"after", "string"}, {"dry_run", "boolean"}});
  if (!body) return respond(problem(400, body.error().message));
  auto event = read_request(request, *body);
  if (!event) return respond(problem(400, event.error().message));
  if (!event->dag.empty()) {
    const auto known = context.reader.newest_dag_version(event->dag);
    if (!known) return respond(problem(404, no_such_dag(context, event->dag)));
  }
  const Value* dry_run = body->find("dry_run");
  if (dry_run != nullptr && *dry_run == Value(true)) return respond(look(context, *event));
  context.backend.request(*std::move(event), answer_with(std::move(respond)));
}

}  // namespace chappe::api
