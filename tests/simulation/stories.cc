#include "tests/simulation/stories.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/model/waits.h"
#include "tests/support/random_dag.h"
#include "tests/support/trigger_rules.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPatience = 1000;  ///< More losses than a world has time for.

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t mixed = a + b * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31);
}

std::uint64_t mix(std::uint64_t a, std::string_view text) {
  for (const char letter : text) a = mix(a, static_cast<unsigned char>(letter));
  return a;
}

const OutputArtifact* output_of(const Task& task) {
  return runs_program(task) && !task.work->outputs.empty() ? &task.work->outputs.front() : nullptr;
}

void add_inputs(support::Chance& chance, const Dag& dag, const Task& task, WorkSpec& work) {
  for (const Dependency& edge : task.depends_on) {
    const Task& upstream = dag.tasks[edge.task];
    if (output_of(upstream) == nullptr || !chance.one_in(2)) continue;
    InputArtifact& input = work.inputs.emplace_back();
    input.name = "from_" + upstream.id;
    input.path = "in/" + upstream.id;
    input.from_task = edge.task;
    input.from_artifact = output_of(upstream)->name;
    input.optional = true;  // Not every rule waits for success.
  }
}

void add_asset(support::Chance& chance, OutputArtifact& output, bool& comparable) {
  output.asset = expr::Template::literal(fmt::format("data/{}.bin", chance.number(3)));
  if (chance.one_in(2)) output.asset_name = fmt::format("m{}", chance.number(2));
  if (!chance.one_in(6)) return;
  output.immutable = true;  // Whoever comes first wins.
  comparable = false;
}

/// Makes a program of the task: what it reads, leaves behind, and how long it may take.
void add_files(support::Chance& chance, const Plan& plan, const Dag& dag, Task& task, bool& comparable) {
  WorkSpec work = *task.work;
  work.outputs.clear();  // Of a story's tasks it is known what they leave.
  work.kill_grace = std::chrono::seconds(chance.number(10));
  if (chance.one_in(5)) work.timeout = plan.program_max * 2 + 5s;
  if (support::waits_for_all(task.trigger_rule)) add_inputs(chance, dag, task, work);
  if (chance.one_in(8)) {
    InputArtifact& input = work.inputs.emplace_back();
    input.name = "asset";
    input.path = "in/asset";
    input.asset = expr::Template::literal(chance.one_in(2) ? "data/0.bin" : "m0@best");
    input.optional = true;
    comparable = false;  // Whatever stands there by then.
  }
  if (chance.one_in(2)) {
    OutputArtifact& output = work.outputs.emplace_back();
    output.name = "out";
    output.path = "out.bin";
    if (chance.one_in(2)) add_asset(chance, output, comparable);
  }
  task.work = std::make_shared<const WorkSpec>(std::move(work));
}

/// Some tasks are decided in the engine itself.
void decide_in_engine(support::Chance& chance, const Dag& dag, Task& task) {
  for (const Dependency& edge : task.depends_on) {
    const Task& upstream = dag.tasks[edge.task];
    const OutputArtifact* output = output_of(upstream);
    if (output == nullptr || output->asset.text().empty() || upstream.foreach) continue;
    if (!support::waits_for_all(task.trigger_rule)) continue;
    task.kind = TaskKind::kPromote;
    task.promote = PromoteSpec{.model = "m0", .alias = "best", .from_task = edge.task, .from_artifact = output->name};
    task.promote->keep_previous = edge.task % 2 == 0;
    task.work = nullptr;
    return;
  }
  static const expr::Expression kTrue = expr::Expression::parse("1 < 2").value();
  static const expr::Expression kFalse = expr::Expression::parse("2 < 1").value();
  task.kind = TaskKind::kCheck;
  task.work = nullptr;
  task.checks.push_back({.expression = chance.one_in(3) ? kFalse : kTrue});
}

void add_patience(support::Chance& chance, Patience& patience, bool has_last, bool& comparable) {
  if (chance.one_in(3)) patience.late_after = std::chrono::seconds(1 + chance.number(3));
  if (chance.one_in(2)) return;
  patience.timeout = std::chrono::seconds(4 + chance.number(40));
  patience.on_timeout = static_cast<OnTimeout>(chance.number(has_last ? 3 : 2));
  comparable = false;  // Who was quick decides.
}

/// Some tasks wait: for time to pass, for an asset of some run, for what the world shows at some time, for a person.
void make_wait(support::Chance& chance, Task& task, bool& comparable) {
  task.work = nullptr;
  if (chance.one_in(4)) {
    auto human = std::make_shared<HumanSpec>();
    human->prompt = expr::Template::literal("Go on?");
    human->form = {ParamSpec{.name = "decision", .required = true, .enumeration = {"yes", "no"}}};
    add_patience(chance, human->patience, false, comparable);
    task.kind = TaskKind::kHuman;
    task.human = std::move(human);
    return;
  }
  auto wait = std::make_shared<WaitSpec>();
  constexpr WaitSpec::For kKinds[] = {WaitSpec::For::kDuration, WaitSpec::For::kAsset, WaitSpec::For::kObject};
  wait->what = kKinds[chance.number(3)];
  wait->length = std::chrono::milliseconds(chance.number(20'000));
  wait->every = std::chrono::seconds(1 + chance.number(5));
  if (wait->what == WaitSpec::For::kAsset) {
    wait->target = expr::Template::literal(fmt::format("data/{}.bin", chance.number(3)));
    const std::uint32_t after = chance.number(4);
    if (after < 3) wait->newer_than = expr::Template::parse(fmt::format("${{{{ {} }}}}", after)).value();
    comparable = false;
  }
  if (wait->what == WaitSpec::For::kObject) wait->target = expr::Template::literal(kLookedAt[chance.number(4)]);
  add_patience(chance, wait->patience, wait->what == WaitSpec::For::kAsset, comparable);
  if (wait->what == WaitSpec::For::kAsset && !wait->patience.timeout) wait->patience.timeout = 30s;
  task.kind = TaskKind::kWait;
  task.wait = std::move(wait);
}

/// So that some give up that were ready, given away and given back.
void make_hasty(Dag& dag) {
  constexpr int kHaste = 20;
  for (Task& task : dag.tasks) {
    if (task.queue_timeout) *task.queue_timeout /= kHaste;
  }
}

/// Takes every bound on time away, so that how the run ends does not depend on when things happen.
void make_timeless(Dag& dag) {
  dag.timeout.reset();
  dag.fail_fast = FailFast::kOff;
  for (Task& task : dag.tasks) {
    task.queue_timeout.reset();
    task.retry.max_elapsed.reset();
  }
}

}  // namespace

bool runs_program(const Task& task) {
  return task.kind == TaskKind::kRun || task.kind == TaskKind::kHttp || task.kind == TaskKind::kData;
}

Story make_story(const Plan& plan, std::uint32_t number) {
  support::Chance chance(mix(plan.seed, 1000 + number));
  Story story{.seed = plan.seed, .number = number, .program_max = plan.program_max};
  story.request_id = fmt::format("request-{}", number);
  Dag dag = *support::random_dag(chance, plan.tasks_max);
  story.comparable = plan.timeless && plan.patient && !plan.knows(Fault::kStickPod);
  story.endless = chance.one_in(6);
  const bool waits = chance.one_in(3);
  for (Task& task : dag.tasks) {
    if (plan.patient) task.infra_retry.limit = kPatience;
    task.infra_retry.backoff.max = 20s;
    if (runs_program(task)) add_files(chance, plan, dag, task, story.comparable);
    if (!runs_program(task) && !task.foreach && chance.one_in(3)) decide_in_engine(chance, dag, task);
    if (waits && task.kind == TaskKind::kNoop && chance.one_in(2)) make_wait(chance, task, story.comparable);
  }
  if (!add_shapes(mix(plan.seed, 5000 + number), dag)) story.comparable = false;
  if (!add_depth_first(mix(plan.seed, 14'000 + number), dag)) story.comparable = false;
  add_teardown(mix(plan.seed, 12'000 + number), dag);
  if (add_runs(mix(plan.seed, 13'000 + number), dag)) story.comparable = false;
  add_caches(mix(plan.seed, 7000 + number), number, dag);
  add_notices(mix(plan.seed, 8000 + number), dag);
  add_retention(mix(plan.seed, 16'000 + number), dag);
  if (add_states(mix(plan.seed, 11000 + number), dag)) story.comparable = false;
  if (!add_hooks(mix(plan.seed, 18'000 + number), dag)) story.comparable = false;
  add_requests(mix(plan.seed, 19'000 + number), dag);
  add_checks(mix(plan.seed, 24'000 + number), dag);
  add_lineage(mix(plan.seed, 17'000 + number), dag);
  add_object_inputs(mix(plan.seed, 24'000 + number), dag);
  if (add_services(mix(plan.seed, 25'000 + number), dag)) story.comparable = false;
  if (mix(plan.seed, 15'000 + number) % 3 == 0) make_hasty(dag);
  if (!plan.timeless && add_deadlines(mix(plan.seed, 21'000 + number), dag)) story.comparable = false;
  add_group(mix(plan.seed, 22'000 + number), dag);
  add_run_outputs(mix(plan.seed, 23'000 + number), dag);
  const bool lines_up = plan.prefetch > 0 && plan.program_max < 100ms;
  if (lines_up) add_short_requests(mix(plan.seed, 26'000 + number), dag);
  if (plan.timeless) make_timeless(dag);
  for (std::size_t task = 0; plan.pods && task < dag.tasks.size(); ++task) {
    const bool fits =
        dag.tasks[task].kind == TaskKind::kRun && !dag.tasks[task].is_service();  // It would take the place of others.
    const bool in_pod = fits && mix(plan.seed, 9000 + task) % 2 == 0;
    if (in_pod) dag.tasks[task].pod = std::make_shared<const PodSpec>();
  }
  dag.version = fmt::format("{}-{}", dag.name, number);
  story.dag = std::make_shared<const Dag>(std::move(dag));
  story.instances = Instances::expand(story.dag, {}).value();
  story.comparable = story.comparable && !story.endless;
  return story;
}

std::uint64_t Story::nature(std::uint32_t index) const {
  const std::uint32_t task = instances->task_of(index);
  const bool late = dag->tasks[task].foreach && dag->tasks[task].foreach->late;
  const std::uint64_t own = mix(seed, number);
  return late ? mix(mix(own, 1'000'000 + task), instances->key_of(index)) : mix(own, index);
}

std::int64_t Story::value(std::uint32_t index, std::uint32_t generation) const {
  return static_cast<std::int64_t>(mix(mix(nature(index), generation), kValueName) % 4);
}

/// States and conditions of loops hold small ones only.
bool Story::leaves_large_value(std::uint32_t index) const {
  const Task& task = dag->tasks[instances->task_of(index)];
  return task.work != nullptr && task.work->states.empty() && !task.loop && mix(mix(seed, number), "large") % 3 == 0;
}

Behaviour Story::behaviour(std::uint32_t index, std::uint32_t tries, std::uint32_t generation) const {
  const std::uint64_t character = mix(nature(index), generation);
  const std::uint64_t luck = mix(character, 77 + tries);  // Of this try.
  const Task& task = dag->tasks[instances->task_of(index)];
  Behaviour out;
  out.length = Duration(1 + static_cast<std::int64_t>(mix(luck, 1) % static_cast<std::uint64_t>(program_max.count())));
  constexpr int kLong = 50;  // Among short programs a worker takes more than it has room for: some turn out long.
  if (program_max < 100ms && mix(luck, 5) % 6 == 0) out.length *= kLong;
  const bool broken = character % 12 == 0;
  if (task.is_service() && luck % 4 != 0) {  // It is up until it is stopped.
    out.endless = true;
    return out;
  }
  const bool hangs = task.deadline && mix(luck, 6) % 3 == 0;  // Somebody stops it.
  if ((endless && character % 3 == 0) || hangs) {
    out.endless = true;
    return out;
  }
  if (!broken && luck % 4 != 0) return out;
  constexpr Reason kReasons[] = {Reason::kExitCode, Reason::kExitCode, Reason::kSignal, Reason::kOom,
                                 Reason::kInvalidOutput};
  out.reason = kReasons[mix(luck, 2) % 5];
  if (out.reason == Reason::kExitCode) out.exit_code = 1 + static_cast<std::int32_t>(mix(luck, 3) % 3);
  if (task.work != nullptr && task.work->timeout && mix(luck, 4) % 2 == 0) {
    out.reason = Reason::kTimeout;
    out.exit_code = 0;
    out.endless = true;
  }
  return out;
}

std::string Story::content(std::string_view instance, std::string_view output,
                           const std::vector<std::string>& inputs) const {
  std::uint64_t hash = mix(mix(mix(seed, number), instance), output);
  for (const std::string& input : inputs) hash = mix(hash, input);
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", hash, mix(hash, 1), mix(hash, 2), mix(hash, 3));
}

namespace {

class Foretelling {
 public:
  explicit Foretelling(const Story& story) : story_(story), out_(story.instances->size()) {}

  std::vector<Expected> tell() {
    for (std::uint32_t task = 0; task < story_.dag->tasks.size(); ++task) tell_task(task);
    return std::move(out_);
  }

 private:
  void tell_task(std::uint32_t position) {
    const Task& task = story_.dag->tasks[position];
    if (task.handler != Handler::kNone && !support::concerns(task.handler, outcome())) {
      out_[story_.instances->first(position)].state = TaskState::kSkipped;
      return;
    }
    if (task.is_hook()) return tell_hook(task, position);
    if (!task.teardown_of.empty()) return tell_teardown(task, position);
    if (task.foreach && task.foreach->depth_first) return tell_items(task, position);
    const Verdict verdict = support::read_rule(task.trigger_rule, ends_of(position, story_.instances->own(position)));
    CHAPPE_ASSERT(verdict != Verdict::kWait);
    const std::uint32_t own = story_.instances->own(position);
    if (task.foreach && task.foreach->late && story_.instances->mapped(position)) {
      out_[own].state =
          verdict == Verdict::kRun && !items_of(task, position) ? TaskState::kFailed : TaskState::kSuccess;
    }
    const std::uint32_t first = story_.instances->first(position);
    for (std::uint32_t i = first; i < first + story_.instances->count(position); ++i) {
      tell_judged(task, position, i, verdict);
    }
  }

  void tell_judged(const Task& task, std::uint32_t position, std::uint32_t index, Verdict verdict) {
    if (verdict == Verdict::kSkip) out_[index].state = TaskState::kSkipped;
    if (verdict == Verdict::kUpstreamFailed) out_[index].state = TaskState::kUpstreamFailed;
    if (verdict == Verdict::kRun) tell_instance(task, position, index);
  }

  /// Each by the end of its own item upstream.
  void tell_items(const Task& task, std::uint32_t position) {
    const Instances& instances = *story_.instances;
    if (task.foreach->late && instances.mapped(position)) out_[instances.own(position)].state = TaskState::kSuccess;
    const std::uint32_t first = instances.first(position);
    for (std::uint32_t i = first; i < first + instances.count(position); ++i) {
      tell_judged(task, position, i, support::read_rule(task.trigger_rule, ends_of(position, i)));
    }
  }

  /// Each by how its own instance of the task ended.
  void tell_hook(const Task& task, std::uint32_t position) {
    const Instances& instances = *story_.instances;
    const std::uint32_t first = instances.first(position);
    for (std::uint32_t i = first; i < first + instances.count(position); ++i) {
      const TaskState end = out_[instances.in_step(position, i, task.hook_of)].state;
      const bool is_for_it = (task.hook == HookEvent::kSuccess && end == TaskState::kSuccess) ||
                             (task.hook == HookEvent::kFailure && end == TaskState::kFailed) ||
                             (task.hook == HookEvent::kSkipped && end == TaskState::kSkipped);
      out_[i].state = is_for_it && task.when.empty() ? TaskState::kSuccess : TaskState::kSkipped;
      if (out_[i].state == TaskState::kSuccess && runs_program(task)) tell_program(task, i);
      out_[i].allowed = out_[i].state == TaskState::kFailed;
    }
  }

  void tell_teardown(const Task& task, std::uint32_t position) {
    const std::uint32_t index = story_.instances->first(position);
    const TaskState setup = out_[story_.instances->first(task.teardown_of[0])].state;
    if (setup == TaskState::kSuccess) return tell_instance(task, position, index);
    out_[index].state = setup == TaskState::kSkipped ? TaskState::kSkipped : TaskState::kUpstreamFailed;
  }

  /// As many as what its upstream left says.
  bool items_of(const Task& task, std::uint32_t position) const {
    const auto references = task.foreach->expression.references();
    if (references.empty()) return story_.instances->count(position) == 2;
    const std::uint32_t source = story_.instances->own(*story_.dag->find(references[0].path[1]));
    const std::int64_t count = out_[source].state == TaskState::kSuccess ? story_.value(source, 1) : 2;
    return story_.instances->count(position) == count;
  }

  /// Of all tasks but the handlers, which come last.
  RunState outcome() const {
    for (std::uint32_t i = 0; i < out_.size(); ++i) {
      const std::uint32_t task = story_.instances->task_of(i);
      const bool tears_down = !story_.dag->tasks[task].teardown_of.empty() || story_.dag->tasks[task].is_hook();
      if (story_.dag->is_handler(task) || (tears_down && story_.dag->tasks[task].allow_failure.always)) continue;
      const bool failed = out_[i].state == TaskState::kFailed && !out_[i].allowed;
      if (failed || out_[i].state == TaskState::kUpstreamFailed) return RunState::kFailed;
    }
    return RunState::kSuccess;
  }

  std::string ends_of(std::uint32_t position, std::uint32_t index) const {
    std::string ends;
    for (const Dependency& edge : story_.dag->tasks[position].depends_on) {
      const auto [first, end] = seen_by(position, index, edge.task);
      for (std::uint32_t i = first; i < end; ++i) {
        ends += support::upstream_letter(edge, out_[i].state, out_[i].allowed);
      }
    }
    return ends;
  }

  /// The instances of a task upstream that one of this task waits for and reads.
  std::pair<std::uint32_t, std::uint32_t> seen_by(std::uint32_t position, std::uint32_t index,
                                                  std::uint32_t upstream) const {
    const Instances& instances = *story_.instances;
    const bool one = story_.dag->in_step(position, upstream);
    const std::uint32_t first = one ? instances.in_step(position, index, upstream) : instances.first(upstream);
    return {first, first + (one ? 1 : instances.count(upstream))};
  }

  void tell_instance(const Task& task, std::uint32_t position, std::uint32_t index) {
    Expected& out = out_[index];
    if (!task.when.empty()) {  // The only condition that random_dag() writes is "false".
      out.state = TaskState::kSkipped;
    } else if (task.foreach && !story_.instances->mapped(position)) {
      constexpr TaskState kEmpty[] = {TaskState::kSkipped, TaskState::kSuccess, TaskState::kFailed};
      out.state = kEmpty[static_cast<std::size_t>(task.foreach->on_empty)];
    } else if (!std::all_of(task.checks.begin(), task.checks.end(), holds)) {
      out.state = TaskState::kFailed;
    } else if (runs_program(task)) {
      tell_program(task, index);
    } else if (task.kind == TaskKind::kWait && task.wait->target.text() == kForbidden) {
      out.state = TaskState::kFailed;
    } else if (task.kind == TaskKind::kPromote) {
      const Expected& source = out_[story_.instances->first(task.promote->from_task)];
      out.state = source.outputs.empty() ? TaskState::kFailed : TaskState::kSuccess;
    } else {
      out.state = TaskState::kSuccess;
    }
    if (out.state == TaskState::kFailed && task.allow_failure.always) out.allowed = true;
  }

  void tell_program(const Task& task, std::uint32_t index) {
    for (std::uint32_t tries = 0;; ++tries) {
      const Behaviour behaviour = story_.behaviour(index, tries, 1);
      if (behaviour.reason == Reason::kNone && task.loop && !comes_true(*task.loop)) {
        out_[index].state = TaskState::kFailed;
        return;
      }
      if (behaviour.reason == Reason::kNone) return succeed(task, index);
      const auto& on = task.retry.on;
      const bool covered = on.empty() || std::find(on.begin(), on.end(), behaviour.reason) != on.end();
      if (covered && tries < task.retry.limit) continue;
      out_[index].state = TaskState::kFailed;
      return;
    }
  }

  /// Of the conditions that add_shapes() writes: "iteration >= N".
  static bool comes_true(const LoopSpec& loop) {
    return std::stoul(loop.until.text().substr(loop.until.text().find_last_of(' '))) <= loop.max_iterations;
  }

  void succeed(const Task& task, std::uint32_t index) {
    std::vector<std::string> inputs;
    for (const InputArtifact& input : task.work->inputs) {
      if (!input.from_task) continue;  // Outside there may be anything.
      const auto [first, end] = seen_by(story_.instances->task_of(index), index, *input.from_task);
      for (std::uint32_t i = first; i < end; ++i) {
        const auto found = out_[i].outputs.find(input.from_artifact);
        if (found != out_[i].outputs.end()) inputs.push_back(found->second);
      }
    }
    out_[index].state = TaskState::kSuccess;
    for (const OutputArtifact& output : task.work->outputs) {
      out_[index].outputs[output.name] = story_.content(story_.instances->name_of(index), output.name, inputs);
    }
  }

  const Story& story_;
  std::vector<Expected> out_;
};

}  // namespace

std::vector<Expected> foretell(const Story& story) { return Foretelling(story).tell(); }

}  // namespace chappe::simulation
