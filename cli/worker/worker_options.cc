#include "cli/worker/worker_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "proto/transport/keys.h"
#include "worker/container/gpu_pool.h"

namespace chappe::cli {
namespace {

constexpr double kCpusMax = 100'000;
constexpr std::uint32_t kGpusMax = 1024;

/// Bytes from "512MiB", "4GiB", "2G" (powers of 1,024, as Kubernetes has them with an i, and workers mean them).
Result<std::uint64_t> parse_bytes(const std::string& text) {
  if (text.empty()) return 0;
  double number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  std::string_view unit(read.ptr, static_cast<std::size_t>(end - read.ptr));
  if (unit.ends_with("B")) unit.remove_suffix(1);
  if (unit.ends_with("i")) unit.remove_suffix(1);
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t power = unit.size() == 1 ? kUnits.find(unit[0]) : std::string_view::npos;
  if (read.ec != std::errc() || !(number > 0) || (!unit.empty() && power == std::string_view::npos)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is no amount of memory; write 512MiB or 4GiB", text));
  }
  return static_cast<std::uint64_t>(std::ldexp(number, unit.empty() ? 0 : static_cast<int>(power + 1) * 10));
}

/// The key itself, or what stands in the file.
Result<std::string> find_server_key(const std::string& given) {
  constexpr std::size_t kKeySize = 40;
  if (given.size() == kKeySize && given.find('/') == std::string::npos) return given;
  return transport::load_public_key(given);
}

/// Taken out of the environment, where the programs of tasks might read it.
std::string take_join_key() {
  char* const key = std::getenv("CHAPPE_JOIN_KEY");
  if (key == nullptr) return "";
  std::string taken = key;
  std::fill(key, key + taken.size(), '*');
  return taken;
}

/// What DAGs may ask this worker for.
worker::SecretSources secret_sources(const WorkerOptions& options) {
  const char* const token = std::getenv("VAULT_TOKEN");
  return {.env = options.secret_env,
          .files = options.secret_files,
          .vault = {.address = options.vault,
                    .token = token == nullptr ? "" : token,
                    .token_file = options.vault_token_file,
                    .namespace_name = options.vault_namespace,
                    .ca_file = options.vault_ca}};
}

/// What the scheduler tells the worker in a pod: all of it, and nothing of a state directory.
Result<WorkerConfig> pod_worker_config(const WorkerOptions& options) {
  WorkerConfig config{.scheduler = options.scheduler, .server_key = options.server_key, .key = take_join_key()};
  for (const auto& [given, name] : {std::pair(&options.scheduler, "--scheduler"),
                                    {&options.server_key, "--server-key"},
                                    {&options.work_dir, "--work-dir"},
                                    {&options.object_store, "--object-store"},
                                    {&std::as_const(config.key), "CHAPPE_JOIN_KEY in the environment"}}) {
    if (given->empty()) return fail(ErrorCode::kInvalidInput, fmt::format("--one-attempt needs {}", name));
  }
  auto key = transport::from_hex_key(config.key);
  if (!key) return fail(std::move(key.error()).in("CHAPPE_JOIN_KEY"));
  config.key = *std::move(key);
  auto server_key = transport::from_hex_key(config.server_key);
  if (!server_key) return fail(std::move(server_key.error()).in("--server-key"));
  config.server_key = *std::move(server_key);
  config.name = options.name.empty() ? host_name() : options.name;
  config.work_dir = options.work_dir;
  config.object_store = options.object_store;
  config.secrets = secret_sources(options);
  config.store_credentials = options.task_credentials == "store";
  config.one_attempt = true;
  config.quit_with_parent = options.quit_with_parent;
  return config;
}

void add_secrets(CLI::App* command, WorkerOptions& options) {
  command
      ->add_option("--task-credentials", options.task_credentials,
                   "'store': tasks find address and credentials of an S3 object store (the default); or 'none'")
      ->check(CLI::IsMember({"store", "none"}))
      ->envname("CHAPPE_TASK_CREDENTIALS");
  command
      ->add_option("--secret-env", options.secret_env,
                   "DAGs may name the worker's variable NAME as a secret; 'PG*' stands for several; may be repeated")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->envname("CHAPPE_SECRET_ENV");
  command->add_option("--secret-files", options.secret_files, "DAGs may name files in DIRECTORY as secrets")
      ->envname("CHAPPE_SECRET_FILES");
  command->add_option("--vault", options.vault, "Vault's address, such as https://vault:8200, for secrets of DAGs")
      ->envname("VAULT_ADDR");
  command
      ->add_option("--vault-token-file", options.vault_token_file,
                   "File with a token for Vault, read each time; default: VAULT_TOKEN")
      ->envname("CHAPPE_VAULT_TOKEN_FILE");
  command->add_option("--vault-namespace", options.vault_namespace, "Namespace of Vault; default: the root's")
      ->envname("VAULT_NAMESPACE");
  command->add_option("--vault-ca", options.vault_ca, "Who signs for Vault; default: the system's")
      ->envname("VAULT_CACERT");
}

}  // namespace

Result<std::pair<std::string, std::string>> split_pair(const std::string& text, std::string_view option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} {}: write it as NAME=VALUE", option, text));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? std::string(name) : std::string("worker");
}

/// Errors: kInvalidInput: names that are none, twice the same, or not as many as GPUs.
Result<void> take_gpus(const WorkerOptions& options, WorkerConfig& config) {
  const auto wrong = [](std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); };
  config.gpus = options.gpus;
  config.gpu_devices = options.gpu_devices.empty() ? container::usual_gpus(options.gpus) : options.gpu_devices;
  if (options.gpus > kGpusMax) return wrong(fmt::format("--gpus: at most {}", kGpusMax));
  if (config.gpus == 0) config.gpus = static_cast<std::uint32_t>(config.gpu_devices.size());
  if (config.gpu_devices.size() != config.gpus) {
    return wrong(fmt::format("--gpus {} and {} times --gpu-device: name as many as there are", config.gpus,
                             config.gpu_devices.size()));
  }
  for (const std::string& device : config.gpu_devices) {
    if (auto named = container::check_gpu_name(device); !named)
      return fail(std::move(named.error()).in("--gpu-device"));
    if (std::count(config.gpu_devices.begin(), config.gpu_devices.end(), device) > 1) {
      return wrong(fmt::format("--gpu-device {}: it is named twice", device));
    }
  }
  return {};
}

Result<WorkerConfig> worker_config(const WorkerOptions& options) {
  if (options.one_attempt) return pod_worker_config(options);
  for (const auto& [given, name] : {std::pair(&options.scheduler, "--scheduler"),
                                    {&options.server_key, "--server-key"},
                                    {&options.key_file, "--key-file"},
                                    {&options.work_dir, "--work-dir"},
                                    {&options.object_store, "--object-store"}}) {
    if (given->empty()) return fail(ErrorCode::kInvalidInput, fmt::format("{}: it is missing", name));
  }
  WorkerConfig config{.scheduler = options.scheduler,
                      .key_file = options.key_file,
                      .name = options.name.empty() ? host_name() : options.name,
                      .work_dir = options.work_dir,
                      .object_store = options.object_store,
                      .task_env = options.task_env,
                      .secrets = secret_sources(options),
                      .store_credentials = options.task_credentials == "store",
                      .metrics_listen = options.metrics_listen,
                      .keep_work_dirs = options.keep_work_dirs,
                      .quit_with_parent = options.quit_with_parent};
  auto key = find_server_key(options.server_key);
  if (!key) return fail(std::move(key.error()).in("the scheduler's public key (--server-key)"));
  config.server_key = *std::move(key);
  if (auto known = take_gpus(options, config); !known) return fail(known.error());
  if (options.cpus < 0 || options.cpus > kCpusMax) return fail(ErrorCode::kInvalidInput, "--cpus is out of range");
  config.cpu_milli = static_cast<std::uint32_t>(std::lround(options.cpus * 1000));
  auto memory = parse_bytes(options.memory);
  if (!memory) return fail(std::move(memory.error()).in("--memory"));
  config.memory_bytes = *memory;
  for (const std::string& one : options.labels) {
    auto label = split_pair(one, "--label");
    if (!label) return fail(label.error());
    config.labels.insert(*std::move(label));
  }
  config.taints = {options.taints.begin(), options.taints.end()};
  config.container_socket = options.container_socket;
  return config;
}

void add_worker_options(CLI::App* command, WorkerOptions& options) {
  command
      ->add_option("--scheduler", options.scheduler,
                   "Endpoint, such as tcp://HOST:7331; default: the state directory's")
      ->envname("CHAPPE_SCHEDULER");
  command->add_option("--server-key", options.server_key, "The scheduler's public key, or a file with it")
      ->envname("CHAPPE_SERVER_KEY");
  command->add_option("--key-file", options.key_file, "This worker's secret key")->envname("CHAPPE_KEY_FILE");
  command->add_option("--name", options.name, "Default: the host's name")->envname("CHAPPE_WORKER_NAME");
  command->add_option("--work-dir", options.work_dir, "Where attempts run")->envname("CHAPPE_WORK_DIR");
  command->add_option("--cpus", options.cpus, "Cores to offer; default: all");
  command->add_option("--memory", options.memory, "Memory to offer, such as 8GiB; default: all");
  command->add_option("--gpus", options.gpus, "GPUs to offer");
  command
      ->add_option("--gpu-device", options.gpu_devices,
                   "Name of a GPU to hand into a container; may be repeated; default: nvidia.com/gpu=0 and on")
      ->allow_extra_args(false);
  command->add_option("--label", options.labels, "NAME=VALUE; may be repeated")->allow_extra_args(false);
  command->add_option("--taint", options.taints, "Take only tasks that tolerate NAME; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--task-env", options.task_env,
                   "Hand the worker's variable NAME on to tasks; 'AWS_*' stands for several; may be repeated")
      ->allow_extra_args(false);
  add_secrets(command, options);
  command
      ->add_option("--container-socket", options.container_socket,
                   "Of Podman or Docker; 'none': no containers; default: DOCKER_HOST, or the usual places")
      ->envname("CHAPPE_CONTAINER_SOCKET");
  command
      ->add_option("--metrics-listen", options.metrics_listen,
                   "HOST:PORT where Prometheus may read /metrics; to anybody who can reach it")
      ->envname("CHAPPE_WORKER_METRICS_LISTEN");
  command->add_flag("--keep-work-dirs", options.keep_work_dirs, "Do not clean up after attempts, for debugging");
  command->add_flag("--quit-with-parent", options.quit_with_parent, "Stop when the starting process is gone");
}

}  // namespace chappe::cli
