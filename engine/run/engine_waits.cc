// Tasks that wait for a time or for data: without a slot, and without being looked at until it is due.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"
#include "engine/model/waits.h"
#include "engine/run/engine_state.h"

namespace chappe {
namespace {

constexpr std::size_t kTargetMax = 2048;               ///< Bytes of what is looked at.
constexpr std::size_t kToldMax = 700;                  ///< Of what people are told; a row's message has 1 KiB.
constexpr auto kClockLook = std::chrono::minutes(10);  ///< The wall clock may be set forward meanwhile.

const Patience& patience_of(const Task& task) { return task.wait ? task.wait->patience : task.human->patience; }

/// Cut between two characters.
std::string shortened(std::string text) {
  if (text.size() <= kToldMax) return text;
  std::size_t end = kToldMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + " ...";
}

/// To the second, for people.
std::string told_time(WallTime time) { return to_iso8601(time).substr(0, sizeof "2026-11-20T03:00:00" - 1) + "Z"; }

LookTarget::Kind look_kind(WaitSpec::For what) {
  if (what == WaitSpec::For::kObject) return LookTarget::Kind::kObject;
  if (what == WaitSpec::For::kObjects) return LookTarget::Kind::kObjects;
  return what == WaitSpec::For::kFile ? LookTarget::Kind::kFile : LookTarget::Kind::kHttp;
}

std::string told_look(const LookTarget& target) {
  switch (target.kind) {
    case LookTarget::Kind::kObject:
      return fmt::format("{} '{}'", target.name.ends_with('/') ? "an object beneath" : "object", target.name);
    case LookTarget::Kind::kFile:
      return fmt::format("file '{}'", target.name);
    case LookTarget::Kind::kHttp:
      return fmt::format("{} to answer with {}", target.name, target.status);
    case LookTarget::Kind::kObjects:
      return fmt::format("the list of objects '{}'", target.name);
    case LookTarget::Kind::kListing:  // No task waits for one.
      break;
  }
  return "";
}

/// "newer_than: 12" is a version; anything else a time.
Result<void> read_newer_than(const WaitSpec& spec, const RunScope& scope, WallTime start, Waiting& waiting) {
  waiting.newer_than = start;
  if (!spec.newer_than.text().empty()) {
    auto value = spec.newer_than.evaluate(scope);
    if (!value) return fail(std::move(value.error()).in("newer_than"));
    if (const std::int64_t* version = value->as_int()) {
      waiting.after = {static_cast<std::uint64_t>(std::max<std::int64_t>(*version, 0))};
      waiting.newer_than = {};
      waiting.told = fmt::format("a version of asset '{}' that is newer than {}", waiting.asset, *version);
      return {};
    }
    const auto time = parse_iso8601(to_text(*value));
    if (!time) return fail(Error(time.error()).in("newer_than"));
    waiting.newer_than = *time;
  }
  waiting.told =
      fmt::format("a version of asset '{}' that was published after {}", waiting.asset, told_time(waiting.newer_than));
  return {};
}

}  // namespace

// ---- A wait begins ----

/// Evaluates what the task says. Equal outputs upstream give equal answers, so a restart understands the same.
Result<void> EngineState::understand_wait(const LiveRun& run, std::uint32_t index, Waiting& waiting) const {
  const Task& task = run.task(run.instances->task_of(index));
  if (task.human) {
    auto prompt = task.human->prompt.expand(RunScope(run, index));
    if (!prompt) return fail(std::move(prompt.error()).in("prompt"));
    waiting.told = std::move(*prompt);
  } else if (auto understood = understand_wait(run, index, *task.wait, waiting); !understood) {
    return fail(std::move(understood.error()).in("wait"));
  }
  waiting.told = shortened(std::move(waiting.told));
  return {};
}

Result<void> EngineState::understand_wait(const LiveRun& run, std::uint32_t index, const WaitSpec& spec,
                                          Waiting& waiting) const {
  const RunScope scope(run, index);
  auto target = spec.target.expand(scope);
  if (!target) return fail(std::move(target.error()));
  if (target->size() > kTargetMax) return fail(ErrorCode::kInvalidInput, "what it waits for has more than 2 KiB");
  if (spec.what == WaitSpec::For::kDuration) {
    waiting.length = spec.length;
    waiting.told = fmt::format("{} to pass", to_text(spec.length));
    return {};
  }
  if (target->empty()) return fail(ErrorCode::kInvalidInput, "what it waits for is empty");
  if (spec.what == WaitSpec::For::kTime) {
    const auto time = parse_iso8601(*target);
    if (!time) return fail(Error(time.error()).in("until"));
    waiting.until = *time;
    waiting.told = told_time(*time);
    return {};
  }
  if (spec.what == WaitSpec::For::kAsset) {
    if (target->find('@') != std::string::npos) {
      return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is an alias; one waits for the asset itself", *target));
    }
    waiting.asset = std::move(*target);
    return read_newer_than(spec, scope, run.row.interval_start, waiting);
  }
  waiting.look = LookTarget{look_kind(spec.what), std::move(*target), spec.status};
  if (waiting.look->kind != LookTarget::Kind::kHttp) waiting.look->status = 0;
  waiting.told = told_look(*waiting.look);
  return {};
}

void EngineState::begin_wait(LiveRun& run, std::uint32_t index) {
  Waiting waiting{.began = now.wall, .since = now.mono};
  if (auto understood = understand_wait(run, index, waiting); !understood) {
    return settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed, understood.error().message);
  }
  const Waiting& begun = run.waiting[index] = std::move(waiting);
  if (const AssetVersion* version = awaited_version(begun)) return end_with_asset(run, index, *version, false);
  if (begun.until.is_set() && begun.until <= now.wall) return end_with_time(run, index);
  if (!register_wait(run, index)) {
    return settle_without_attempt(
        run, index, TaskState::kFailed, Reason::kLaunchFailed,
        fmt::format("{} different things outside are waited for already; no more are looked at", looks.size()));
  }
  store_row(run, index, waiting_row(run, index));
  tell_watchers(run, HookEvent::kWait);
  if (run.task(run.instances->task_of(index)).human) {
    notify(run, Notice::kGate, index,
           fmt::format("{} asks: {} (chappe human)", run.instances->name_of(index), begun.told));
  }
  arm_wait(run, index);
}

/// The newest version of what it waits for, if that is new enough.
const AssetVersion* EngineState::awaited_version(const Waiting& waiting) const {
  if (waiting.asset.empty()) return nullptr;
  const auto newest = newest_assets.find(waiting.asset);
  if (newest == newest_assets.end()) return nullptr;
  const AssetVersion& version = newest->second;
  const bool is_new = waiting.after ? version.id > waiting.after : version.published_at > waiting.newer_than;
  return is_new || CHAPPE_MUTANT(kAnyVersionEndsWait) ? &version : nullptr;
}

/// Whoever can end the wait will find it. False: there are too many things to look at.
bool EngineState::register_wait(LiveRun& run, std::uint32_t index) {
  Waiting& waiting = run.waiting.at(index);
  const InstanceKey key{run.row.seq, index};
  const Task& task = run.task(run.instances->task_of(index));
  waiting.serial = ++waits_made;
  if (task.human) questions.insert(key);
  if (!waiting.asset.empty()) asset_waiters[waiting.asset].insert(key);
  if (!waiting.look) return true;
  const auto known = looks.find(*waiting.look);
  if (known == looks.end() && looks.size() >= config.looks_max) return false;
  Look& look = looks[*waiting.look];
  if (look.waiters.empty() || task.wait->every < look.every) {
    look.every = task.wait->every;
    looks_changed.insert(*waiting.look);
  }
  look.waiters.insert(key);
  return true;
}

/// After a restart. Nothing ends here: what has come meanwhile is told by its timer or its look.
void EngineState::resume_waits(LiveRun& run) {
  std::vector<std::uint32_t> indexes;
  for (const auto& [index, waiting] : run.waiting) indexes.push_back(index);
  std::sort(indexes.begin(), indexes.end());
  for (const std::uint32_t index : indexes) {
    Waiting& waiting = run.waiting.at(index);
    waiting.since = now.mono + -since(waiting.began);
    if (CHAPPE_MUTANT(kRestoreForgetsWaits)) continue;
    const auto understood = understand_wait(run, index, waiting);
    if (understood && register_wait(run, index)) {
      arm_wait(run, index);
      continue;
    }
    // The bound on what is looked at was lowered, say.
    settle_without_attempt(run, index, TaskState::kFailed, Reason::kLaunchFailed,
                           understood ? "more is waited for than may be looked at" : understood.error().message);
  }
}

/// The row of an instance that goes on waiting.
TaskRow EngineState::waiting_row(const LiveRun& run, std::uint32_t index) const {
  const Waiting& waiting = run.waiting.at(index);
  TaskRow row = row_of(run, index);
  row.state = TaskState::kWaiting;
  row.queued_at = waiting.began;
  row.retry_at = waiting.late_at;
  row.end.message = (waiting.late_at.is_set() ? "late: " : "") + waiting.told;
  return row;
}

// ---- Time passes ----

/// One timer a wait: for what comes next.
void EngineState::arm_wait(LiveRun& run, std::uint32_t index) {
  const Waiting& waiting = run.waiting.at(index);
  const Patience& patience = patience_of(run.task(run.instances->task_of(index)));
  const Duration waited = now.mono - waiting.since;
  std::optional<Duration> next;
  const auto consider = [&](Duration left) { next = std::max(std::min(left, next.value_or(left)), Duration(0)); };
  if (waiting.until.is_set()) consider(std::min<Duration>(waiting.until - now.wall, kClockLook));
  if (waiting.length) consider(*waiting.length - waited);
  if (patience.timeout) consider(*patience.timeout - waited);
  if (patience.late_after && !waiting.late_at.is_set()) consider(*patience.late_after - waited);
  if (!next) return;
  add_timer(*next, Timer::Kind::kWait, static_cast<std::uint64_t>(InstanceKey{run.row.seq, index}.row()),
            waiting.serial);
}

void EngineState::on_wait_timer(LiveRun& run, std::uint32_t index, std::uint64_t serial) {
  const auto found = run.waiting.find(index);
  if (found == run.waiting.end() || found->second.serial != serial) return;
  const Waiting& waiting = found->second;
  const Patience& patience = patience_of(run.task(run.instances->task_of(index)));
  const Duration waited = now.mono - waiting.since;
  const bool came =
      (waiting.until.is_set() && waiting.until <= now.wall) || (waiting.length && *waiting.length <= waited);
  if (came) {
    end_with_time(run, index);
    return judge_due(run);
  }
  if (patience.timeout && *patience.timeout <= waited && !CHAPPE_MUTANT(kWaitsForEver)) {
    give_up_wait(run, index);
    return judge_due(run);
  }
  if (patience.late_after && *patience.late_after <= waited && !waiting.late_at.is_set()) tell_late(run, index);
  arm_wait(run, index);
}

/// Tells the owner, once a wait. Where notifications begin: the row of the audit log is durable.
void EngineState::tell_late(LiveRun& run, std::uint32_t index) {
  Waiting& waiting = run.waiting.at(index);
  waiting.late_at = now.wall;
  store_row(run, index, waiting_row(run, index));
  tell_watchers(run, HookEvent::kLate);
  audit({"scheduler", ""}, "task.late", fmt::format("run {} {}", run.row.id.text(), run.instances->name_of(index)),
        to_json(ValueMap{{"dag", run.row.dag},
                         {"owner", run.dag->owner},
                         {"waits_for", waiting.told},
                         {"since", to_iso8601(waiting.began)}}));
  notify(run, Notice::kLate, index,
         fmt::format("{} is late: it waits for {} since {}", run.instances->name_of(index), waiting.told,
                     told_time(waiting.began)));
}

void EngineState::give_up_wait(LiveRun& run, std::uint32_t index) {
  const Task& task = run.task(run.instances->task_of(index));
  const Patience& patience = patience_of(task);
  const Waiting& waiting = run.waiting.at(index);
  const auto last = newest_assets.find(waiting.asset);
  if (patience.on_timeout == OnTimeout::kUseLast && last != newest_assets.end()) {
    return end_with_asset(run, index, last->second, true);
  }
  std::string message = fmt::format("{} within {}: {}{}", task.human ? "no answer" : "nothing came",
                                    to_text(*patience.timeout), task.human ? "" : "it waited for ", waiting.told);
  if (patience.on_timeout == OnTimeout::kUseLast) message += ", and there is no earlier version";
  if (patience.on_timeout == OnTimeout::kSkip) {
    return settle_without_attempt(run, index, TaskState::kSkipped, Reason::kNone, std::move(message));
  }
  settle_without_attempt(run, index, TaskState::kFailed, Reason::kTimeout, std::move(message));
}

// ---- What it waits for comes ----

void EngineState::end_with_time(LiveRun& run, std::uint32_t index) {
  const std::string message = "waited for " + run.waiting.at(index).told;
  end_wait(run, index, {{"at", to_iso8601(now.wall)}}, message);
}

/// `last`: nothing new came, and the task says to go on with what there is. The version is its input, so that lineage
/// tells what the tasks behind it went on with.
void EngineState::end_with_asset(LiveRun& run, std::uint32_t index, const AssetVersion& version, bool last) {
  const std::string message =
      fmt::format("version {}, published at {}{}", version.id.value, told_time(version.published_at),
                  last ? ": the last good one, nothing newer came in time" : "");
  InputObject object{.name = "asset", .path = "", .key = version.key, .size = version.size, .sha256 = version.sha256};
  object.packed = version.packed;
  object.asset = version.id;
  object.producer = version.producer;
  object.producer_attempt = version.attempt;
  end_wait(run, index,
           {{"version", static_cast<std::int64_t>(version.id.value)},
            {"uri", version.uri},
            {"published_at", to_iso8601(version.published_at)},
            {"used_last", last}},
           message);
  out.persist.inputs.push_back({{run.row.seq, index}, run.states[index].attempt, std::move(object)});
}

/// It ends well. Whoever calls judges what is due.
void EngineState::end_wait(LiveRun& run, std::uint32_t index, ValueMap values, std::string message) {
  TaskRow row = waiting_row(run, index);
  row.retry_at = {};
  row.state = TaskState::kSuccess;
  row.attempt = new_attempt();
  ++row.attempt_no;
  row.end = {.started_at = row.queued_at, .ended_at = now.wall, .message = std::move(message)};
  InstanceOutputs& kept = run.fresh_outputs(index);
  for (auto& [name, value] : values) {
    kept.values.push_back({.name = name, .value = std::move(value)});
    out.persist.values.push_back({row.key, row.attempt, kept.values.back(), now.wall});
  }
  settle(run, index, std::move(row));
}

void EngineState::forget_wait(LiveRun& run, std::uint32_t index) {
  const auto found = run.waiting.find(index);
  if (found == run.waiting.end()) return;
  const Waiting& waiting = found->second;
  const InstanceKey key{run.row.seq, index};
  questions.erase(key);
  if (const auto waiters = asset_waiters.find(waiting.asset); waiters != asset_waiters.end()) {
    waiters->second.erase(key);
    if (waiters->second.empty()) asset_waiters.erase(waiters);
  }
  if (const auto look = waiting.look ? looks.find(*waiting.look) : looks.end(); look != looks.end()) {
    look->second.waiters.erase(key);
    if (look->second.waiters.empty()) {
      looks_changed.insert(look->first);
      looks.erase(look);
    }
  }
  run.waiting.erase(found);
}

/// Cost: O(those that wait for what was published).
void EngineState::tell_asset_waiters() {
  for (const std::string& name : std::exchange(assets_changed, {})) {
    const auto found = asset_waiters.find(name);
    if (found == asset_waiters.end() || CHAPPE_MUTANT(kPublicationWakesNobody)) continue;
    const std::set<InstanceKey> waiters = found->second;  // Those whose wait ends leave it.
    for (const InstanceKey key : waiters) {
      LiveRun& run = *find_run(key.run);
      const auto waiting = run.waiting.find(key.index);
      if (waiting == run.waiting.end()) continue;  // The end of another one has stopped its run.
      const AssetVersion* version = awaited_version(waiting->second);
      if (version == nullptr) continue;
      end_with_asset(run, key.index, AssetVersion(*version), false);
      judge_due(run);
    }
  }
}

void EngineState::on(const LookReported& event) {
  if (event.target.kind == LookTarget::Kind::kListing) return on_listing(event);
  const auto found = looks.find(event.target);
  if (found == looks.end()) {
    looks_changed.insert(event.target);  // The order to stop has crossed it, or was for another scheduler.
    return;
  }
  if (event.what == LookReported::What::kNotYet) {
    found->second.told = shortened(event.message);
    return;
  }
  const std::set<InstanceKey> waiters = found->second.waiters;
  for (const InstanceKey key : waiters) {
    LiveRun& run = *find_run(key.run);
    const auto waiting = run.waiting.find(key.index);
    if (waiting == run.waiting.end()) continue;
    if (event.what == LookReported::What::kThere) {
      const std::string message = "found " + waiting->second.told;
      end_wait(run, key.index, event.found, message);
    } else {
      settle_without_attempt(run, key.index, TaskState::kFailed, Reason::kLaunchFailed, shortened(event.message));
    }
    judge_due(run);
  }
  // Whoever looks has stopped; those that came to wait as others went need another look.
  if (looks.contains(event.target)) looks_changed.insert(event.target);
}

/// What the shell is told of each target that changed: the last word of this step.
void EngineState::order_looks() {
  for (const LookTarget& target : std::exchange(looks_changed, {})) {
    const auto look = looks.find(target);
    LookOrder& order = out.looks.emplace_back(LookOrder{.target = target, .every = {}});
    if (look != looks.end()) order.every = look->second.every;
  }
}

// ---- For people ----

std::string EngineState::explain_wait(const LiveRun& run, std::uint32_t index) const {
  const Waiting& waiting = run.waiting.at(index);
  const Task& task = run.task(run.instances->task_of(index));
  const Patience& patience = patience_of(task);
  std::string text = task.human ? fmt::format("an answer to '{}' (chappe human)", waiting.told) : waiting.told;
  text += fmt::format(", since {}", told_time(waiting.began));
  if (waiting.late_at.is_set()) text += ", late";
  if (patience.timeout) {
    constexpr std::string_view kThen[] = {"fails", "is skipped", "goes on with the last version"};
    text += fmt::format("; it {} at {}", kThen[static_cast<std::size_t>(patience.on_timeout)],
                        told_time(waiting.began + *patience.timeout));
  }
  const auto look = waiting.look ? looks.find(*waiting.look) : looks.end();
  if (look != looks.end() && !look->second.told.empty()) text += "; last look: " + look->second.told;
  return text;
}

}  // namespace chappe
