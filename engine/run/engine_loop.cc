// Tasks that run until a condition holds. Each iteration is an attempt, with its own log and values; between two of
// them the instance waits, and holds no slot. The outputs of the last one are the task's.
#include <fmt/format.h>

#include <algorithm>

#include "engine/model/secrets.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

/// What `until` may name besides: what the iteration left, and its number.
class IterationScope : public RunScope {
 public:
  IterationScope(const LiveRun& run, std::uint32_t index, const AttemptOutputs* outputs, std::uint32_t iteration)
      : RunScope(run, index), outputs_(outputs), iteration_(iteration) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == "iteration") return Value(std::int64_t{iteration_});
    if (path[0] != "outputs") return RunScope::resolve(path);
    ValueMap values;
    if (outputs_ != nullptr) {
      for (const NamedValue& value : outputs_->values) values.emplace_back(value.name, value.value);
    }
    return Value(std::move(values));
  }

 private:
  const AttemptOutputs* outputs_;
  std::uint32_t iteration_;
};

/// A value that the condition names, and that is in an object: it is asked before that could be read. "": none.
std::string large_value_in(const expr::Expression& until, const AttemptOutputs& outputs) {
  for (const expr::Reference& reference : until.references()) {
    if (reference.path.size() < 2 || reference.path[0] != "outputs") continue;
    const std::string object = value_object_name(reference.path[1]);
    if (std::ranges::find(outputs.objects, object, &OutputObject::name) != outputs.objects.end()) {
      return reference.path[1];
    }
  }
  return "";
}

}  // namespace

/// An attempt ended well. True: its loop goes on, or has failed; the outputs are not the task's.
bool EngineState::loops_on(LiveRun& run, std::uint32_t index, TaskRow& row, const AttemptOutputs* outputs) {
  const auto& loop = run.task(run.instances->task_of(index)).loop;
  if (!loop) return false;
  const std::uint32_t iteration = ++row.iteration;
  const std::string large = outputs == nullptr ? "" : large_value_in(loop->until, *outputs);
  const Result<bool> done = !large.empty()
                                ? fail(ErrorCode::kInvalidInput,
                                       fmt::format("value '{}' is larger than {} KiB: leave what 'until' asks for in "
                                                   "a value of its own",
                                                   large, kInlineValueMax >> 10))
                                : loop->until.evaluate_condition(IterationScope(run, index, outputs, iteration));
  if (done && *done) {
    row.end.message = fmt::format("iteration {}: {}", iteration, loop->until.text());
    return false;
  }
  if (outputs != nullptr) {
    for (const NamedValue& value : outputs->values)
      out.persist.values.push_back({row.key, row.attempt, value, now.wall});
    drop_outputs(run, {row.key, row.attempt}, *outputs);
  }
  if (!done) {
    const Error told = without_secrets(*run.dag, run.params, loop->until.references(), done.error());
    end_loop(run, index, row, fmt::format("until: {}", told.message));
  } else if (iteration >= loop->max_iterations) {
    end_loop(run, index, row, fmt::format("after {} iterations it is still false: {}", iteration, loop->until.text()));
  } else if (run.is_stopped(run.instances->task_of(index))) {
    row.state = TaskState::kCancelled;
    row.end.reason = Reason::kCancelled;
    row.end.message = run.row.message;
    settle(run, index, std::move(row));
  } else {
    if (outputs != nullptr) write_states(run, index, row.attempt, outputs->values);
    rest_before_iteration(run, index, row);
  }
  return true;
}

void EngineState::end_loop(LiveRun& run, std::uint32_t index, TaskRow& row, std::string message) {
  row.end.reason = Reason::kCheckFailed;
  row.end.message = std::move(message);
  row.state = TaskState::kFailed;
  row.allowed = is_tolerated(run, index, row.end);
  settle(run, index, std::move(row));
}

/// The next iteration has its own tries.
void EngineState::rest_before_iteration(LiveRun& run, std::uint32_t index, TaskRow& row) {
  const LoopSpec& loop = *run.task(run.instances->task_of(index)).loop;
  row.state = TaskState::kWaiting;
  row.retry_at = now.wall + loop.interval;
  row.user_tries = 0;
  row.infra_tries = 0;
  row.end.message = fmt::format("iteration {} of at most {}: not yet", row.iteration, loop.max_iterations);
  add_timer(loop.interval, Timer::Kind::kRetry, static_cast<std::uint64_t>(row.key.row()), row.attempt_no);
  store_row(run, index, std::move(row));
}

/// Never longer than the loop's interval, though the clock was set back.
void EngineState::adopt_rest(LiveRun& run, const TaskRow& row) {
  const auto& loop = run.task(run.instances->task_of(row.key.index)).loop;
  if (!loop) return;
  const Duration left = std::clamp(row.retry_at - now.wall, Duration(0), loop->interval);
  add_timer(left, Timer::Kind::kRetry, static_cast<std::uint64_t>(row.key.row()), row.attempt_no);
}

}  // namespace chappe
