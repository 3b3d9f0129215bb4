/// \file
/// The runs that people ask for in one world, and how each of their programs would behave: all a function of the seed.
/// So one can say how a run must end without running it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/backfill.h"
#include "engine/run/instances.h"
#include "tests/simulation/plan.h"

namespace chappe::simulation {

/// What tasks look at from time to time; the last one must not be looked at.
inline constexpr const char* kForbidden = "forbidden";
inline constexpr const char* kDrop = "drop/";  ///< Where objects come and go that triggers listen to.
inline constexpr const char* kHook = "push";   ///< The webhook of some listeners.
inline constexpr const char* kLookedAt[] = {"in/0", "in/1", "in/2", kForbidden};

/// What one program would do if nobody disturbed it.
struct Behaviour {
  Reason reason = Reason::kNone;
  std::int32_t exit_code = 0;
  Duration length{};
  bool endless = false;  ///< Ends only when somebody stops it.
};

/// One run that people ask for.
struct Story {
  std::uint64_t seed = 0;
  std::uint32_t number = 0;  ///< From 0.
  Duration program_max{};
  DagPtr dag;
  std::optional<Instances> instances;
  std::string request_id;
  bool endless = false;     ///< Some task never ends: people cancel the run in the end.
  bool comparable = false;  ///< How it ends is known beforehand, unless people meddle.

  /// `tries`: failures that were charged to the user's retries so far.
  Behaviour behaviour(std::uint32_t index, std::uint32_t tries, std::uint32_t generation) const;
  /// What says how an instance behaves: not its position, where that depends on the order of things.
  std::uint64_t nature(std::uint32_t index) const;
  /// What a program of these leaves as its value: how many items a fan-out over it has.
  std::int64_t value(std::uint32_t index, std::uint32_t generation) const;
  /// That value is in an object, as if it were too large to be told.
  bool leaves_large_value(std::uint32_t index) const;
  /// What the bytes of an output are, told by what they were made of. 64 hex digits.
  std::string content(std::string_view instance, std::string_view output, const std::vector<std::string>& inputs) const;
};

/// A task that lets time pass.
void add_wait(Dag& dag, Duration length);

inline constexpr std::uint32_t kListenerNumbers = 1'000'000;  ///< Of stories that nobody asks for.
/// DAGs that are deployed, and that events start.
std::vector<Story> make_listeners(const Plan& plan);
inline constexpr std::uint32_t kChildNumber = 2'000'000;
inline constexpr const char* kChild = "child";
/// The DAG that tasks start runs of.
Story make_child(const Plan& plan);
/// Lets some of its tasks do so. True: some do, and how they end is not foretold.
bool add_runs(std::uint64_t seed, Dag& dag);
/// Lets its runs share their places with those of other DAGs.
void add_group(std::uint64_t seed, Dag& dag);
/// Lets its runs publish what its tasks leave.
void add_run_outputs(std::uint64_t seed, Dag& dag);
/// More of them, that time starts.
void add_clocks(const Plan& plan, std::vector<Story>& listeners);
inline constexpr WallTime kWallBegin{1'800'000'000'000'000};
inline constexpr std::uint32_t kCatchUpAll = 1'000;  ///< More times than a history has.
Story make_story(const Plan& plan, std::uint32_t number);

/// A DAG with a schedule, of which people ask for backfills.
struct Past {
  Story story;  ///< Of all its runs.
  std::vector<BackfillSpec> specs;
  WallTime by_hand;  ///< The logical time of a run that a person asks for.
};
/// In some worlds. `number`: of its story.
std::optional<Past> make_past(const Plan& plan, std::uint32_t number);

/// Fan-outs over results, and such that some items may fail, in place of plain ones. False: how the run ends depends on
/// when things happen.
/// Lets people be told of some of what comes to its runs.
void add_notices(std::uint64_t seed, Dag& dag);
/// Lets some of its tasks, and itself, have deadlines. True: how it ends may depend on when things happen.
bool add_deadlines(std::uint64_t seed, Dag& dag);
/// Makes results of some of its tasks be used again.
void add_caches(std::uint64_t seed, std::uint32_t story, Dag& dag);
/// In some DAGs that have many runs: a task whose result the others use again, and that goes after a while.
void add_leaver(std::uint64_t seed, Dag& dag);
/// Lets artifacts of some of its runs go when they have been kept for a while.
void add_retention(std::uint64_t seed, Dag& dag);
bool add_shapes(std::uint64_t seed, Dag& dag);
/// Lets some fan-outs go item by item with one above them. False: how the run ends depends on when things happen.
bool add_depth_first(std::uint64_t seed, Dag& dag);
/// Lets some of its tasks have hooks. False: how often they run depends on when things happen.
bool add_hooks(std::uint64_t seed, Dag& dag);
/// Makes its last task tear down what one that it waits for has set up.
void add_teardown(std::uint64_t seed, Dag& dag);
/// Lets some of its tasks read and write a state that all stories share. True: some do, and may be refused it.
bool add_states(std::uint64_t seed, Dag& dag);
/// Lets some of its tasks declare datasets outside.
void add_lineage(std::uint64_t seed, Dag& dag);
/// Makes services of some of its programs. True: some are, and how they end depends on when things happen.
bool add_services(std::uint64_t seed, Dag& dag);
/// Lets some of its programs read an object that nobody here has made.
void add_object_inputs(std::uint64_t seed, Dag& dag);
/// Makes requests of some of its programs.
void add_requests(std::uint64_t seed, Dag& dag);
/// Some tasks measure data.
void add_checks(std::uint64_t seed, Dag& dag);
/// Of a check.
bool holds(const CheckCondition& condition);
/// Gives it more short programs than a worker has room for, and requests among them.
void add_short_requests(std::uint64_t seed, Dag& dag);
/// Or sends a request: an attempt of it takes room, and ends in its own way.
bool runs_program(const Task& task);
inline constexpr const char* kStateName = "c";

inline constexpr std::string_view kValueName = "n";

/// How an instance must end where nothing but its own program decides.
struct Expected {
  TaskState state = TaskState::kNone;
  bool allowed = false;
  std::map<std::string, std::string> outputs;  ///< Name to content.
};

/// Requires: `story.comparable`. Independent of the engine: walks the DAG in the order of its tasks.
std::vector<Expected> foretell(const Story& story);

}  // namespace chappe::simulation
