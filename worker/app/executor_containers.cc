// Attempts that run in a container: what it is handed, and what its end means. The rest is in executor.cc.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "engine/base/assert.h"
#include "worker/app/execution.h"
#include "worker/container/holder.h"
#include "worker/exec/control_groups.h"

namespace chappe::worker {
namespace {

using container::EndKind;

/// As many open files as the worker itself may have: its processes inherit that, and a runtime may not give more.
std::uint64_t files_max() {
  constexpr std::uint64_t kUnlimited = 1 << 20;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return std::min<std::uint64_t>(limit.rlim_max, kUnlimited);
}

}  // namespace

void Executor::run_container(Execution& execution) {
  if (parts_.containers == nullptr) {
    return fail_attempt(execution, Reason::kLaunchFailed, "this worker runs no containers");
  }
  Result<container::ContainerSpec> spec = container_of(execution);
  if (!spec) return fail_attempt(execution, reason_of(spec.error()), spec.error().message);
  Result<container::Company> company = company_of(execution, *spec);
  if (!company) return fail_attempt(execution, reason_of(company.error()), company.error().message);
  const Result<void> launched = parts_.containers->launch(*std::move(spec), *std::move(company));
  if (!launched) return fail_attempt(execution, reason_of(launched.error()), launched.error().message);
  execution.in_container = true;
  in_containers_.push_back(&execution);
}

Result<container::ContainerSpec> Executor::container_of(Execution& execution) {
  const Assignment& assignment = *execution.assignment;
  const ResolvedWork& work = execution.work();
  AttemptFolder& folder = *execution.folder;
  const Result<std::string> params = parts_.directory.acquire_params(*assignment.run);
  if (!params) return fail(params.error());
  execution.has_params = true;
  // For any user of a container; on the machine itself nobody gets past the directory that it is in.
  if (::chmod(params->c_str(), 0444) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("open {} to the container: {}", *params, std::strerror(errno)));
  }
  container::ContainerSpec spec;
  spec.attempt = execution.id();
  spec.name = fmt::format("chappe-{}-{}", to_text(execution.id()), parts_.name);
  spec.labels = {{container::kOwnerLabel, parts_.owner},
                 {"chappe.attempt", to_text(execution.id())},
                 {"chappe.run", assignment.run->id.text()},
                 {"chappe.dag", assignment.run->dag},
                 {"chappe.task", assignment.task}};
  spec.image = work.image;
  spec.argv = argv_of(work, container::kScriptInside);
  if (auto written = write_secrets(execution, true); !written) return fail(written.error());
  const std::string ca_file = execution.handed.store == nullptr ? "" : execution.handed.store->ca_file;
  const Places places{container::kWorkInside, container::kTmpInside, container::kParamsInside,
                      container::kSecretsInside, ca_file.empty() ? "" : container::kCaInside};
  spec.env = parts_.environment.of(assignment, places, execution.handed);
  spec.directory = container::kWorkInside;
  spec.mounts = {{folder.work, container::kWorkInside, false},
                 {folder.tmp, container::kTmpInside, false},
                 {*params, container::kParamsInside, true}};
  if (execution.has_secret_files) spec.mounts.push_back({folder.secrets(), container::kSecretsInside, true});
  if (!ca_file.empty()) spec.mounts.push_back({ca_file, container::kCaInside, true});
  spec.options = work.container;
  spec.resources = work.resources;
  spec.pids_max = static_cast<std::uint64_t>(exec::processes_max());
  spec.files_max = files_max();
  if (!work.command.empty()) return spec;
  folder.has_files = true;
  if (auto written = write_file(folder.script(), work.script, true); !written) return fail(written.error());
  spec.mounts.push_back({folder.script(), container::kScriptInside, true});
  return spec;
}

/// What runs beside `task`: like it in all that is not said.
Result<container::Company> Executor::company_of(Execution& execution, const container::ContainerSpec& task) {
  container::Company company;
  if (execution.work().sidecars.empty()) return company;
  for (const Sidecar& sidecar : execution.work().sidecars) {
    container::SidecarContainer one{.name = sidecar.name, .container = {}};
    one.port = sidecar.port;
    one.ready_path = sidecar.ready_path;
    one.ready_timeout = sidecar.ready_timeout;
    one.container.attempt = task.attempt;
    one.container.name = task.name + "-" + sidecar.name;
    one.container.labels = task.labels;
    one.container.labels.emplace_back("chappe.sidecar", sidecar.name);
    one.container.image = sidecar.image;
    one.container.argv = sidecar.command;
    one.container.args = sidecar.args;
    for (const auto& [name, value] : sidecar.env) one.container.env.push_back(name + "=" + value);
    one.container.options = sidecar.container;
    one.container.resources = sidecar.resources;
    one.container.pids_max = task.pids_max;
    one.container.files_max = task.files_max;
    company.sidecars.push_back(std::move(one));
  }
  company.grace = execution.assignment->work->kill_grace;
  company.holder = execution.folder->root + "/hold";
  execution.folder->has_files = true;
  const std::string program(container::holder_program());
  if (auto written = write_file(company.holder, program, true); !written) return fail(written.error());
  if (::chmod(company.holder.c_str(), 0755) == 0) return company;
  return fail(ErrorCode::kUnavailable, fmt::format("make {} a program: {}", company.holder, std::strerror(errno)));
}

void Executor::dispatch_containers() {
  const auto running = [this](AttemptId attempt) -> Execution& {
    const auto found = executions_.find(attempt);
    CHAPPE_ASSERT(found != executions_.end() && found->second->in_container);
    return *found->second;
  };
  parts_.containers->dispatch(
      {[&](AttemptId attempt) {
         parts_.agent.program_started(attempt, parts_.now());
         if (running(attempt).work().service) watch_service(running(attempt));
       },
       [&](AttemptId attempt, std::span<const std::byte> bytes) { take_output(running(attempt), bytes); },
       [this](AttemptId attempt, const container::ContainerEnd& end) { container_ended(attempt, end); }});
}

void Executor::container_ended(AttemptId attempt, const container::ContainerEnd& end) {
  const auto found = executions_.find(attempt);
  CHAPPE_ASSERT(found != executions_.end() && found->second->in_container);
  Execution& execution = *found->second;
  execution.in_container = false;
  execution.unwatch();
  forget_secrets(execution);
  std::erase(in_containers_, &execution);
  append_text(execution.log, execution.mask.rest());
  execution.end = end_of(execution, end);
  const Now ended = at(end.ended_at);
  parts_.agent.program_ended(attempt, ended);
  store_outputs(execution, ended);
}

AttemptEnd Executor::end_of(const Execution& execution, const container::ContainerEnd& end) {
  AttemptEnd result = execution.end;
  result.image = end.image;
  result.usage.cpu_us = end.cpu_us;
  result.usage.peak_memory_bytes = end.peak_memory_bytes;
  if (end.kind != EndKind::kExited) {
    result.reason = end.kind == EndKind::kLost ? Reason::kLostWorker : Reason::kLaunchFailed;
    result.message = end.message;
    return result;
  }
  result.exit_code = end.exit_code;
  if (end.exit_code == 0) return result;
  const int signal = end.exit_code - 128;
  const bool killed_for_memory = end.outgrew_memory || (end.memory_untold && signal == SIGKILL && oom_kills_.claim());
  if (killed_for_memory && !end.terminated) {
    result.reason = Reason::kOom;
    result.message = fmt::format("killed by the kernel: it outgrew the {} MiB of its resources.memory",
                                 execution.work().resources.memory_bytes >> 20);
  } else if (end.fenced) {
    result.reason = Reason::kLostWorker;
    result.message = "stopped because the worker had no word from the scheduler";
  } else if (signal > 0 && signal < NSIG) {
    result.reason = Reason::kSignal;
    result.message = "ended by " + name_of_signal(signal);
  } else {
    result.reason = Reason::kExitCode;
    result.message = fmt::format("exit code {}", end.exit_code);
  }
  return result;
}

}  // namespace chappe::worker
