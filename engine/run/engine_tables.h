/// \file
/// What the engine's tables hold. Private to engine/run.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "engine/run/events.h"
#include "engine/run/live_run.h"
#include "engine/run/records.h"

namespace chappe {

/// Of attempt ids and batch numbers; the epoch stands above them.
inline constexpr int kCounterBits = 40;

/// An attempt that is assigned to a worker.
struct LeasedAttempt {
  InstanceKey key;
  WallTime queued_at;
  WallTime started_at;      ///< Not set until the worker said so.
  std::uint64_t batch = 0;  ///< Of the WorkerSend that told the worker; 0: it said itself that it holds it.
  bool cancel_sent = false;
};

/// Of a worker in a pod that was made for one attempt.
struct PodState {
  AttemptId attempt;  ///< 0: it has ended, and the pod is being removed.
  MonoTime deadline;  ///< For its worker to join.
  bool started = false;
  bool draining = false;
  std::string told;  ///< Why it does not run yet, or what becomes of it.
};

struct WorkerState {
  WorkerRow row;
  ConnectionId connection;  ///< 0: not heard of since the scheduler started.
  std::uint64_t hello = 0;  ///< Number of the newest one.
  MonoTime lease_until;
  std::map<std::string, std::string> labels;
  std::set<std::string> taints;
  Features features;
  std::unordered_map<AttemptId, LeasedAttempt> leased;
  std::size_t room = 0;                   ///< Position in `rooms`; meaningful while connected.
  std::optional<MonoTime> impostor_told;  ///< When the audit log was last told of one.
  std::optional<PodState> pod;
  bool draining = false;                                                  ///< It said so, on this connection.
  bool has_room() const { return connection && !pod; }                    ///< Others may be placed there.
  bool is_expected() const { return pod && row.incarnation == row.pod; }  ///< A pod's worker that has not joined yet.
};

/// "; " and what becomes of its pod; "" where it has none, or nothing was heard of that.
inline std::string why_pod_goes(const WorkerState& worker) {
  return worker.pod && !worker.pod->told.empty() ? "; " + worker.pod->told : "";
}

struct Timer {
  MonoTime at;
  enum class Kind : std::uint8_t {
    kRetry,
    kQueueTimeout,
    kRunTimeout,
    kLease,
    kWait,
    kPod,
    kDeadline,
    kRunDeadline
  } kind = Kind::kRetry;
  std::uint64_t what = 0;   ///< Instance row, run or worker.
  std::uint64_t token = 0;  ///< Attempt number and generation: a timer whose token is behind does nothing.
  bool operator>(const Timer& other) const { return at > other.at; }
};

struct Pool {
  std::string name;
  std::uint32_t slots = 0;  ///< 0: unbounded.
  std::uint32_t taken = 0;
};

/// Who asked, and from where.
struct Asked {
  const std::string& by;
  const std::string& source;
};

/// A DAG that is deployed, or was.
struct Deployment {
  DeploymentRow row;
  DagPtr dag;     ///< Null: nothing starts it.
  WallTime next;  ///< The next time of its schedule after row.fired_to; not set: none.
  WallTime due;   ///< When that makes its run: with jitter.
  enum class Turn : std::uint8_t {
    kNone,    ///< Nothing is due, ever.
    kByTime,  ///< In EngineState::due_times.
    kInLine,  ///< Due, and in EngineState::due_line.
    kHeld,    ///< Due, but so many of its runs are queued that it waits for one of them to begin.
  } turn = Turn::kNone;
  std::map<EventSource, std::deque<TriggerEventRow>> events;  ///< That wait, oldest first; none is empty.
  bool events_in_line = false;                                ///< In EngineState::event_line.
  /// By source, for those of kObject that were looked at: by object, which version was seen.
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> seen;
  std::set<std::string> unread;  ///< Of these, those that have more news than may wait.
};

/// A backfill that is not over.
struct Backfill {
  BackfillRow row;
  DagPtr dag;             ///< Null: its text does not load any more; it starts no runs.
  ValueMap params;        ///< Of each run, resolved.
  std::set<RunSeq> live;  ///< Its runs that are not over.
  bool asked = false;     ///< The runs of its next dates are being looked up.
};

/// Something outside that is being looked at.
struct Look {
  std::set<InstanceKey> waiters;  ///< Not empty, but of a listing, which is for whoever listens (`consumers`).
  Duration every{};               ///< The shortest that anybody asked for.
  std::string told;               ///< Why it is not there, as far as it is known.
};

/// A call from outside that was kept as an event, until it is answered.
struct WebhookCall {
  Ticket ticket;
  std::string dag;
  EventId event;
};

struct KnownRequest {
  RunId run;
  RunState state = RunState::kQueued;  ///< Once the run is not live any more: how it ended.
};

}  // namespace chappe
