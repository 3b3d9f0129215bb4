#include "engine/ports/rehearsal.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>
#include <utility>

#include "engine/run/engine.h"
#include "engine/run/instances.h"

namespace chappe {
namespace {

/// What the engine knows of the store at a start, without runs.
Result<StoredState> known_assets(MetaReader& reader) {
  constexpr std::size_t kPage = 1'000;
  StoredState out;
  std::optional<AssetVersionId> before;
  do {
    auto page = reader.assets({.uri = "", .newest_only = true, .before = before, .limit = kPage});
    if (!page) return fail(page.error());
    before = page->size() == kPage ? std::optional(page->back().id) : std::nullopt;
    for (AssetVersion& version : *page) out.assets.push_back(std::move(version));
  } while (before && out.assets.size() < kRehearsedAssetsMax);
  auto aliases = reader.aliases("");
  if (!aliases) return fail(aliases.error());
  for (const AliasRow& alias : *aliases) {
    if (!alias.version) continue;
    auto version = reader.asset_version(alias.version);
    if (!version) return fail(version.error());
    out.assets.push_back(*std::move(version));
  }
  out.aliases = *std::move(aliases);
  return out;
}

class Rehearsal {
 public:
  Rehearsal(const RehearsalTools& tools, Now now) : tools_(tools), now_(now) {}

  /// Until nothing more comes of itself.
  Result<void> play(Engine& engine, RunRequested run) {
    std::vector<Event> events{std::move(run)};
    while (!events.empty()) {
      const Effects effects = engine.step(events, now_);
      events.clear();
      for (const Reply& reply : effects.replies) {
        if (!reply.answer) return fail(reply.answer.error());
      }
      note(effects.persist);
      for (const CacheLookup& lookup : effects.lookups) events.emplace_back(look_up(lookup));
      for (const WantedPast& wanted : effects.past) events.emplace_back(allowed(wanted));
    }
    return {};
  }

  Result<std::vector<RehearsedTask>> tell(const Engine& engine, const RunId& id, Instances instances,
                                          const ValueMap& params) {
    for (const FanOutRow& row : fan_outs_) {
      if (auto given = instances.fan_out(row.task, row.items, params); !given) return fail(given.error());
    }
    std::map<std::string, std::string> waits;
    std::map<std::string, TaskState> states;
    // An ended run is not known any more: then no instance waits.
    if (const auto told = engine.explain(id, "", instances.size(), now_)) read(*told, waits, states);
    std::vector<RehearsedTask> out;
    for (std::uint32_t i = 0; i < instances.size(); ++i) {
      RehearsedTask task{.name = instances.name_of(i), .task = instances.dag().tasks[instances.task_of(i)].id};
      if (const auto row = rows_.find(i); row != rows_.end()) {
        task.state = row->second.state;
        task.waits_for = row->second.end.message;
      }
      if (const auto state = states.find(task.name); state != states.end()) {
        task.state = state->second;
        task.waits_for = waits[task.name];
      }
      if (const auto use = uses_.find(i); use != uses_.end()) {
        task.reused = static_cast<bool>(use->second.from);
        task.told = use->second.told;
      }
      out.push_back(std::move(task));
    }
    return out;
  }

 private:
  void note(const Persist& persist) {
    for (const TaskChange& change : persist.tasks) rows_[change.row.key.index] = change.row;
    for (const CacheUseRow& use : persist.cache_uses) uses_[use.key.index] = use;
    fan_outs_.insert(fan_outs_.end(), persist.fan_outs.begin(), persist.fan_outs.end());
  }

  CacheLooked look_up(const CacheLookup& lookup) {
    if (++lookups_ <= kRehearsedLookupsMax) {
      return check_result(tools_.head, tools_.read, lookup, read_result(tools_.reader, lookup));
    }
    CacheLooked out{.key = lookup.key, .serial = lookup.serial};
    out.told = fmt::format("not looked up: a plan looks {} results up", kRehearsedLookupsMax);
    return out;
  }

  /// What other runs come to until then is nobody's to say.
  static PastLooked allowed(const WantedPast& wanted) {
    PastLooked out{.run = wanted.run};
    for (const std::string& task : wanted.tasks) out.tasks.push_back({task});
    return out;
  }

  static void read(const Value& told, std::map<std::string, std::string>& waits,
                   std::map<std::string, TaskState>& states) {
    const Value* tasks = told.find("tasks");
    if (tasks == nullptr || tasks->as_list() == nullptr) return;
    for (const Value& one : *tasks->as_list()) {
      const std::string name = to_text(*one.find("task"));
      states[name] = parse_task_state(to_text(*one.find("state"))).value_or(TaskState::kNone);
      waits[name] = to_text(*one.find("waits_for"));
    }
  }

  const RehearsalTools& tools_;
  Now now_;
  std::size_t lookups_ = 0;
  std::unordered_map<std::uint32_t, TaskRow> rows_;
  std::unordered_map<std::uint32_t, CacheUseRow> uses_;
  std::vector<FanOutRow> fan_outs_;
};

}  // namespace

Result<std::vector<RehearsedTask>> rehearse(RunRequested run, const RehearsalTools& tools, Now now,
                                            std::size_t instances_max) {
  auto instances = Instances::expand(run.dag, run.params);
  if (!instances) return fail(instances.error());
  if (instances->size() > instances_max) {
    return fail(ErrorCode::kInvalidInput, fmt::format("the run has {} task instances; at most {} are looked at",
                                                      instances->size(), instances_max));
  }
  auto stored = known_assets(tools.reader);
  if (!stored) return fail(stored.error());
  EngineConfig config;
  config.sha256 = tools.sha256;
  auto engine = Engine::restore(*std::move(stored), std::move(config), now);
  if (!engine) return fail(engine.error());
  const RunId id = run.id;
  const ValueMap params = run.params;
  Rehearsal rehearsal(tools, now);
  if (auto played = rehearsal.play(*engine, std::move(run)); !played) return fail(played.error());
  return rehearsal.tell(*engine, id, *std::move(instances), params);
}

}  // namespace chappe
