/// \file
/// The daemons as commands: their options, put together from flags, environment and the state directory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/worker/worker_options.h"
#include "engine/base/result.h"

namespace chappe::cli {

/// What the configuration file says anew.
struct RereadOptions {
  std::vector<std::string> pools;
  std::vector<std::string> locks;
};

struct NotifyOptions {
  std::string secrets;  ///< A directory.
  std::string smtp;
  std::string smtp_login;  ///< A file.
  std::string smtp_ca;     ///< Likewise.
  std::string defaults;    ///< Likewise.
  std::string mail_from;
  std::vector<std::string> commands;  ///< NAME=PATH
};

struct SchedulerOptions {
  std::string state_dir;
  std::string listen;
  std::string worker_listen;
  std::string object_store;
  std::string authorized_workers;
  std::string lease;
  std::string run_retention;            ///< "": for ever.
  std::vector<std::string> pools;       ///< NAME=SLOTS
  std::vector<std::string> locks;       ///< NAME=PLACES
  std::vector<std::string> wait_files;  ///< Directories.
  std::string dags;                     ///< A folder of DAG files that deploy themselves.
  struct Kubernetes {
    std::string namespace_name;  ///< "": no pods.
    std::string api;             ///< "": that of the pod that this is.
    std::string token_file;
    std::string ca_file;
    std::string pod_template;
    std::string image;
    std::string scheduler;
    std::uint32_t pods_max = 100;
    std::string default_executor = "worker";  ///< Or "kubernetes".
    std::string workers;                      ///< A Deployment that is kept as large as it needs to be; "": none.
    std::string workers_namespace;            ///< "": the namespace of the pod that this is.
    std::uint32_t workers_min = 0;
    std::uint32_t workers_max = 10;
    std::string workers_idle;   ///< A duration; "": FleetBounds'.
    std::string workers_every;  ///< Likewise, FleetConfig's.
  } kubernetes;
  NotifyOptions notify;
  bool quit_with_parent = false;
  std::function<Result<RereadOptions>()> reread;
};

int start_scheduler(const SchedulerOptions& options);
/// What was not said is that of a scheduler on this machine, as its state directory `given` ("": the usual one) has it;
/// waits up to 30 s for it. Requires: the process has one thread.
int start_worker(WorkerOptions options, const std::string& given);

}  // namespace chappe::cli
