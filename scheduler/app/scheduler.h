/// \file
/// The scheduler daemon: configuration, wiring and the loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/model/retention.h"
#include "scheduler/app/pods.h"
#include "scheduler/notify/channels.h"

namespace chappe {

/// What of the configuration may change while a scheduler runs.
struct SchedulerBounds {
  std::vector<std::pair<std::string, std::uint32_t>> pools;
  std::vector<std::pair<std::string, std::uint32_t>> locks;
};

/// State directory, made with mode 0700 at the first start:
///   chappe.db            metadata store (and -wal, -shm)
///   lock                 flock of the one scheduler
///   token                API token, 0600, one line
///   keys/                scheduler.key/.pub, worker.key/.pub (CURVE), authorized_workers
///   endpoint.json        {"api": URL, "workers": ZEROMQ-ENDPOINT, "pid": N}; there only while the daemon is ready
///   objects/             object store where none is configured
///   workers/NAME/        work directories of local workers
struct SchedulerConfig {
  std::filesystem::path state_dir;
  std::string api_listen = "127.0.0.1:0";           ///< HOST:PORT; 0: a free port.
  std::string worker_listen = "tcp://127.0.0.1:*";  ///< ZeroMQ endpoint.
  std::string object_store;                         ///< "" = STATE/objects; "file:///DIR"; "s3://BUCKET[/PREFIX]".
  std::filesystem::path authorized_workers;         ///< "" = STATE/keys/authorized_workers
  Duration lease = std::chrono::seconds(60);
  Duration run_retention = kForever;  ///< Runs that ended longer ago go, as far as nothing refers to them.
  SchedulerBounds bounds;
  std::function<Result<SchedulerBounds>()> reload;  ///< Reads them anew, at a SIGHUP.
  std::vector<std::filesystem::path> wait_files;    ///< Directories beneath which tasks may wait for files. Absolute.
  bool quit_with_parent = false;                    ///< Stop when the process that started this one is gone.
  notify::ChannelConfig notify;                     ///< How people are told.
  std::filesystem::path dags;                       ///< A folder of DAG files that deploy themselves; "": none.
  KubernetesConfig kubernetes;                      ///< Of tasks with `executor: kubernetes`.
};

/// Exit codes of the daemon; a supervisor restarts it after kRestart.
inline constexpr int kExitOk = 0, kExitFailure = 1, kExitRestart = 75;

/// Runs until SIGTERM or SIGINT. Returns an exit code; errors are logged and printed as one line on stderr.
int run_scheduler(const SchedulerConfig& config);

}  // namespace chappe
