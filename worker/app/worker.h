/// \file
/// The worker daemon: configuration and wiring of spawner, agent, artifacts and the link to the scheduler.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "worker/app/secret_reader.h"

namespace chappe {

struct WorkerConfig {
  std::string scheduler;           ///< ZeroMQ endpoint.
  std::string server_key;          ///< The scheduler's CURVE public key.
  std::filesystem::path key_file;  ///< This worker's secret key (proto/transport/keys.h).
  std::string key;                 ///< The key itself, instead.
  std::string name = "worker";     ///< One live worker per (name, work_dir): its lock sees to that.
  std::filesystem::path work_dir;  ///< Attempts run beneath it (worker/app/work_directory.h).
  std::string object_store;        ///< As SchedulerConfig::object_store; must be the same store.
  std::uint32_t cpu_milli = 0;     ///< 0: the cores this process may use.
  std::uint64_t memory_bytes = 0;  ///< 0: the machine's or the cgroup's.
  std::uint32_t gpus = 0;
  std::vector<std::string> gpu_devices;  ///< Their names, one each (worker/container/gpu_pool.h).
  std::map<std::string, std::string> labels;
  std::set<std::string> taints;
  std::vector<std::string> task_env;  ///< Names of our own variables that tasks get, too; NAME* stands for several.
  worker::SecretSources secrets;      ///< What DAGs may ask for.
  bool store_credentials = true;      ///< Tasks find address and credentials of an S3 object store.
  std::string container_socket;   ///< Of a runtime such as Podman; "": wherever there is one; "none": no containers.
  std::string metrics_listen;     ///< "HOST:PORT" where Prometheus may read; "": nowhere.
  bool keep_work_dirs = false;    ///< For debugging: do not remove an attempt's directory.
  bool one_attempt = false;       ///< Take one attempt, whatever it needs, and leave. SIGTERM stops it.
  bool quit_with_parent = false;  ///< Stop when the process that started this one is gone.
};

/// Starts the spawner first, then everything else; runs until SIGTERM or SIGINT (drains: no new attempts, waits for
/// those it has up to the lease). Must be called before the process has any thread. Returns an exit code.
int run_worker(const WorkerConfig& config);

}  // namespace chappe
