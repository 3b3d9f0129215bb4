#include "worker/app/executor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "engine/base/assert.h"
#include "engine/lineage/objects.h"
#include "engine/ports/log.h"
#include "worker/app/execution.h"
#include "worker/app/secret_mask.h"

namespace chappe::worker {
namespace {

constexpr std::size_t kLastChunksMax = 256;  ///< Of 60 KiB; more are left to the stored logs.

/// The words of `text`, cut at spaces: "/bin/bash -eu".
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

Result<void> store_text(ObjectStore& store, const std::string& key, const std::string& text) {
  PutOptions options;
  options.content_type = "text/plain";
  auto writer = store.create(key, options, text.size());
  if (!writer) return fail(writer.error());
  if (auto written = (*writer)->write(std::as_bytes(std::span(text))); !written) return written;
  auto stored = (*writer)->finish();
  if (!stored) return fail(stored.error());
  return {};
}

/// With the times of its lines, in front of it: whoever finds the log finds them.
Result<std::uint64_t> store_log(ObjectStore& store, const std::string& prefix, const AttemptLog& log,
                                const LogTimes& times) {
  PutOptions options;
  options.content_type = "text/plain";
  const std::string told = times.to_text();
  if (told.size() <= LogTimes::kShortMax) {
    options.metadata.emplace_back(kLogTimes, told);
  } else if (auto kept = store_text(store, prefix + std::string(kLogTimesObject), told); !kept) {
    return fail(kept.error());
  }
  auto writer = store.create(prefix + "log", options, log.stored_size());
  if (!writer) return fail(writer.error());
  auto copied = log.read_stored([&](std::span<const std::byte> bytes) { return (*writer)->write(bytes); });
  if (!copied) return fail(copied.error());
  auto stored = (*writer)->finish();
  if (!stored) return fail(stored.error());
  return stored->size;
}

}  // namespace

std::vector<std::string> argv_of(const ResolvedWork& work, const std::string& script) {
  if (!work.command.empty()) return work.command;
  std::vector<std::string> argv = words(work.shell.empty() ? "/bin/sh -eu" : work.shell);
  argv.push_back(script);
  return argv;
}

Result<void> write_file(const std::string& file, const std::string& text, bool for_everybody) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       (!for_everybody || ::fchmod(fd, 0644) == 0);
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("write {}: {}", file, std::strerror(error)));
}

Reason reason_of(const Error& error) {
  return error.code == ErrorCode::kInvalidInput ? Reason::kLaunchFailed : Reason::kArtifactIo;
}

std::string name_of_signal(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{} ({})", name, signal) : fmt::format("signal {}", signal);
}

Executor::Executor(ExecutorParts parts) : parts_(std::move(parts)), transfers_(parts_.transfer_threads) {}

Executor::~Executor() {
  for (const auto& [attempt, execution] : executions_) {
    execution->stopped = true;
    execution->unwatch();
  }
}

/// Null: the attempt is over already.
Executor::Execution* Executor::prepare(std::shared_ptr<const Assignment> assignment) {
  CHAPPE_ASSERT(assignment->run != nullptr);
  auto owned = std::make_unique<Execution>();
  Execution& execution = *owned;
  execution.assignment = std::move(assignment);
  const Assignment& what = *execution.assignment;
  execution.prefix = attempt_prefix(what.run->dag, what.run->id, what.task, what.map_key, what.attempt);
  executions_.emplace(execution.id(), std::move(owned));
  Result<AttemptFolder> folder = parts_.directory.acquire(execution.id());
  if (!folder) {
    fail_attempt(execution, reason_of(folder.error()), folder.error().message);
    return nullptr;
  }
  execution.log = AttemptLog(folder->log(), parts_.log_bounds);
  execution.folder = std::move(*folder);
  return &execution;
}

void Executor::start(std::shared_ptr<const Assignment> assignment) {
  Execution* execution = prepare(std::move(assignment));
  if (execution == nullptr) return;
  if (has_to_fetch(*execution)) return fetch(*execution);
  take_handed(*execution, {});
  run(*execution);
}

void Executor::line_up(std::shared_ptr<const Assignment> assignment, AttemptId front) {
  Execution* execution = prepare(std::move(assignment));
  if (execution == nullptr) return;
  CHAPPE_ASSERT(execution->work().http == nullptr && execution->work().check == nullptr);
  if (has_to_fetch(*execution)) return withdrawn(*execution);  // Our credentials have run out meanwhile.
  take_handed(*execution, {});
  const Result<exec::Launch> launch = launch_of(*execution);
  if (!launch) return fail_attempt(*execution, reason_of(launch.error()), launch.error().message);
  const auto found = executions_.find(front);
  const exec::ProgramId program = found != executions_.end() ? found->second->program : 0;
  if (!parts_.spawner.can_wait_behind(program)) return withdrawn(*execution);
  const Result<exec::ProgramId> waiting = parts_.spawner.launch_behind(program, *launch);
  if (!waiting) return fail_attempt(*execution, reason_of(waiting.error()), waiting.error().message);
  execution->program = *waiting;
  by_program_.emplace(*waiting, execution);
}

void Executor::withdraw(AttemptId attempt) {
  const auto found = executions_.find(attempt);
  if (found != executions_.end() && found->second->program != 0) parts_.spawner.withdraw(found->second->program);
}

void Executor::stop(const agent::StopOrder& order) {
  const auto found = executions_.find(order.attempt);
  if (found == executions_.end()) return;
  found->second->stopped = true;
  if (found->second->program != 0) parts_.spawner.stop(found->second->program, order.grace);
  if (found->second->in_container) parts_.containers->stop(order.attempt, order.grace);
}

// ---- Fetch inputs and secrets -------------------------------------------------------------------------------------

void Executor::fetch(Execution& execution) {
  execution.transferring = transfers_.submit([this, &execution] {
    auto secrets = look_up(execution);
    artifacts::Staged<artifacts::StagedIn> staged;
    if (secrets) {
      staged = artifacts::stage_in({parts_.store, execution.folder->work, execution.stopped, {}, parts_.find},
                                   execution.work().inputs);
    }
    return [this, &execution, secrets = std::move(secrets), staged = std::move(staged)]() mutable {
      execution.transferring = false;
      if (!secrets) return fail_attempt(execution, reason_of(secrets.error()), secrets.error().message);
      take_handed(execution, *std::move(secrets));
      if (!staged) return fail_attempt(execution, staged.error().reason, staged.error().message);
      execution.end.usage.bytes_in = staged->bytes;
      execution.read = std::move(staged->read);
      run(execution);
    };
  });
  if (!execution.transferring) fail_attempt(execution, Reason::kArtifactIo, "too many transfers are under way");
}

// ---- Run the program ----------------------------------------------------------------------------------------------

void Executor::run(Execution& execution) {
  if (execution.stopped) return over(execution, parts_.now());
  if (execution.work().http != nullptr) return request(execution);
  if (execution.work().check != nullptr) return measure(execution);
  if (execution.work().service && !give_port(execution)) return;
  if (!execution.work().image.empty()) return run_container(execution);
  const Result<exec::Launch> launch = launch_of(execution);
  if (!launch) return fail_attempt(execution, reason_of(launch.error()), launch.error().message);
  const Result<exec::ProgramId> program = parts_.spawner.launch(*launch);
  if (!program) return fail_attempt(execution, reason_of(program.error()), program.error().message);
  execution.program = *program;
  by_program_.emplace(*program, &execution);
  parts_.agent.program_started(execution.id(), parts_.now());
  if (execution.work().service) watch_service(execution);
}

Result<exec::Launch> Executor::launch_of(Execution& execution) {
  const Assignment& assignment = *execution.assignment;
  const AttemptFolder& folder = *execution.folder;
  const Result<std::string> params = parts_.directory.acquire_params(*assignment.run);
  if (!params) return fail(params.error());
  execution.has_params = true;
  exec::Launch launch;
  launch.directory = folder.work;
  launch.grace = assignment.work->kill_grace;
  // A bound of ours would be reached first, and make allocations fail: nobody could tell that from a fault of the
  // program.
  if (!parts_.is_bounded) launch.memory_bytes = assignment.work->resources.memory_bytes;
  if (auto written = write_secrets(execution, false); !written) return fail(written.error());
  Places places{folder.work, folder.tmp, *params, folder.secrets(), ""};
  if (execution.handed.store != nullptr) places.ca_file = execution.handed.store->ca_file;
  launch.env = parts_.environment.of(assignment, places, execution.handed);
  launch.argv = argv_of(*assignment.work, folder.script());
  if (!assignment.work->command.empty()) return launch;
  execution.folder->has_files = true;
  auto written = write_file(folder.script(), assignment.work->script, false);
  if (!written) return fail(written.error());
  return launch;
}

void Executor::take_output(exec::ProgramId program, std::span<const std::byte> bytes) {
  const auto found = by_program_.find(program);
  if (found != by_program_.end()) take_output(*found->second, bytes);
}

void Executor::take_output(Execution& execution, std::span<const std::byte> bytes) {
  if (execution.mask.hides_nothing()) return execution.log.append(bytes, parts_.now().mono);
  append_text(execution.log, execution.mask.mask({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

void Executor::append_text(AttemptLog& log, const std::string& text) {
  if (!text.empty()) log.append(std::as_bytes(std::span(text)), parts_.now().mono);
}

void Executor::program_ended(exec::ProgramId program, const exec::ProcessEnd& end) {
  const auto found = by_program_.find(program);
  CHAPPE_ASSERT(found != by_program_.end());
  Execution& execution = *found->second;
  by_program_.erase(found);
  execution.program = 0;
  execution.unwatch();
  forget_secrets(execution);
  if (end.kind == exec::EndKind::kWithdrawn) return withdrawn(execution);
  append_text(execution.log, execution.mask.rest());
  execution.end = end_of(execution, end);
  const Now ended = at(end.ended_at);
  parts_.agent.program_ended(execution.id(), ended);
  store_outputs(execution, ended);
}

/// What both clocks showed then.
Now Executor::at(MonoTime time) const {
  const Now now = parts_.now();
  return {now.wall + (time - now.mono), time};
}

AttemptEnd Executor::not_started(const Execution& execution, const exec::ProcessEnd& end) const {
  const ResolvedWork& work = execution.work();
  const std::string program = work.command.empty() ? words(work.shell + " /bin/sh").front() : work.command.front();
  AttemptEnd result = execution.end;
  result.reason = Reason::kLaunchFailed;
  if (end.directory_failed) {
    result.message = fmt::format("enter the work directory: {}", std::strerror(end.code));
  } else if (end.code == ENOENT && program.find('/') == std::string::npos) {
    result.message = fmt::format("start '{}': there is no such program on this worker's PATH", program);
  } else if (end.code == ENOEXEC) {
    result.message = fmt::format("start '{}': it is no program; a script needs a first line like '#!/bin/sh'", program);
  } else {
    result.message = fmt::format("start '{}': {}", program, std::strerror(end.code));
  }
  return result;
}

AttemptEnd Executor::end_of(const Execution& execution, const exec::ProcessEnd& end) {
  if (end.kind == exec::EndKind::kNotStarted) return not_started(execution, end);
  AttemptEnd result = execution.end;
  result.usage.cpu_us = end.cpu_us;
  result.usage.peak_memory_bytes = end.peak_memory_bytes;
  if (end.kind == exec::EndKind::kLost) {
    result.reason = Reason::kLostWorker;
    result.message = "the process that watched the task was killed";
    return result;
  }
  const bool signalled = end.kind == exec::EndKind::kSignalled;
  result.exit_code = signalled ? 128 + end.code : end.code;
  if (result.exit_code == 0) return result;
  if (end.outgrew_memory && !end.terminated) {
    result.reason = Reason::kOom;
    result.message = fmt::format("killed by the kernel: it outgrew the {} MiB of its resources.memory",
                                 execution.work().resources.memory_bytes >> 20);
    // A shell tells 128 + 9 when it was its child that was killed.
  } else if (result.exit_code == 128 + SIGKILL && !end.terminated && oom_kills_.claim()) {
    result.reason = Reason::kOom;
    result.message =
        fmt::format("killed by the kernel for memory; its largest process had {} MiB", end.peak_memory_bytes >> 20);
  } else if (end.fenced) {
    result.reason = Reason::kLostWorker;
    result.message = "stopped because the worker had no word from the scheduler";
  } else {
    result.reason = signalled ? Reason::kSignal : Reason::kExitCode;
    result.message = signalled ? "ended by " + name_of_signal(end.code) : fmt::format("exit code {}", end.code);
  }
  return result;
}

void Executor::fail_attempt(Execution& execution, Reason reason, std::string message) {
  execution.end.reason = reason;
  execution.end.message = std::move(message);
  over(execution, parts_.now());
}

// ---- Store outputs and log ----------------------------------------------------------------------------------------

void Executor::store_outputs(Execution& execution, Now program_ended) {
  const ResolvedWork& work = execution.work();
  const bool has_outputs = execution.end.reason == Reason::kNone && parts_.agent.wanted(execution.id()) &&
                           !(work.outputs.empty() && work.values.empty());
  if (!has_outputs && execution.log.empty()) return over(execution, program_ended);
  LogTimes times = execution.log.times(parts_.now());
  execution.transferring = transfers_.submit([this, &execution, has_outputs, times = std::move(times)] {
    std::optional<artifacts::Staged<artifacts::StagedOut>> staged;
    if (has_outputs) {
      staged = artifacts::stage_out({parts_.store, execution.folder->work, execution.stopped}, execution.prefix,
                                    execution.id(), execution.work());
    }
    Result<std::uint64_t> logged = std::uint64_t{0};
    if (!execution.log.empty()) logged = store_log(parts_.store, execution.prefix, execution.log, times);
    return [this, &execution, staged = std::move(staged), logged = std::move(logged)]() mutable {
      execution.transferring = false;
      // The log is there to help; an attempt does not fail for it.
      if (!logged) log::warn("store the log of attempt {}: {}", to_text(execution.id()), logged.error().message);
      if (!staged) return over(execution, parts_.now());
      if (!*staged) return fail_attempt(execution, (*staged).error().reason, (*staged).error().message);
      execution.end.usage.bytes_out = (*staged)->bytes;
      execution.outputs = std::make_shared<AttemptOutputs>(std::move((*staged)->outputs));
      over(execution, parts_.now());
    };
  });
  if (!execution.transferring) fail_attempt(execution, Reason::kArtifactIo, "too many transfers are under way");
}

void Executor::over(Execution& execution, Now now) {
  CHAPPE_ASSERT(execution.program == 0 && !execution.in_container && !execution.transferring);
  take_last_chunks(execution);
  parts_.metrics.ended(execution.end);
  if (!execution.read.empty()) {
    if (execution.outputs == nullptr) execution.outputs = std::make_shared<AttemptOutputs>();
    execution.outputs->read = std::move(execution.read);
  }
  const std::shared_ptr<const AttemptOutputs> outputs = std::move(execution.outputs);
  if (!parts_.agent.ended(execution.id(), execution.end, outputs, now) && outputs != nullptr) discard(outputs);
  give_up_place(execution);
}

void Executor::withdrawn(Execution& execution) {
  parts_.agent.withdrawn(execution.id(), parts_.now());
  give_up_place(execution);
}

void Executor::give_up_place(Execution& execution) {
  forget_secrets(execution);
  if (execution.has_params) parts_.directory.release_params(*execution.assignment->run);
  if (execution.folder && execution.log.in_file()) execution.folder->has_files = true;
  if (execution.folder && parts_.directory.release(*execution.folder)) {
    const auto remove = [root = execution.folder->root] {
      WorkDirectory::remove(root);
      return [] {};
    };
    if (!transfers_.submit(remove)) WorkDirectory::remove(execution.folder->root);
  }
  executions_.erase(execution.id());
}

void Executor::discard(std::shared_ptr<const AttemptOutputs> outputs) {
  const bool submitted = transfers_.submit([this, outputs] {
    artifacts::discard(parts_.store, *outputs);
    return [] {};
  });
  if (!submitted) log::warn("outputs of an unwanted attempt stay in the object store until they are swept up");
}

// ---- Logs ---------------------------------------------------------------------------------------------------------

void Executor::take_last_chunks(Execution& execution) {
  while (auto chunk = execution.log.next_chunk(parts_.now().mono, true)) {
    if (last_chunks_.size() == kLastChunksMax) return;
    last_chunks_.push_back({execution.held(), chunk->offset, std::move(chunk->data)});
  }
}

std::vector<wire::LogChunk> Executor::log_chunks(std::size_t bytes_max) {
  std::vector<wire::LogChunk> chunks;
  std::size_t bytes = 0;
  const auto add = [&](wire::LogChunk chunk) {
    bytes += chunk.data.size();
    chunks.push_back(std::move(chunk));
  };
  std::size_t taken = 0;
  while (taken < last_chunks_.size() && bytes < bytes_max) add(std::move(last_chunks_[taken++]));
  last_chunks_.erase(last_chunks_.begin(), last_chunks_.begin() + static_cast<std::ptrdiff_t>(taken));
  const MonoTime now = parts_.now().mono;
  const auto add_of = [&](Execution& execution) {
    if (bytes >= bytes_max) return;
    auto chunk = execution.log.next_chunk(now, false);
    if (chunk) add({execution.held(), chunk->offset, std::move(chunk->data)});
  };
  for (const auto& [program, execution] : by_program_) add_of(*execution);
  for (Execution* execution : in_containers_) add_of(*execution);
  return chunks;
}

std::optional<MonoTime> Executor::log_chunk_due() const {
  if (!last_chunks_.empty()) return MonoTime{0};
  std::optional<MonoTime> due;
  const auto look_at = [&](const Execution& execution) {
    const auto one = execution.log.chunk_due();
    if (one && (!due || *one < *due)) due = one;
  };
  for (const auto& [program, execution] : by_program_) look_at(*execution);
  for (const Execution* execution : in_containers_) look_at(*execution);
  return due;
}

void Executor::dispatch_programs() {
  parts_.spawner.dispatch(
      {[this](exec::ProgramId program, std::span<const std::byte> bytes) { take_output(program, bytes); },
       [this](exec::ProgramId program, const exec::ProcessEnd& end) { program_ended(program, end); }});
}

}  // namespace chappe::worker
