#include "cli/daemons.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/state_dir.h"
#include "engine/base/time.h"
#include "proto/transport/keys.h"
#include "scheduler/app/scheduler.h"
#include "worker/app/worker.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kEndpointWait{30};
constexpr std::chrono::milliseconds kEndpointLook{5};
constexpr double kCpusMax = 100'000;

Result<std::pair<std::string, std::string>> split_pair(const std::string& text, std::string_view option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} {}: write it as NAME=VALUE", option, text));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

/// NAME=NUMBER, again and again.
Result<std::vector<std::pair<std::string, std::uint32_t>>> read_counts(const std::vector<std::string>& given,
                                                                       std::string_view option) {
  std::vector<std::pair<std::string, std::uint32_t>> counts;
  for (const std::string& one : given) {
    auto pair = split_pair(one, option);
    if (!pair) return fail(pair.error());
    std::uint32_t count = 0;
    const char* end = pair->second.data() + pair->second.size();
    const auto read = std::from_chars(pair->second.data(), end, count);
    if (read.ec != std::errc() || read.ptr != end || count == 0) {
      return fail(ErrorCode::kInvalidInput, fmt::format("{} {}: it must be a whole number from 1", option, one));
    }
    counts.emplace_back(std::move(pair->first), count);
  }
  return counts;
}

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

/// The endpoint of the scheduler that serves the state directory, as soon as there is one.
Result<Endpoint> wait_for_endpoint(const std::filesystem::path& state_dir) {
  const auto deadline = Clock::now() + kEndpointWait;
  for (;;) {
    if (auto endpoint = read_endpoint(state_dir)) return *std::move(endpoint);
    if (Clock::now() > deadline) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("no scheduler serves {}: start 'chappe scheduler' there, or name one with --scheduler "
                              "tcp://HOST:PORT",
                              state_dir.string()));
    }
    std::this_thread::sleep_for(kEndpointLook);
  }
}

Result<std::string> find_server_key(const std::string& given, const std::filesystem::path& state_dir) {
  constexpr std::size_t kKeySize = 40;
  if (given.size() == kKeySize && given.find('/') == std::string::npos) return given;
  return transport::load_public_key(given.empty() ? state_dir / "keys/scheduler.pub" : std::filesystem::path(given));
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? std::string(name) : std::string("worker");
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

/// For a container whose image has nothing of ours: its own program, in a directory that both see.
int copy_this_program(const std::string& to) {
  std::error_code error;
  std::filesystem::copy_file("/proc/self/exe", to, std::filesystem::copy_options::overwrite_existing, error);
  if (!error) std::filesystem::permissions(to, std::filesystem::perms(0755), error);
  return error ? complain(fmt::format("copy this program to {}: {}", to, error.message()), kFailure) : kOk;
}

Result<WorkerConfig> worker_config(const WorkerOptions& options) {
  if (options.one_attempt) return pod_worker_config(options);
  const auto state_dir = find_state_dir(options.state_dir);
  if (!state_dir) return fail(state_dir.error());
  WorkerConfig config{
      .scheduler = options.scheduler,
      .key_file = options.key_file.empty() ? *state_dir / "keys/worker.key" : std::filesystem::path(options.key_file),
      .name = options.name.empty() ? host_name() : options.name,
      .object_store = options.object_store,
      .gpus = options.gpus,
      .task_env = options.task_env,
      .secrets = secret_sources(options),
      .store_credentials = options.task_credentials == "store",
      .metrics_listen = options.metrics_listen,
      .keep_work_dirs = options.keep_work_dirs,
      .quit_with_parent = options.quit_with_parent};
  if (config.scheduler.empty()) {
    auto endpoint = wait_for_endpoint(*state_dir);
    if (!endpoint) return fail(endpoint.error());
    config.scheduler = std::move(endpoint->workers);
  }
  auto key = find_server_key(options.server_key, *state_dir);
  if (!key) return fail(std::move(key.error()).in("the scheduler's public key (--server-key)"));
  config.server_key = *std::move(key);
  config.work_dir =
      options.work_dir.empty() ? *state_dir / "workers" / config.name : std::filesystem::path(options.work_dir);
  if (config.object_store.empty()) config.object_store = "file://" + (*state_dir / "objects").string();
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

/// Where a pod finds its API server and how it names itself there. Source: Kubernetes, "Accessing the API from a Pod".
KubernetesConfig kubernetes_config(const SchedulerOptions::Kubernetes& options) {
  constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
  KubernetesConfig config{.namespace_name = options.namespace_name,
                          .api = options.api,
                          .token_file = options.token_file,
                          .ca_file = options.ca_file,
                          .pod_template = options.pod_template,
                          .image = options.image,
                          .scheduler = options.scheduler,
                          .pods_max = options.pods_max};
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (config.api.empty() && host != nullptr && port != nullptr) {
    const bool is_ipv6 = std::string_view(host).find(':') != std::string_view::npos;
    config.api = is_ipv6 ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
    if (config.token_file.empty()) config.token_file = fmt::format("{}/token", kAccount);
    if (config.ca_file.empty()) config.ca_file = fmt::format("{}/ca.crt", kAccount);
  }
  while (config.api.ends_with('/')) config.api.pop_back();
  return config;
}

Result<SchedulerBounds> read_bounds(const std::vector<std::string>& pools, const std::vector<std::string>& locks) {
  auto slots = read_counts(pools, "pool");
  if (!slots) return fail(slots.error());
  auto places = read_counts(locks, "lock");
  if (!places) return fail(places.error());
  return SchedulerBounds{*std::move(slots), *std::move(places)};
}

/// "USER:PASSWORD", the first line of a file.
Result<void> read_login(const std::string& path, http::MailServer& mail) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line) || line.find(':') == std::string::npos) {
    return fail(ErrorCode::kInvalidInput, fmt::format("--smtp-login {}: it has no line USER:PASSWORD", path));
  }
  mail.user = line.substr(0, line.find(':'));
  mail.password = line.substr(line.find(':') + 1);
  return {};
}

Result<notify::ChannelConfig> notify_config(const NotifyOptions& options) {
  notify::ChannelConfig config{.secrets = options.secrets};
  config.mail.url = options.smtp;
  config.mail.from = options.mail_from;
  if (!options.smtp.empty() && !options.smtp.starts_with("smtp://") && !options.smtp.starts_with("smtps://")) {
    return fail(ErrorCode::kInvalidInput, "--smtp: write it as smtp://HOST[:PORT] or smtps://HOST[:PORT]");
  }
  if (!options.smtp.empty() && options.mail_from.find('@') == std::string::npos) {
    return fail(ErrorCode::kInvalidInput, "--smtp needs --mail-from ADDRESS");
  }
  if (!options.smtp_login.empty()) {
    if (auto read = read_login(options.smtp_login, config.mail); !read) return fail(read.error());
  }
  for (const std::string& one : options.commands) {
    auto command = split_pair(one, "--notify-command");
    if (!command) return fail(command.error());
    if (!command->second.starts_with('/')) {
      return fail(ErrorCode::kInvalidInput, fmt::format("--notify-command {}: the path must be absolute", one));
    }
    config.commands.insert(*std::move(command));
  }
  return config;
}

Result<SchedulerConfig> scheduler_config(const SchedulerOptions& options) {
  auto state_dir = find_state_dir(options.state_dir);
  if (!state_dir) return fail(state_dir.error());
  SchedulerConfig config{.state_dir = *std::move(state_dir),
                         .object_store = options.object_store,
                         .authorized_workers = options.authorized_workers,
                         .quit_with_parent = options.quit_with_parent};
  config.dags = options.dags;
  config.kubernetes = kubernetes_config(options.kubernetes);
  if (!options.listen.empty()) config.api_listen = options.listen;
  if (!options.worker_listen.empty()) config.worker_listen = options.worker_listen;
  if (!options.lease.empty()) {
    auto lease = parse_duration(options.lease);
    if (!lease) return fail(std::move(lease.error()).in("--lease"));
    if (*lease < std::chrono::seconds(1)) return fail(ErrorCode::kInvalidInput, "--lease must be 1s or more");
    config.lease = *lease;
  }
  for (const std::string& directory : options.wait_files) {
    std::error_code error;
    config.wait_files.push_back(std::filesystem::absolute(directory, error));
    if (error) return fail(ErrorCode::kInvalidInput, fmt::format("--wait-files {}: {}", directory, error.message()));
  }
  auto notify = notify_config(options.notify);
  if (!notify) return fail(notify.error());
  config.notify = *std::move(notify);
  auto bounds = read_bounds(options.pools, options.locks);
  if (!bounds) return fail(bounds.error());
  config.bounds = *std::move(bounds);
  config.reload = [reread = options.reread]() -> Result<SchedulerBounds> {
    const auto fresh = reread();
    if (!fresh) return fail(fresh.error());
    return read_bounds(fresh->pools, fresh->locks);
  };
  return config;
}

}  // namespace

int start_scheduler(const SchedulerOptions& options) {
  const auto config = scheduler_config(options);
  return config ? run_scheduler(*config) : complain(config.error());
}

int start_worker(const WorkerOptions& options) {
  if (!options.copy_to.empty()) return copy_this_program(options.copy_to);
  const auto config = worker_config(options);
  return config ? run_worker(*config) : complain(config.error());
}

}  // namespace chappe::cli
