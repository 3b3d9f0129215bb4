#include "cli/daemons.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <tuple>
#include <utility>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/state_dir.h"
#include "dags/loader/loader.h"
#include "engine/base/time.h"
#include "scheduler/app/scheduler.h"
#include "worker/app/worker.h"

namespace chappe::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::chrono::seconds kEndpointWait{30};
constexpr std::chrono::milliseconds kEndpointLook{5};

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

/// What was not said, from the state directory of a scheduler on this machine.
Result<void> fill_from(const std::string& given, WorkerOptions& options) {
  const auto state_dir = find_state_dir(given);
  if (!state_dir) return fail(state_dir.error());
  const auto put = [](std::string& option, const std::filesystem::path& value) {
    if (option.empty()) option = value.string();
  };
  put(options.name, host_name());
  put(options.key_file, *state_dir / "keys/worker.key");
  put(options.server_key, *state_dir / "keys/scheduler.pub");
  put(options.work_dir, *state_dir / "workers" / options.name);
  put(options.object_store, "file://" + (*state_dir / "objects").string());
  if (!options.scheduler.empty()) return {};
  auto endpoint = wait_for_endpoint(*state_dir);
  if (!endpoint) return fail(endpoint.error());
  options.scheduler = std::move(endpoint->workers);
  return {};
}

/// Where a pod finds its API server and how it names itself there. Source: Kubernetes, "Accessing the API from a Pod".
KubernetesConfig kubernetes_config(const SchedulerOptions::Kubernetes& options) {
  KubernetesConfig config{.namespace_name = options.namespace_name,
                          .api = options.api,
                          .token_file = options.token_file,
                          .ca_file = options.ca_file,
                          .pod_template = options.pod_template,
                          .image = options.image,
                          .scheduler = options.scheduler,
                          .pods_max = options.pods_max,
                          .by_default = options.default_executor == "kubernetes"};
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

/// The Deployment of workers.
Result<void> read_fleet(const SchedulerOptions::Kubernetes& options, KubernetesConfig& config) {
  if (options.workers.empty()) return {};
  config.workers.deployment = options.workers;
  config.workers.bounds.least = options.workers_min;
  config.workers.bounds.most = options.workers_max;
  if (options.workers_min > options.workers_max) {
    return fail(ErrorCode::kInvalidInput, "--kubernetes-workers-min is more than --kubernetes-workers-max");
  }
  for (const auto& [text, into, name] : {std::tuple(&options.workers_idle, &config.workers.bounds.shrink_after, "idle"),
                                         {&options.workers_every, &config.workers.look_every, "every"}}) {
    if (text->empty()) continue;
    auto duration = parse_duration(*text);
    if (!duration) return fail(std::move(duration.error()).in(fmt::format("--kubernetes-workers-{}", name)));
    *into = *duration;
  }
  if (config.workers.look_every < std::chrono::milliseconds(100)) {
    return fail(ErrorCode::kInvalidInput, "--kubernetes-workers-every must be 100ms or more");
  }
  config.workers_namespace = options.workers_namespace;
  std::ifstream own(fmt::format("{}/namespace", kAccount));
  if (config.workers_namespace.empty()) std::getline(own, config.workers_namespace);
  if (config.api.empty() || config.workers_namespace.empty()) {
    return fail(ErrorCode::kInvalidInput,
                "--kubernetes-workers: name --kubernetes-api and --kubernetes-workers-namespace, as this is no pod");
  }
  return {};
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

Result<std::vector<NotifyChannel>> read_notify_default(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) return fail(ErrorCode::kInvalidInput, fmt::format("{} cannot be read", path));
  return load_notify_default(text, path);
}

Result<notify::ChannelConfig> notify_config(const NotifyOptions& options) {
  notify::ChannelConfig config{.secrets = options.secrets};
  config.mail.url = options.smtp;
  config.mail.from = options.mail_from;
  config.mail.ca_file = options.smtp_ca;
  if (!options.defaults.empty()) {
    auto channels = read_notify_default(options.defaults);
    if (!channels) return fail(std::move(channels.error()).in("--notify-default"));
    config.by_default = *std::move(channels);
  }
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
  if (auto read = read_fleet(options.kubernetes, config.kubernetes); !read) return fail(read.error());
  if (config.kubernetes.by_default && config.kubernetes.namespace_name.empty()) {
    return fail(ErrorCode::kInvalidInput, "--default-executor kubernetes needs --kubernetes-namespace");
  }
  if (!options.listen.empty()) config.api_listen = options.listen;
  if (!options.worker_listen.empty()) config.worker_listen = options.worker_listen;
  if (!options.lease.empty()) {
    auto lease = parse_duration(options.lease);
    if (!lease) return fail(std::move(lease.error()).in("--lease"));
    if (*lease < std::chrono::seconds(1)) return fail(ErrorCode::kInvalidInput, "--lease must be 1s or more");
    config.lease = *lease;
  }
  if (!options.run_retention.empty()) {
    auto kept = parse_duration(options.run_retention);
    if (!kept) return fail(std::move(kept.error()).in("--run-retention"));
    if (*kept < std::chrono::seconds(1)) return fail(ErrorCode::kInvalidInput, "--run-retention must be 1s or more");
    config.run_retention = *kept;
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

int start_worker(WorkerOptions options, const std::string& given) {
  if (auto filled = fill_from(given, options); !filled) return complain(filled.error());
  const auto config = worker_config(options);
  return config ? run_worker(*config) : complain(config.error());
}

}  // namespace chappe::cli
