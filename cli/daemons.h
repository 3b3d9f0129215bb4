/// \file
/// The daemons as commands: their options, put together from flags, environment and the state directory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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
  } kubernetes;
  NotifyOptions notify;
  bool quit_with_parent = false;
  std::function<Result<RereadOptions>()> reread;
};

struct WorkerOptions {
  std::string state_dir;   ///< Of a scheduler on this machine: its address, keys and object store.
  std::string scheduler;   ///< ZeroMQ endpoint; "": from the state directory, waiting up to 30 s for it.
  std::string server_key;  ///< The key itself, or a file with it; "": from the state directory.
  std::string key_file;
  std::string name;
  std::string work_dir;
  std::string object_store;
  double cpus = 0;
  std::string memory;  ///< "4GiB", "512MiB", bytes.
  std::uint32_t gpus = 0;
  std::vector<std::string> labels;  ///< NAME=VALUE
  std::vector<std::string> taints;
  std::vector<std::string> task_env;
  std::string task_credentials = "store";  ///< Or "none".
  std::vector<std::string> secret_env;
  std::string secret_files;
  std::string vault;
  std::string vault_token_file;
  std::string vault_namespace;
  std::string vault_ca;
  std::string container_socket;  ///< As WorkerConfig's.
  std::string metrics_listen;
  bool keep_work_dirs = false;
  bool one_attempt = false;  ///< As the worker of a pod: its key is in the environment, its work directory given.
  std::string copy_to;       ///< Not "": put this program there, and do no more.
  bool quit_with_parent = false;
};

int start_scheduler(const SchedulerOptions& options);
/// Requires: the process has one thread.
int start_worker(const WorkerOptions& options);

}  // namespace chappe::cli
