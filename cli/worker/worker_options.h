/// \file
/// A worker's options, of `chappe worker` and of the program `chappe-worker`, which is a worker and nothing else.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "worker/app/worker.h"

namespace chappe::cli {

struct WorkerOptions {
  std::string scheduler;   ///< ZeroMQ endpoint.
  std::string server_key;  ///< The key itself, or a file with it.
  std::string key_file;
  std::string name;
  std::string work_dir;
  std::string object_store;
  double cpus = 0;
  std::string memory;  ///< "4GiB", "512MiB", bytes.
  std::uint32_t gpus = 0;
  std::vector<std::string> gpu_devices;
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

/// Those that both have.
void add_worker_options(CLI::App* command, WorkerOptions& options);

/// Errors: kInvalidInput: something is missing or out of range; as of reading the scheduler's key.
Result<WorkerConfig> worker_config(const WorkerOptions& options);

/// `chappe-worker`, from its arguments to its exit code.
int run_worker_program(int argc, char** argv);

/// "NAME=VALUE". Errors: kInvalidInput, naming the option.
Result<std::pair<std::string, std::string>> split_pair(const std::string& text, std::string_view option);

/// Of this machine; "worker" where it has no name.
std::string host_name();

}  // namespace chappe::cli
