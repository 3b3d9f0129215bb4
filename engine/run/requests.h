/// \file
/// What people and programs ask of the engine: those events that somebody waits for an answer to. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/value.h"
#include "engine/model/dag.h"
#include "engine/run/prune.h"
#include "engine/run/records.h"

namespace chappe {

/// A person or a program asks for a run. `params` are resolved and checked already (resolve_params).
struct RunRequested {
  Ticket ticket;
  RunId id;
  DagPtr dag;
  ValueMap params;
  std::string trigger = "manual";
  std::string requested_by;
  std::string request_id;
  WallTime logical_time;    ///< Not set: now.
  WallTime interval_start;  ///< Not set: as the schedule has it, of one of its times; else equal to interval_end.
  WallTime interval_end;    ///< Not set: equal to logical_time.
  ValueList events;         ///< Details of those that started it.
  std::string source;       ///< As AuditRow::source; so in all requests.
  RunSeq rerun_of;          ///< As RunRow::rerun_of.
  BackfillId backfill;      ///< As RunRow::backfill; nobody asks for such a run but the engine itself.
  bool no_cache = false;
};

struct CancelRequested {
  Ticket ticket;
  RunId run;
  std::string requested_by;
  std::string source;
};

/// Run failed tasks of a run again, and whatever did not run because of them. A new generation, audited.
struct RetryRequested {
  Ticket ticket;
  RunId run;
  std::vector<std::string> tasks;  ///< Task ids or instances to run again, and more as `reach` says; empty: all that
                                   ///< failed.
  std::string requested_by;
  std::shared_ptr<StoredRun> stored;  ///< The run, where the engine has let go of it (Engine::knows()).
  std::string source;
  /// Which tasks run again besides those that are named.
  struct Reach {
    bool upstream = false;     ///< All they depend on.
    bool downstream = true;    ///< All that depends on them.
    bool only_failed = false;  ///< Of all these only what did not succeed; and nothing else in the run.
  } reach;
};

/// A person says how tasks of a run ended. A new generation, audited.
struct MarkRequested {
  Ticket ticket;
  RunId run;
  std::string task;                       ///< A task id, or an instance.
  TaskState state = TaskState::kSuccess;  ///< Or kFailed, or kSkipped.
  std::string requested_by;
  std::shared_ptr<StoredRun> stored;  ///< As in RetryRequested.
  std::string source;
};

/// An administrator wants runs gone that ended before a time, as far as nothing refers to them. Answered when about a
/// thousand were looked at, with where to go on.
struct PruneRequested {
  Ticket ticket;
  WallTime before;
  std::string dag;   ///< "" for all.
  PrunePlace after;  ///< Where an earlier answer left off.
  std::string requested_by;
  std::string source;
};

/// A person asks for a backfill. `spec` and `params` are checked already (check_backfill, resolve_params).
struct BackfillRequested {
  Ticket ticket;
  DagPtr dag;
  BackfillSpec spec;
  std::uint32_t total = 0;  ///< Dates, as check_backfill() counted them.
  ValueMap params;          ///< Those that were given.
  std::string requested_by;
  std::string source;
};

struct BackfillChangeRequested {
  Ticket ticket;
  BackfillId backfill;
  BackfillState state = BackfillState::kRunning;  ///< Wanted: kRunning, kPaused or kCancelled.
  std::string requested_by;
  std::string source;
};

/// From now on new runs of this DAG are of this version, and its schedule starts them.
struct DagDeployed {
  Ticket ticket;
  DagPtr dag;
  std::string origin;  ///< As DeploymentRow::origin.
  std::string commit;  ///< As DagVersionRow::commit.
  std::string requested_by;
  std::string source;
};

/// The schedule of a deployed DAG rests, or goes on.
struct DagPauseRequested {
  Ticket ticket;
  std::string dag;
  bool paused = true;
  std::string requested_by;
  std::string source;
};

/// Nothing starts this DAG by itself any more. Its runs go on.
struct DagRemoved {
  Ticket ticket;
  std::string dag;
  std::string origin;  ///< Only if it came from there.
  std::string requested_by;
  std::string source;
};

/// A person sets a value that outlives runs.
struct StateSetRequested {
  Ticket ticket;
  std::string scope;  ///< As StateRow::scope.
  std::string name;
  Value value;
  std::optional<std::uint64_t> expect_version;  ///< That must stand there; 0: there must be none.
  std::string requested_by;
  std::string source;
};

/// Somebody outside calls a webhook of a deployed DAG. That they may was seen to already.
struct WebhookCalled {
  Ticket ticket;
  std::string dag;
  std::string webhook;
  std::string delivery;  ///< The caller's id: the same one starts one run; "": each call is another one.
  std::string type;      ///< What the caller says that it is about: "push"; "": nothing.
  Value body;            ///< JSON; null: none.
  std::string requested_by;
  std::string source;
};

/// A person moves an alias to a version, or removes it (version 0).
struct AliasMoveRequested {
  Ticket ticket;
  std::string model;
  std::string alias;
  std::optional<AssetVersion> version;
  std::string requested_by;
  std::string source;
};

/// A person makes a token of the API. The engine fills in when; `token.created_by` asks.
struct TokenRequested {
  Ticket ticket;
  TokenRow token;
  std::string source;
};

struct TokenRevokeRequested {
  Ticket ticket;
  std::string name;
  std::string requested_by;
  std::string source;
};

/// A person answers what a task asks.
struct AnswerRequested {
  Ticket ticket;
  RunId run;
  std::string task;  ///< An instance, as Instances::name_of() writes it.
  Value answers;     ///< Map; of the form's fields.
  std::string requested_by;
  bool for_others = false;  ///< May answer what others are asked.
  std::string source;
};

/// The answer to a delivery that came before. `run`: that took it, where it is known.
Value told_of_delivery(const TriggerEventRow& event, const std::optional<RunId>& run);

}  // namespace chappe
