// Tasks of a run that a person wants to run again, or says the end of.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "scheduler/api/handlers.h"
#include "scheduler/api/stored_run.h"

namespace chappe::api {
namespace {

/// A run that is over with all its rows: the engine has let go of it. Null: it is not over.
Result<std::shared_ptr<StoredRun>> stored_if_over(Context& context, const RunRow& run) {
  if (!is_final(run.state)) return std::shared_ptr<StoredRun>();
  auto loaded = context.reader.load_run(run.id);
  if (!loaded) return fail(loaded.error());
  if (const auto completed = complete_stored_run(*loaded); !completed) return fail(completed.error());
  return std::make_shared<StoredRun>(std::move(*loaded));
}

bool flag_member(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return value != nullptr && *value == Value(true);
}

/// `downstream` goes without saying, unless `upstream` alone was asked for.
RetryRequested::Reach read_reach(const Value& body) {
  RetryRequested::Reach reach{.upstream = flag_member(body, "upstream")};
  reach.downstream = flag_member(body, "downstream") || !reach.upstream;
  reach.only_failed = flag_member(body, "only_failed");
  return reach;
}

}  // namespace

void retry_run(Context& context, const Request& request, Respond respond) {
  const auto body =
      read_body(request.body,
                {{"tasks", "array"}, {"upstream", "boolean"}, {"downstream", "boolean"}, {"only_failed", "boolean"}});
  if (!body) return respond(problem(400, body.error().message));
  auto tasks = text_list(*body, "tasks");
  if (tasks.empty() && body->as_map()->size() > (body->find("tasks") == nullptr ? 0U : 1U)) {
    return respond(problem(400, "'upstream', 'downstream' and 'only_failed' are about tasks: name some in 'tasks'"));
  }
  const auto run = find_run_in_hand(context, request);
  if (!run) return respond(problem(run.error()));
  auto stored = stored_if_over(context, *run);
  if (!stored) return respond(problem(stored.error()));
  context.backend.request(RetryRequested{.run = run->id,
                                         .tasks = std::move(tasks),
                                         .requested_by = request.principal,
                                         .stored = *std::move(stored),
                                         .source = request.source,
                                         .reach = read_reach(*body)},
                          answer_with(std::move(respond)));
}

void mark_task(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"state", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const std::string text = text_member(*body, "state");
  const auto state = parse_task_state(text);
  if (state != TaskState::kSuccess && state != TaskState::kFailed && state != TaskState::kSkipped) {
    return respond(problem(400, fmt::format("a task is marked success, failed or skipped, not '{}'", text)));
  }
  const auto run = find_run_in_hand(context, request);
  if (!run) return respond(problem(run.error()));
  auto stored = stored_if_over(context, *run);
  if (!stored) return respond(problem(stored.error()));
  context.backend.request(MarkRequested{.run = run->id,
                                        .task = request.variable("task"),
                                        .state = *state,
                                        .requested_by = request.principal,
                                        .stored = *std::move(stored),
                                        .source = request.source},
                          answer_with(std::move(respond)));
}

}  // namespace chappe::api
