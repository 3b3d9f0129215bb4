#include "tests/simulation/laws.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/world.h"

namespace chappe::simulation {
std::string_view name_of(Law law) {
  constexpr std::array<std::string_view, 43> kNames{
      "assertion",      "one_winner",  "manifest_exists", "dependencies_first",
      "save_then_tell", "edges",       "budgets",         "fence",
      "epoch",          "overlap",     "reads_committed", "lineage",
      "requests",       "room",        "one_version",     "keeps_winners",
      "restore",        "schedules",   "self_fence",      "own_attempts_only",
      "bounds",         "runs_end",    "quiet",           "no_crash_loop",
      "foretold",       "calm",        "rests",           "aliases",
      "visible_once",   "run_verdict", "keeps_results",   "waits",
      "cached",         "events",      "backfills",       "told",
      "states",         "past",        "deadlines",       "hooks",
      "retention",      "services",    "pruning"};
  return kNames[static_cast<std::size_t>(law)];
}

void Laws::broken(Law law, std::string message) {
  if (violation_) return;
  world_.journal.note("a law is broken", static_cast<std::uint64_t>(law));
  violation_ = Violation{law, std::move(message)};
}

/// The last folder of an object's key is its attempt's; 0: it is none of ours.
AttemptId Laws::attempt_of(const std::string& key) {
  constexpr std::size_t kDigits = 16;
  const std::size_t slash = key.rfind('/');
  if (slash == std::string::npos || slash < kDigits) return {};
  return parse_attempt_id(std::string_view(key).substr(slash - kDigits, kDigits)).value_or(AttemptId{});
}

bool Laws::leased(AttemptId attempt) const {
  const auto key = attempts_.find(attempt);
  if (key == attempts_.end()) return false;
  const TaskRow& row = rows_.at(key->second);
  return row.attempt == attempt && (row.state == TaskState::kQueued || row.state == TaskState::kRunning);
}

std::string Laws::holder(AttemptId attempt) const {
  const TaskRow& row = rows_.at(attempts_.at(attempt));
  const auto worker = world_.store.tables().workers.find(row.worker);
  return worker == world_.store.tables().workers.end() ? "" : worker->second.incarnation;
}

void Laws::lets_go(const std::string& incarnation) {
  if (!world_.plan.spares_workers()) return;
  for (const auto& [attempt, key] : attempts_) {
    if (leased(attempt) && holder(attempt) == incarnation)
      broken(Law::kCalm, name(key) + " loses its worker to scaling");
  }
}

// ---- The scheduler ----

void Laws::granted(const Request& request, const RunId& run) {
  if (request.kind == Request::Kind::kMoveAlias) return world_.saw(Sight::kAliasMovedByPerson);
  if (request.kind == Request::Kind::kAnswer) return check_answer(request);
  if (request.kind == Request::Kind::kDeploy) {
    const bool deployed = world_.store.tables().deployments.contains(world_.listeners[request.story].dag->name);
    if (!deployed) broken(Law::kRequests, "a person was told that a DAG is deployed, and it is not");
    return;
  }
  if (request.kind == Request::Kind::kCallWebhook) return check_called(request, run);
  if (request.kind == Request::Kind::kBackfill || request.kind == Request::Kind::kChangeBackfill) return;
  const auto found =
      std::find_if(runs_.begin(), runs_.end(), [&](const auto& each) { return each.second.row.id == run; });
  if (found == runs_.end()) return broken(Law::kRequests, "a person was told of a run that is not durable");
  const RunView& view = found->second;
  if (view.story->number != request.story) broken(Law::kRequests, "a person was told of the run of somebody else");
  if (request.kind == Request::Kind::kRetry) world_.saw(Sight::kRunTriedAgain);
  if (request.kind == Request::Kind::kMark) world_.saw(Sight::kTaskMarked);
  if (request.kind != Request::Kind::kCancel) return;
  const bool cancelled = view.row.stop == Stop::kCancel || view.row.stop >= Stop::kCutShort || is_final(view.row.state);
  if (!cancelled) broken(Law::kRequests, "a person was told that a run is cancelled, and it is not");
}

/// A result is acknowledged in the pass that takes it in, and the outputs of one that came too late are cleaned up.
void Laws::check_answered(const AttemptFinished& finished, const Effects& effects, bool newest) {
  const AttemptId attempt = finished.what.attempt;
  const auto answer = std::find_if(effects.send.begin(), effects.send.end(),
                                   [&](const WorkerSend& send) { return send.to == finished.connection; });
  if (answer == effects.send.end()) return broken(Law::kSaveThenTell, "a result has no answer");
  if (answer->hello_please) return;
  const auto& told = answer->acknowledged;
  if (std::find(told.begin(), told.end(), attempt) == told.end()) {
    return broken(Law::kSaveThenTell, "a result is not acknowledged: " + to_text(attempt));
  }
  const auto key = attempts_.find(attempt);
  if (key == attempts_.end() || leased(attempt) || won_.contains(attempt) || unpublishable_.contains(attempt)) return;
  const RunView& run = runs_.at(key->second.run);
  const bool knowable =
      newest && world_.plan.honest() && run.row.state == RunState::kRunning && run.row.generation == 1;
  if (!knowable || finished.outputs == nullptr || finished.outputs->objects.empty()) return;
  const bool dropped = std::any_of(effects.drop.begin(), effects.drop.end(),
                                   [&](const DropOutputs& drop) { return drop.what.attempt == attempt; });
  if (!dropped) broken(Law::kQuiet, "outputs of an attempt that lost are not cleaned up: " + to_text(attempt));
}

void Laws::stepped(const std::vector<Event>& events, const Effects& effects, bool newest) {
  listings_ = 0;
  for (const Event& event : events) {
    if (const auto* look = std::get_if<LookReported>(&event)) {
      listings_ += look->what == LookReported::What::kListed ? 1U : 0U;
    }
    if (const auto* joined = std::get_if<WorkerJoined>(&event)) draining_.erase(joined->connection);
    if (const auto* drains = std::get_if<WorkerDraining>(&event)) draining_.insert(drains->connection);
    if (const auto* finished = std::get_if<AttemptFinished>(&event)) {
      if (!leased(finished->what.attempt)) world_.saw(Sight::kLateResult);
      check_answered(*finished, effects, newest);
    }
    if (std::holds_alternative<PublishFailed>(event)) world_.saw(Sight::kPublishFailed);
  }
  std::size_t assigned = 0;
  for (const WorkerSend& send : effects.send) assigned += send.assign.size();
  const auto is_join = [](const Event& event) { return std::holds_alternative<WorkerJoined>(event); };
  const auto joined = static_cast<std::size_t>(std::ranges::count_if(events, is_join));  // A pod gets its attempt then.
  if (assigned > world_.engine_config().assign_max + joined)
    broken(Law::kBounds, "one step assigns more than its bound");
}

void Laws::told(const WorkerSend& send, bool newest) {
  if (send.hello_please) world_.saw(Sight::kHelloAskedFor);
  for (const Assignment& each : send.assign) {
    const auto row = rows_.find(each.key);
    if (row == rows_.end() || row->second.attempt != each.attempt) {
      broken(Law::kSaveThenTell, fmt::format("attempt {} is told, but not durable", to_text(each.attempt)));
    }
    note_state_told(each, newest);
    check_scale(each);
    check_conditions(each);
    if (newest) check_services_told(each);
    if (draining_.contains(send.to)) broken(Law::kRoom, "a worker that drains is given an attempt");
  }
  for (const AttemptId attempt : send.acknowledged) {
    if (won_.contains(attempt)) world_.saw(Sight::kWinnerAcknowledgedAgain);
    // A worker that speaks of what is not its own may be told anything about it.
    const auto worker = world_.network.worker_on(send.to);
    const bool own = worker && leased(attempt) && holder(attempt) == world_.workers[*worker]->incarnation();
    if (own && newest) {
      broken(Law::kSaveThenTell, fmt::format("the result of {} is acknowledged, but not durable", to_text(attempt)));
    }
  }
  for (const CancelAttempt& cancel : send.cancel) {
    world_.saw(cancel.forget ? Sight::kForgetSent : Sight::kCancelSent);
  }
}

void Laws::publishes(const PublishAssets& publish) {
  if (!published_.insert(publish.attempt).second) world_.saw(Sight::kPublishRepeated);
  if (!won_.contains(publish.attempt)) broken(Law::kSaveThenTell, "assets of no winner are published");
}

void Laws::drops(const DropOutputs& drop) {
  world_.saw(Sight::kOutputsDropped);
  const AttemptId attempt = drop.what.attempt;
  if (won_.contains(attempt) || leased(attempt)) {
    broken(Law::kKeepsWinners, fmt::format("outputs of {}, which won or may win, are dropped", to_text(attempt)));
  }
}

void Laws::restored(const std::string& before, const std::string& after) {
  world_.saw(Sight::kRestoredCompared);
  if (before != after) broken(Law::kRestore, fmt::format("before: {}\nrestored: {}", before, after));
}

// ---- The workers ----

void Laws::worker_hears(std::uint32_t worker, const WorkerSend& send) {
  world_.journal.note("hears", worker, send.batch, send.assign.size());
  if (send.welcome && send.welcome->epoch < world_.store.epoch()) world_.saw(Sight::kStaleScheduler);
}

void Laws::agent_acted(std::size_t held, const agent::AgentOrders& orders) {
  if (held > agent::kHeldMax) broken(Law::kBounds, "an agent holds more attempts than its bound");
  if (!orders.returned.empty()) world_.saw(Sight::kAttemptReturned);
}

void Laws::starts(std::uint32_t worker, const Assignment& what, bool fenced, bool draining) {
  if (fenced) broken(Law::kSelfFence, fmt::format("w{} starts {} without word", worker + 1, to_text(what.attempt)));
  if (draining) broken(Law::kRoom, fmt::format("w{} starts {} while it drains", worker + 1, to_text(what.attempt)));
  if (world_.workers[worker]->features() == Features::all()) return;
  world_.saw(Sight::kOldWorkerStarts);
  if (what.work->kind == TaskKind::kHttp) {
    broken(Law::kRoom, fmt::format("w{} starts {}, which it is too old to know", worker + 1, to_text(what.attempt)));
  }
}

void Laws::program_begins(std::uint32_t worker, const Assignment& what) {
  if (!begun_.insert(what.attempt).second) {
    broken(Law::kOneWinner, fmt::format("the program of {} begins twice", to_text(what.attempt)));
  }
  LiveProgram& program = live_[what.attempt];
  program = {what.key, worker, what.work->resources.cpu_milli, false};
  together(program);
  constexpr std::int64_t kCores = 2000;
  if ((cpu_running_[worker] += program.cpu_milli) > kCores) {
    broken(Law::kRoom, fmt::format("w{} runs more than it has room for", worker + 1));
  }
}

void Laws::program_ends(AttemptId attempt) {
  const auto found = live_.find(attempt);
  if (found == live_.end()) return;
  cpu_running_[found->second.worker] -= found->second.cpu_milli;
  if (!found->second.frozen) apart(found->second);
  live_.erase(found);
}

void Laws::program_freezes(AttemptId attempt) {
  LiveProgram& program = live_.at(attempt);
  apart(program);
  program.frozen = true;
}

void Laws::program_thaws(AttemptId attempt) {
  LiveProgram& program = live_.at(attempt);
  program.frozen = false;
  together(program);
}

void Laws::together(LiveProgram& program) {
  Together& together = together_[program.key];
  if (++together.running != 2) return;
  together.since = world_.time.now();
  world_.saw(Sight::kTwoAttemptsAtOnce);
}

void Laws::apart(LiveProgram& program) {
  Together& together = together_[program.key];
  if (together.running-- != 2) return;
  const Duration overlap = world_.time.now() - together.since;
  if (overlap <= world_.plan.lease + world_.network.longest_way()) return;
  broken(Law::kOverlap, fmt::format("two programs of {} ran side by side for {}", name(program.key), to_text(overlap)));
}

void Laws::reads(const Assignment& what, const InputObject& object, const std::string& content) {
  if (!committed_objects_.contains(object.key)) broken(Law::kReadsCommitted, object.key + " is read, not committed");
  if (!inputs_.contains({what.attempt, object.key}))
    broken(Law::kReadsCommitted, object.key + " is read, not recorded");
  if (content != object.sha256) broken(Law::kManifestExists, object.key + " has another hash than its manifest says");
}

void Laws::input_missing(const Assignment& what, const InputObject& object, const Error& error) {
  if (error.code != ErrorCode::kNotFound) return;
  if (doomed_.contains(object.key) && !leased(what.attempt)) return;  // Nobody waits for it any more.
  broken(Law::kManifestExists, fmt::format("{} needs {}, which is not there", to_text(what.attempt), object.key));
}

void Laws::came_to(const Assignment& what, const AttemptEnd& end, const AttemptOutputs* outputs) {
  Truth truth{.reason = end.reason};
  if (outputs != nullptr) truth.objects = outputs->objects, truth.read = outputs->read;
  truth_[what.attempt] = std::move(truth);
}

// ---- Objects ----

void Laws::object_stored(const std::string& key) {
  if (committed_objects_.contains(key)) broken(Law::kManifestExists, key + " is overwritten");
}

void Laws::object_removed(const std::string& key) {
  if (pruned_.contains(run_of_object(key))) return;
  if (won_.contains(attempt_of(key)) && !doomed_.contains(key))
    broken(Law::kKeepsWinners, key + " is removed, though its attempt won");
}

void Laws::shown(const std::string& uri, const std::string& key) {
  if (!won_.contains(attempt_of(key))) broken(Law::kVisibleOnce, fmt::format("{} shows {}: no winner", uri, key));
  // Whose place another took comes back where the report of the first time got lost.
  const bool again = !shown_.insert(key).second;
  if (again && stands_[uri] == key) broken(Law::kVisibleOnce, fmt::format("{} shows {} again", uri, key));
  if (again) world_.saw(Sight::kShownAgain);
  stands_[uri] = key;
}

// ---- For those who lie and meddle ----

std::optional<HeldAttempt> Laws::some_leased_attempt(const std::string& but_of_incarnation) const {
  for (const auto& [key, row] : rows_) {
    if (row.state != TaskState::kQueued && row.state != TaskState::kRunning) continue;
    const auto worker = world_.store.tables().workers.find(row.worker);
    if (worker == world_.store.tables().workers.end()) continue;
    if (worker->second.incarnation != but_of_incarnation && world_.chance.one_in(2))
      return HeldAttempt{key, row.attempt};
  }
  return std::nullopt;
}

std::optional<std::string> Laws::some_committed_object(AttemptId but_of) const {
  for (const auto& [key, attempt] : committed_objects_) {
    if (attempt != but_of) return key;
  }
  return std::nullopt;
}

std::optional<AssetVersion> Laws::some_published_version() const {
  std::vector<const AssetVersion*> known;
  for (const auto& [id, version] : world_.store.tables().asset_versions) {
    if (version.published_at.is_set()) known.push_back(&version);
  }
  if (known.empty()) return std::nullopt;
  return *world_.chance.pick(known);
}

std::uint32_t Laws::user_tries(InstanceKey key) const { return rows_.at(key).user_tries; }

std::uint32_t Laws::generation(RunSeq run) const { return runs_.at(run).row.generation; }

const Story* Laws::story_of(RunSeq run) const {
  const auto found = runs_.find(run);
  return found == runs_.end() ? nullptr : found->second.story;
}

}  // namespace chappe::simulation
