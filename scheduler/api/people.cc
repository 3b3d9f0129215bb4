#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/model/waits.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

const HumanSpec* question_of(const FoundTask& found) {
  return found.instances->dag().tasks[found.instances->task_of(found.index)].human.get();
}

/// Of a run that is over: the same answer again is no mistake, another one is.
Answer answer_again(Context& context, const FoundTask& found, const Value& given) {
  const std::string name = found.instances->name_of(found.index);
  const HumanSpec* spec = question_of(found);
  if (spec == nullptr) return problem(400, fmt::format("'{}' asks nobody: it is no human task", name));
  const auto answers = resolve_params(spec->form, given);
  if (!answers) return problem(answers.error());
  const auto values = context.reader.values(found.run.seq, found.index);
  if (!values) return problem(values.error());
  const auto history = context.reader.attempts({found.run.seq, found.index});
  const bool answered = history && history->task.state == TaskState::kSuccess;
  if (!answered) return problem(409, fmt::format("'{}' does not wait for an answer: its run is over", name));
  const bool same = std::ranges::all_of(*answers, [&](const auto& answer) {
    return std::ranges::any_of(*values, [&](const ValueRow& row) {
      return row.attempt == history->task.attempt && row.value.name == answer.first && row.value.value == answer.second;
    });
  });
  if (!same) return problem(409, fmt::format("'{}' was answered otherwise already", name));
  return json_answer(ValueMap{{"run", found.run.id.text()}, {"task", name}, {"answers", *answers}});
}

}  // namespace

void answer_task(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"answers", "object"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto found = find_task(context, request);
  if (!found) return respond(problem(found.error()));
  const Value* given = body->find("answers");
  const Value answers = given == nullptr ? Value(ValueMap{}) : *given;
  if (is_final(found->run.state)) return respond(answer_again(context, *found, answers));
  context.backend.request(AnswerRequested{.run = found->run.id,
                                          .task = found->instances->name_of(found->index),
                                          .answers = answers,
                                          .requested_by = request.principal,
                                          .for_others = request.administers,
                                          .source = request.source},
                          [respond = std::move(respond)](const Result<Value>& told) {
                            respond(told ? json_answer(*told) : problem(told.error()));
                          });
}

void list_questions(Context& context, const Request& request, Respond respond) {
  const auto limit = request.number("limit", 100, 1, 1'000);
  if (!limit) return respond(problem(400, limit.error().message));
  context.backend.questions(*limit, [respond = std::move(respond)](const Result<Value>& told) {
    respond(told ? json_answer(*told) : problem(told.error()));
  });
}

}  // namespace chappe::api
