/// \file
/// What the executor knows of one attempt that it carries out. Private to worker/app.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "worker/app/executor.h"
#include "worker/app/secret_mask.h"

namespace chappe::worker {

struct Executor::Execution {
  std::shared_ptr<const Assignment> assignment;
  std::string prefix;                 ///< Of its objects' keys.
  std::atomic<bool> stopped = false;  ///< Read by its transfers.
  std::optional<AttemptFolder> folder;
  bool has_params = false;
  bool transferring = false;
  exec::ProgramId program = 0;  ///< 0: none runs.
  bool in_container = false;    ///< One was launched, and has not ended.
  Handed handed;
  bool has_secret_files = false;
  AttemptLog log;
  SecretMask mask;  ///< Between the program and its log.
  AttemptEnd end;
  std::vector<InputObject> read;  ///< What it read by `s3`.
  std::shared_ptr<AttemptOutputs> outputs;

  std::shared_ptr<std::atomic<bool>> unwatched;  ///< Of a service that was looked at: nobody need do so any more.

  ~Execution() { unwatch(); }
  void unwatch() const {
    if (unwatched != nullptr) *unwatched = true;
  }
  AttemptId id() const { return assignment->attempt; }
  HeldAttempt held() const { return {assignment->key, assignment->attempt}; }
  const ResolvedWork& work() const { return *assignment->work; }
};

/// The program and its arguments; of a script, with the file that it stands in.
std::vector<std::string> argv_of(const ResolvedWork& work, const std::string& script);
/// `for_everybody`: whatever user reads it.
Result<void> write_file(const std::string& file, const std::string& text, bool for_everybody);
/// A full disk or a missing slot is this worker's trouble, not the task's.
Reason reason_of(const Error& error);

}  // namespace chappe::worker
