// DAGs that start when a version of an asset is published, or when a run of another one ends. Drawn apart from the runs
// that people ask for, so that the other seeds tell what they always told.
#include <fmt/format.h>

#include "engine/model/waits.h"
#include "tests/simulation/stories.h"
#include "tests/support/dag_builder.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

using support::Chance;

/// Each name once, whatever is drawn: no two triggers are about the same.
class Sources {
 public:
  explicit Sources(std::uint32_t listener) {
    for (const char* name : {"data/0.bin", "data/1.bin", "data/2.bin", "m0", "m1"}) {
      left_.push_back({EventSource::Kind::kAsset, name});
    }
    for (const char* dag : {"d0", "d1", "d2"}) left_.push_back({EventSource::Kind::kDag, dag});
    if (listener > 0) left_.push_back({EventSource::Kind::kDag, "listener0"});
  }
  TriggerCondition take(Chance& chance, EventSource::Kind kind) {
    for (;;) {
      const std::size_t at = chance.number(static_cast<std::uint32_t>(left_.size()));
      if (left_[at].kind != kind) continue;
      TriggerCondition out;
      out.source = left_[at];
      left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(at));
      return out;
    }
  }

 private:
  std::vector<EventSource> left_;
};

TriggerCondition some_assets(Chance& chance, Sources& sources) {
  TriggerCondition out = sources.take(chance, EventSource::Kind::kAsset);
  if (chance.one_in(2)) return out;
  TriggerCondition tree;
  tree.kind = chance.one_in(2) ? TriggerCondition::Kind::kAll : TriggerCondition::Kind::kAny;
  tree.parts.push_back(std::move(out));
  tree.parts.push_back(sources.take(chance, EventSource::Kind::kAsset));
  return tree;
}

TriggerSpec some_trigger(Chance& chance, Sources& sources) {
  TriggerSpec out;
  if (chance.one_in(2)) out.mode = TriggerMode::kEach;
  if (chance.one_in(3)) {
    out.when = sources.take(chance, EventSource::Kind::kDag);
    out.on_success = !chance.one_in(3);
    out.on_failed = chance.one_in(2) || !out.on_success;
    out.on_cancelled = out.on_failed && chance.one_in(2);
  } else {
    out.when = some_assets(chance, sources);
  }
  return out;
}

/// On calls and on objects. Drawn apart, too.
void add_hook(Chance& chance, Dag& dag) {
  if (!chance.one_in(2)) return;
  TriggerSpec& trigger = dag.triggers.emplace_back();
  trigger.when.source = {EventSource::Kind::kHook, kHook};
  trigger.mode = chance.one_in(2) ? TriggerMode::kEach : TriggerMode::kCollapse;
}

void add_drop(Chance& chance, Dag& dag) {
  if (!chance.one_in(2)) return;
  TriggerSpec& trigger = dag.triggers.emplace_back();
  trigger.when.source = {EventSource::Kind::kObject, kDrop};
  trigger.mode = chance.one_in(2) ? TriggerMode::kEach : TriggerMode::kCollapse;
  trigger.existing = chance.one_in(2);
  trigger.every = std::chrono::seconds(1 + chance.number(10));
}

}  // namespace

void add_wait(Dag& dag, Duration length) {
  auto wait = std::make_shared<WaitSpec>();
  wait->what = WaitSpec::For::kDuration;
  wait->length = length;
  Task& task = dag.tasks.emplace_back();
  task.id = "wait";
  task.kind = TaskKind::kWait;
  task.wait = std::move(wait);
}

std::vector<Story> make_listeners(const Plan& plan) {
  constexpr std::uint32_t kWaitMax = 20'000;
  Chance chance(plan.seed * 0x9E3779B97F4A7C15U + 77);
  Chance drops(plan.seed * 0x9E3779B97F4A7C15U + 78);
  Chance calls(plan.seed * 0x9E3779B97F4A7C15U + 81);
  std::vector<Story> out;
  if (!chance.one_in(4)) return out;
  const std::uint32_t count = 1 + chance.number(3);
  for (std::uint32_t i = 0; i < count; ++i) {
    Dag dag;
    dag.name = fmt::format("listener{}", i);
    dag.version = dag.name + "-1";
    dag.max_runs = 1 + chance.number(2);
    dag.on_limit = chance.one_in(4) ? OnLimit::kReplace : OnLimit::kQueue;
    Sources sources(i);
    for (std::uint32_t left = 1 + chance.number(2); left > 0; --left) {
      dag.triggers.push_back(some_trigger(chance, sources));
    }
    add_hook(calls, dag);
    add_drop(drops, dag);
    add_group(plan.seed + 10 + i, dag);
    add_wait(dag, std::chrono::milliseconds(chance.number(kWaitMax)));
    add_leaver(plan.seed * 0x9E3779B97F4A7C15U + 86 + i, dag);
    dag.index_tasks();
    Story& story =
        out.emplace_back(Story{.seed = plan.seed, .number = kListenerNumbers + i, .program_max = plan.program_max});
    story.dag = std::make_shared<const Dag>(std::move(dag));
    story.instances = Instances::expand(story.dag, {}).value();
  }
  return out;
}

}  // namespace chappe::simulation
