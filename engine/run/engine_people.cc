// What tasks ask people, and their answers.
#include <fmt/format.h>

#include <algorithm>

#include "engine/model/waits.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

bool may_answer(const HumanSpec& spec, const AnswerRequested& event) {
  const auto& who = spec.assignees;
  return who.empty() || event.for_others || std::find(who.begin(), who.end(), event.requested_by) != who.end();
}

/// The same answer again is no new one.
bool was_answered_so(const InstanceOutputs& outputs, const ValueMap& answers) {
  return std::all_of(answers.begin(), answers.end(), [&](const auto& answer) {
    return std::any_of(outputs.values.begin(), outputs.values.end(), [&](const NamedValue& value) {
      return value.name == answer.first && value.value == answer.second;
    });
  });
}

}  // namespace

void EngineState::on(const AnswerRequested& event) {
  LiveRun* run = find_run(event.run);
  if (run == nullptr || !run->started()) {
    return reply(event.ticket, fail(ErrorCode::kConflict, fmt::format("run {} is not running", event.run.text())));
  }
  const auto index = run->instances->find(event.task);
  if (!index) return reply(event.ticket, fail(ErrorCode::kNotFound, "the run has no task '" + event.task + "'"));
  auto answers = take_answer(*run, *index, event);
  if (!answers) return reply(event.ticket, fail(std::move(answers.error())));
  const std::string object = fmt::format("run {} {}", run->row.id.text(), event.task);
  const Value told = ValueMap{{"run", run->row.id.text()}, {"task", event.task}, {"answers", *answers}};
  if (run->states[*index].state == TaskState::kSuccess) return reply(event.ticket, told);
  const HumanSpec& spec = *run->task(run->instances->task_of(*index)).human;
  const Asked asked{event.requested_by, event.source};
  if (!may_answer(spec, event)) {
    audit(asked, "task.answer", object,
          to_json(ValueMap{{"assignees", fmt::format("{}", fmt::join(spec.assignees, ", "))}}));
    out.persist.audit.back().result = "denied";
    return reply(event.ticket, fail(ErrorCode::kPermissionDenied, fmt::format("'{}' is for {} to answer", event.task,
                                                                              fmt::join(spec.assignees, ", "))));
  }
  audit(asked, "task.answer", object,
        to_json(ValueMap{{"prompt", run->waiting.at(*index).told}, {"answers", *answers}}));
  ValueMap values = std::move(*answers);
  values.emplace_back("answered_by", event.requested_by);
  values.emplace_back("answered_at", to_iso8601(now.wall));
  end_wait(*run, *index, std::move(values), "answered by " + event.requested_by);
  judge_due(*run);
  reply(event.ticket, told);
}

/// The answers with the form's defaults. Errors: what is wrong with them, or with the moment.
Result<ValueMap> EngineState::take_answer(const LiveRun& run, std::uint32_t index, const AnswerRequested& event) const {
  const Task& task = run.task(run.instances->task_of(index));
  if (!task.human)
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' asks nobody: it is no human task", event.task));
  auto answers = resolve_params(task.human->form, event.answers);
  if (!answers) return fail(std::move(answers.error()));
  const TaskState state = run.states[index].state;
  if (state == TaskState::kWaiting) return answers;
  const auto outputs = run.outputs.find(index);
  if (state == TaskState::kSuccess && outputs != run.outputs.end() && was_answered_so(outputs->second, *answers)) {
    return answers;
  }
  if (state == TaskState::kSuccess) {
    const Value* by = output_value(run, index, "answered_by");
    return fail(ErrorCode::kConflict, fmt::format("'{}' was answered otherwise already, by {}", event.task,
                                                  by == nullptr ? "somebody" : to_text(*by)));
  }
  return fail(ErrorCode::kConflict,
              fmt::format("'{}' does not wait for an answer: it is {}", event.task, name_of(state)));
}

Value EngineState::question(const LiveRun& run, std::uint32_t index) const {
  const Waiting& waiting = run.waiting.at(index);
  const HumanSpec& spec = *run.task(run.instances->task_of(index)).human;
  ValueList assignees(spec.assignees.begin(), spec.assignees.end());
  ValueMap told{{"run", run.row.id.text()},
                {"dag", run.row.dag},
                {"task", run.instances->name_of(index)},
                {"prompt", waiting.told},
                {"form", shown_form(spec)},
                {"assignees", std::move(assignees)},
                {"since", to_iso8601(waiting.began)},
                {"late", waiting.late_at.is_set()}};
  const auto& timeout = spec.patience.timeout;
  told.emplace_back("until", timeout ? Value(to_iso8601(waiting.began + *timeout)) : Value());
  return told;
}

Value Engine::questions(std::size_t limit) const {
  ValueList items;
  for (const InstanceKey key : state_->questions) {
    if (items.size() == limit) break;
    items.push_back(state_->question(*state_->runs.at(key.run), key.index));
  }
  return ValueMap{
      {"items", std::move(items)}, {"next", Value()}, {"open", static_cast<std::int64_t>(state_->questions.size())}};
}

}  // namespace chappe
