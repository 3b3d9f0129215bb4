/// \file
/// Carries out the agent's orders: each started attempt goes through its stages, and the agent hears how it went.
///
///   fetch inputs and secrets -> run the program -> store outputs and log -> over
///
/// Stopped at any stage, an attempt goes straight to its log. Thread: the worker's loop; what blocks runs in Transfers.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/ports/object_store.h"
#include "proto/wire/wire.h"
#include "worker/agent/agent.h"
#include "worker/app/attempt_log.h"
#include "worker/app/environment.h"
#include "worker/app/work_directory.h"
#include "worker/app/worker_metrics.h"
#include "worker/artifacts/staging.h"
#include "worker/artifacts/transfers.h"
#include "worker/container/containers.h"
#include "worker/exec/oom_counter.h"
#include "worker/exec/spawner.h"

namespace chappe::worker {

struct ExecutorParts {
  agent::Agent& agent;
  WorkDirectory& directory;
  exec::Spawner& spawner;
  ObjectStore& store;
  std::function<Result<ObjectPlace>(const std::string& name)> find;  ///< What inputs name by `s3`.
  WorkerMetrics& metrics;
  container::Containers* containers = nullptr;  ///< Null: this worker runs none.
  const SecretReader& secrets;
  StoreAccess* access = nullptr;  ///< Null: tasks get nothing of the object store.
  Environment environment;
  std::function<Now()> now;
  LogBounds log_bounds{};
  std::size_t transfer_threads = 3;
  std::string owner;      ///< Label of its containers.
  std::string ca_file;    ///< Signs for those whom requests go to, beside whom the system trusts; "": nobody else.
  std::string scheduler;  ///< ZeroMQ endpoint: others are on the way there, too.
  std::string name;       ///< Of this process, for their names: two workers may hold attempts of one number.
  /// Whoever made this worker's container has bounded its memory by what its one attempt asks for
  /// (scheduler/launch/pod.h).
  bool is_bounded = false;
};

inline constexpr std::size_t kServicesMax = 256;  ///< That begin at a time; more of them are looked at later.
inline constexpr std::size_t kRequestsMax = 64;   ///< Requests and checks under way at a time; more of them wait.

class Executor {
 public:
  explicit Executor(ExecutorParts parts);
  /// Waits for the transfers that run; they are told to stop.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void start(std::shared_ptr<const Assignment> assignment);
  /// Makes an attempt ready that fetches nothing, to start when the program of the attempt `front` ends, which may
  /// itself be lined up.
  void line_up(std::shared_ptr<const Assignment> assignment, AttemptId front);
  void withdraw(AttemptId attempt);
  void stop(const agent::StopOrder& order);
  /// Takes in what the spawner has to say; call when its fd() is readable.
  void dispatch_programs();
  /// Takes in what the containers have to say; call when their fd() is readable.
  void dispatch_containers();
  /// Takes in what the transfers came to; call when transfers_fd() is readable.
  void dispatch_transfers() { transfers_.hand_back(); }
  int transfers_fd() const { return transfers_.fd(); }
  /// The same of requests.
  void dispatch_requests() { requests_.hand_back(); }
  int requests_fd() const { return requests_.fd(); }
  /// The same of services that begin.
  void dispatch_looks() { looks_.hand_back(); }
  int looks_fd() const { return looks_.fd(); }

  /// Live pieces of logs that are due, at most `bytes_max` together.
  std::vector<wire::LogChunk> log_chunks(std::size_t bytes_max);
  std::optional<MonoTime> log_chunk_due() const;

 private:
  struct Execution;
  struct Asked;
  using Executions = std::map<AttemptId, std::unique_ptr<Execution>>;

  Execution* prepare(std::shared_ptr<const Assignment> assignment);
  void fetch(Execution& execution);
  bool gives_access(const Execution& execution) const;
  bool has_to_fetch(const Execution& execution) const;
  Result<std::vector<Secret>> look_up(const Execution& execution) const;
  void take_handed(Execution& execution, std::vector<Secret> secrets);
  Result<void> write_secrets(Execution& execution, bool for_everybody);
  void forget_secrets(Execution& execution);
  void run(Execution& execution);
  Result<exec::Launch> launch_of(Execution& execution);
  void run_container(Execution& execution);
  Result<container::ContainerSpec> container_of(Execution& execution);
  Result<container::Company> company_of(Execution& execution, const container::ContainerSpec& task);
  void container_ended(AttemptId attempt, const container::ContainerEnd& end);
  AttemptEnd end_of(const Execution& execution, const container::ContainerEnd& end);
  bool give_port(Execution& execution);
  void watch_service(Execution& execution);
  void request(Execution& execution);
  void requested(Execution& execution, Asked asked);
  void measure(Execution& execution);
  void take_output(exec::ProgramId program, std::span<const std::byte> bytes);
  void take_output(Execution& execution, std::span<const std::byte> bytes);
  void append_text(AttemptLog& log, const std::string& text);
  void program_ended(exec::ProgramId program, const exec::ProcessEnd& end);
  AttemptEnd end_of(const Execution& execution, const exec::ProcessEnd& end);
  AttemptEnd not_started(const Execution& execution, const exec::ProcessEnd& end) const;
  void fail_attempt(Execution& execution, Reason reason, std::string message);
  Now at(MonoTime time) const;
  void store_outputs(Execution& execution, Now program_ended);
  void over(Execution& execution, Now now);
  void withdrawn(Execution& execution);
  void give_up_place(Execution& execution);
  void discard(std::shared_ptr<const AttemptOutputs> outputs);
  void take_last_chunks(Execution& execution);

  ExecutorParts parts_;
  exec::OomCounter oom_kills_;
  Executions executions_;
  std::unordered_map<exec::ProgramId, Execution*> by_program_;
  std::vector<Execution*> in_containers_;
  std::vector<wire::LogChunk> last_chunks_;  ///< Of attempts that are over; told before anything else.
  // Last: their threads end before what they work on goes away.
  artifacts::Transfers transfers_;
  artifacts::Transfers requests_{kRequestsMax};
  artifacts::Transfers looks_{kServicesMax};
};

/// "SIGSEGV (11)".
std::string name_of_signal(int signal);

}  // namespace chappe::worker
