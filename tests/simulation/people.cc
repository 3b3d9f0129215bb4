#include "tests/simulation/people.h"

#include <algorithm>

#include "tests/simulation/scheduler.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

/// A task whose value says over what another one fans out: run again, it says something else.
const Task* source_of_items(const Dag& dag) {
  for (const Task& task : dag.tasks) {
    if (!task.foreach || !task.foreach->late || task.foreach->expression.references().empty()) continue;
    return &dag.tasks[*dag.find(task.foreach->expression.references()[0].path[1])];
  }
  return nullptr;
}

}  // namespace

void People::plan() {
  runs_.resize(world_.stories.size() + 1);
  meddled_.resize(world_.stories.size() + 1);
  for (std::uint32_t story = 0; story < world_.stories.size(); ++story) {
    world_.time.after(world_.up_to(world_.plan.safety / 2), [this, story] { ask({.story = story}); });
  }
  for (std::uint32_t listener = 0; listener < world_.listeners.size(); ++listener) {
    world_.time.after(world_.up_to(world_.plan.safety / 4),
                      [this, listener] { ask({.kind = Request::Kind::kDeploy, .story = listener}); });
  }
  plan_calls();
  if (world_.past) plan_past();
}

/// Deliveries from outside. Drawn apart, so that other seeds tell what they always told.
void People::plan_calls() {
  support::Chance chance(world_.plan.seed * 0x9E3779B97F4A7C15U + 80);
  for (std::uint32_t listener = 0; listener < world_.listeners.size(); ++listener) {
    const std::vector<TriggerSpec>& triggers = world_.listeners[listener].dag->triggers;
    const auto is_hook = [](const TriggerSpec& each) { return each.kind() == EventSource::Kind::kHook; };
    if (std::none_of(triggers.begin(), triggers.end(), is_hook)) continue;
    for (std::uint32_t left = 1 + chance.number(4); left > 0; --left) {
      const Duration at(chance.number(static_cast<std::uint32_t>(world_.plan.safety.count() / 1000)) *
                        std::int64_t{1000});
      world_.time.after(at, [this, listener, id = "d" + std::to_string(left)] {
        ask({.kind = Request::Kind::kCallWebhook, .story = listener, .answer = id});
      });
    }
  }
}

/// Somebody asks for backfills, somebody else for a run of one of their dates; now and then one is paused or cancelled.
void People::plan_past() {
  const Duration while_faults = world_.plan.safety;
  const auto some_time = [&](const Request& request) {
    world_.time.after(world_.up_to(while_faults / 2), [this, request] { ask(request); });
  };
  for (std::uint32_t spec = 0; spec < world_.past->specs.size(); ++spec) {
    some_time({.kind = Request::Kind::kBackfill, .spec = spec});
  }
  if (world_.chance.one_in(2)) some_time({.story = static_cast<std::uint32_t>(world_.stories.size())});
  for (const BackfillState state : {BackfillState::kPaused, BackfillState::kRunning, BackfillState::kCancelled}) {
    const bool comes = world_.chance.one_in(state == BackfillState::kCancelled ? 6 : 3);
    if (comes) world_.time.after(world_.up_to(while_faults), [this, state] { change_backfill(state); });
  }
}

void People::change_backfill(BackfillState state) { ask({.kind = Request::Kind::kChangeBackfill, .backfill = state}); }

Event People::backfill_event(const Request& request) const {
  if (request.kind == Request::Kind::kChangeBackfill) {
    BackfillChangeRequested event{.state = request.backfill, .requested_by = "ann"};
    const auto& known = world_.store.tables().backfills;
    if (!known.empty()) event.backfill = known.rbegin()->first;
    return event;
  }
  const DagPtr& dag = world_.past->story.dag;
  const BackfillSpec& spec = world_.past->specs[request.spec];
  return BackfillRequested{
      .dag = dag, .spec = spec, .total = check_backfill(*dag, spec).value(), .requested_by = "ann"};
}

void People::ask(Request request) {
  requests_.push_back(std::move(request));
  send(static_cast<std::uint32_t>(requests_.size() - 1));
}

/// Whoever has no answer after a while asks again: the answer may have been lost, or the question.
void People::send(std::uint32_t number) {
  Request& request = requests_[number];
  if (request.answered) return;
  if (request.asked++ > 0) world_.saw(Sight::kRequestRepeated);
  if (const auto scheduler = world_.scheduler_to_meet()) {
    world_.journal.note("asks", number, static_cast<std::uint64_t>(request.kind), request.story);
    world_.schedulers[*scheduler]->take(Asked{number, event_of(request)});
    if (world_.happens(Fault::kRepeatRequest)) world_.schedulers[*scheduler]->take(Asked{number, event_of(request)});
  }
  world_.time.after(2s + world_.up_to(5s), [this, number] { send(number); });
}

Event People::event_of(const Request& request) {
  if (request.kind == Request::Kind::kDeploy) {
    return DagDeployed{.dag = world_.listeners[request.story].dag, .requested_by = "ann"};
  }
  if (request.kind == Request::Kind::kCallWebhook) {
    return WebhookCalled{.ticket = {},
                         .dag = world_.listeners[request.story].dag->name,
                         .webhook = kHook,
                         .delivery = request.answer,
                         .type = "",
                         .body = {},
                         .requested_by = "webhook",
                         .source = ""};
  }
  switch (request.kind) {
    case Request::Kind::kSubmit: {
      const Story& story = world_.story(request.story);
      std::array<std::uint8_t, 10> random{};
      ++ids_;
      for (std::size_t i = 0; i < 4; ++i) random[9 - i] = static_cast<std::uint8_t>(ids_ >> (8 * i));
      RunRequested event{.id = RunId::make(world_.wall(), random), .dag = story.dag, .requested_by = "ann"};
      event.request_id = story.request_id;
      if (request.story == world_.stories.size()) event.logical_time = world_.past->by_hand;
      world_.laws.requested(event.id, request.story);
      return event;
    }
    case Request::Kind::kCancel:
      return CancelRequested{.run = *runs_[request.story], .requested_by = "ann"};
    case Request::Kind::kRetry:
      return RetryRequested{.ticket = {},
                            .run = run_meant(request),
                            .tasks = request.tasks,
                            .requested_by = "ann",
                            .stored = {},
                            .source = "",
                            .reach = request.reach};
    case Request::Kind::kAnswer:
      return AnswerRequested{.run = request.run,
                             .task = request.tasks.front(),
                             .answers = ValueMap{{"decision", request.answer}},
                             .requested_by = "ann"};
    case Request::Kind::kMark:
      return MarkRequested{
          .run = run_meant(request), .task = request.tasks.front(), .state = request.mark, .requested_by = "ann"};
    case Request::Kind::kBackfill:
    case Request::Kind::kChangeBackfill:
      return backfill_event(request);
    case Request::Kind::kMoveAlias:
    case Request::Kind::kDeploy:
    case Request::Kind::kCallWebhook:
      break;
  }
  return AliasMoveRequested{
      .model = "m0", .alias = "best", .version = world_.laws.some_published_version(), .requested_by = "ann"};
}

RunId People::run_meant(const Request& request) const {
  return request.run == RunId{} ? *runs_[request.story] : request.run;
}

std::optional<std::uint32_t> People::some_story() const {
  std::vector<std::uint32_t> known;
  for (std::uint32_t story = 0; story < runs_.size(); ++story) {
    if (runs_[story]) known.push_back(story);
  }
  if (known.empty()) return std::nullopt;
  return world_.chance.pick(known);
}

void People::cancel(std::uint32_t story) {
  meddled_[story] = true;
  ask({.kind = Request::Kind::kCancel, .story = story});
}

void People::cancel_some_run() {
  if (const auto story = some_story()) cancel(*story);
}

void People::retry_some_run() {
  const auto story = some_story();
  if (!story) return;
  meddled_[*story] = true;
  std::vector<std::string> tasks;
  const Task* source = source_of_items(*world_.story(*story).dag);
  if (source != nullptr && world_.chance.one_in(2)) {
    tasks.push_back(source->id);
  } else if (world_.chance.one_in(2)) {
    const Instances& instances = *world_.story(*story).instances;
    const std::uint32_t index = world_.chance.number(instances.size());
    tasks.push_back(world_.chance.one_in(2) ? instances.name_of(index)
                                            : world_.story(*story).dag->tasks[instances.task_of(index)].id);
  }
  if (!tasks.empty() && world_.chance.one_in(3)) {
    constexpr TaskState kMarks[] = {TaskState::kSuccess, TaskState::kFailed, TaskState::kSkipped};
    return ask({.kind = Request::Kind::kMark,
                .story = *story,
                .tasks = std::move(tasks),
                .mark = kMarks[world_.chance.number(3)]});
  }
  const RetryRequested::Reach reach = tasks.empty() ? RetryRequested::Reach{} : some_reach();
  ask({.kind = Request::Kind::kRetry, .story = *story, .tasks = std::move(tasks), .reach = reach});
}

/// Drawn apart, and only where few faults come, so that other seeds tell what they always told.
RetryRequested::Reach People::some_reach() const {
  support::Chance chance(world_.plan.seed * 0x9E3779B97F4A7C15U + 1'000 + requests_.size());
  if (!world_.plan.few || chance.one_in(2)) return {};
  return {.upstream = chance.one_in(3), .downstream = chance.one_in(2), .only_failed = chance.one_in(2)};
}

void People::see_failure(std::uint32_t story) {
  constexpr std::uint32_t kHastyMax = 4;
  if (hasty_ == kHastyMax || story >= runs_.size() || !runs_[story] || !world_.happens(Fault::kRetryRun)) return;
  ++hasty_;
  meddled_[story] = true;
  world_.time.after(world_.up_to(2s), [this, story] { ask({.kind = Request::Kind::kRetry, .story = story}); });
}

void People::see_retention(const RunRow& run) {
  constexpr std::uint32_t kLateMax = 4;
  const bool waits = is_final(run.state) && run.retention.due.is_set() && run.retention.collected == 0;
  if (!waits || late_ == kLateMax || !world_.plan.slow || !world_.happens(Fault::kRetryRun)) return;
  const auto found = std::find(runs_.begin(), runs_.end(), run.id);
  const auto story = static_cast<std::uint32_t>(found - runs_.begin());
  const Duration left = std::max(run.retention.due - world_.wall(), Duration(0));
  if (story >= world_.stories.size() || (world_.time.now() + left).us > world_.plan.safety.count()) return;
  ++late_;
  meddled_[story] = true;
  std::vector<std::string> tasks;
  if (world_.chance.one_in(2)) tasks.push_back(world_.chance.pick(world_.story(story).dag->tasks).id);
  world_.time.after(left + world_.up_to(20ms),
                    [this, story, tasks] { ask({.kind = Request::Kind::kRetry, .story = story, .tasks = tasks}); });
}

void People::see_question(std::uint32_t story, const RunId& run, const std::string& task) {
  const std::uint32_t people = world_.chance.one_in(4) ? 2 : 1;
  for (std::uint32_t i = 0; i < people; ++i) {
    const char* answer = world_.chance.one_in(2) ? "yes" : "no";
    world_.time.after(world_.up_to(10s), [this, story, run, task, answer] {
      ask({.kind = Request::Kind::kAnswer, .story = story, .tasks = {task}, .run = run, .answer = answer});
    });
  }
}

void People::see_stuck(InstanceKey key) {
  world_.time.after(2s + world_.up_to(20s), [this, key] {
    const Laws::Stuck stuck = world_.laws.stuck(key);
    if (!stuck.waits) return;
    if (stuck.on != RunId{}) {
      const bool retries = stuck.cancelled || world_.chance.one_in(3);
      const auto kind = retries ? Request::Kind::kRetry : Request::Kind::kMark;
      if (stuck.story < meddled_.size()) meddled_[stuck.story] = true;
      world_.saw(Sight::kPastMended);
      std::vector<std::string> tasks;
      if (!retries) tasks.push_back(stuck.task);
      ask({.kind = kind, .story = stuck.story, .tasks = std::move(tasks), .run = stuck.on});
    }
    see_stuck(key);
  });
}

void People::move_some_alias() { ask({.kind = Request::Kind::kMoveAlias}); }

void People::answered(std::uint32_t number, const RunId& run) {
  Request& request = requests_[number];
  world_.journal.note("answered", number);
  request.answered = request.granted = true;
  if (request.kind == Request::Kind::kSubmit) runs_[request.story] = run;
  world_.laws.granted(request, run);
}

void People::ask_again(Request request) {
  request.answered = false;
  request.asked = 0;
  world_.time.after(1s + world_.up_to(5s), [this, request] { ask(request); });
}

void People::refused(std::uint32_t number) {
  world_.journal.note("refused", number);
  world_.saw(Sight::kRequestRefused);
  requests_[number].answered = true;
  const Request refused = requests_[number];
  // A scheduler that was replaced knows nothing of it: who still sees the question answers it again.
  if (refused.kind == Request::Kind::kAnswer && world_.laws.waits(refused.run, refused.tasks.front()))
    ask_again(refused);
}

bool People::all_answered() const {
  return std::all_of(requests_.begin(), requests_.end(), [](const Request& request) { return request.answered; });
}

}  // namespace chappe::simulation
