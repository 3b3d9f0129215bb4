// Tasks of a run that a person wants to run again, or says the end of.
#include <fmt/format.h>

#include <memory>
#include <optional>
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

/// A change of a run that somebody wants, while it is asked for.
template <typename Wanted>
struct Asking {
  Asking(Request request_, Wanted wanted_, Respond respond_)
      : request(std::move(request_)), wanted(std::move(wanted_)), respond(std::move(respond_)) {}
  Request request;
  Wanted wanted;
  Respond respond;
  RunRow read;  ///< The run as it was when the engine was last asked.
  std::optional<Error> refusal;
  int asked = 0;
};

/// Between being read here and being changed by the engine a run may change otherwise: it ends, or what is collected of
/// it is noted. Then it is read again, and the engine asked again.
template <typename Wanted>
void ask(Context& context, const std::shared_ptr<Asking<Wanted>>& asking) {
  constexpr int kAsksMax = 5;
  const auto run = find_run_in_hand(context, asking->request);
  if (!run) return asking->respond(problem(run.error()));
  const bool same = asking->read == *run && !is_final(run->state);
  if (asking->refusal && same) return asking->respond(problem(*asking->refusal));
  auto stored = stored_if_over(context, *run);
  if (!stored) return asking->respond(problem(stored.error()));
  for (auto& [name, value] : asking->request.variables) {
    if (name == "run") value = run->id.text();  // 'latest' is another run by and by.
  }
  asking->read = *run;
  asking->wanted.run = run->id;
  asking->wanted.stored = *std::move(stored);
  context.backend.request(asking->wanted, [asking, later = context.later](Result<Value> answer) {
    const bool crossed = !answer && answer.error().code == ErrorCode::kConflict;
    if (!crossed || !later || ++asking->asked == kAsksMax) return answer_with(asking->respond)(std::move(answer));
    asking->refusal = std::move(answer.error());
    later([asking](Context* again) {
      if (again == nullptr) return asking->respond(problem(*asking->refusal));
      ask(*again, asking);
    });
  });
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
  const RetryRequested wanted{.tasks = std::move(tasks),
                              .requested_by = request.principal,
                              .source = request.source,
                              .reach = read_reach(*body)};
  ask(context, std::make_shared<Asking<RetryRequested>>(request, wanted, std::move(respond)));
}

void mark_task(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"state", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const std::string text = text_member(*body, "state");
  const auto state = parse_task_state(text);
  if (state != TaskState::kSuccess && state != TaskState::kFailed && state != TaskState::kSkipped) {
    return respond(problem(400, fmt::format("a task is marked success, failed or skipped, not '{}'", text)));
  }
  const MarkRequested wanted{
      .task = request.variable("task"), .state = *state, .requested_by = request.principal, .source = request.source};
  ask(context, std::make_shared<Asking<MarkRequested>>(request, wanted, std::move(respond)));
}

}  // namespace chappe::api
