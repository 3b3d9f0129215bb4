#include "scheduler/app/scheduler.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>

#include "dags/loader/loader.h"
#include "engine/ports/log.h"
#include "proto/json/json.h"
#include "scheduler/api/run_views.h"
#include "scheduler/api/server.h"
#include "scheduler/api/stored_run.h"
#include "scheduler/app/dag_folder.h"
#include "scheduler/app/loop.h"
#include "scheduler/app/loop_backend.h"
#include "scheduler/app/outside.h"
#include "scheduler/app/state_dir.h"
#include "scheduler/quarantine/quarantine.h"
#include "storage/digest/digest.h"
#include "storage/open/measured_object_store.h"
#include "storage/open/object_stores.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe {
namespace {

constexpr std::size_t kPodPrefixDigits = 8;

/// Becomes readable at SIGTERM and SIGINT, and with `quit_with_parent` when the process that started this one is gone:
/// a pidfd tells it from a parent that is process 1 of a container. Before any thread starts, so that all of them block
/// the signals.
int open_stop(bool quit_with_parent) {
  const int stop = epoll_create1(EPOLL_CLOEXEC);
  epoll_event readable{.events = EPOLLIN, .data = {}};
  if (quit_with_parent) {
    const int parent = static_cast<int>(syscall(SYS_pidfd_open, getppid(), 0));
    (void)epoll_ctl(stop, EPOLL_CTL_ADD, parent, &readable);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)epoll_ctl(stop, EPOLL_CTL_ADD, signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), &readable);
  return stop;
}

/// Becomes readable at SIGHUP.
int open_reload() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// Keys, tokens' hashes and secret parameters are in this memory: no core file, and nobody of the same user looks in.
void keep_memory_private() {
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);  // Neither can fail for what is less than before.
  (void)prctl(PR_SET_DUMPABLE, 0);
}

/// What does not load any more must not keep the rest from going on.
void complete_deployments(StoredState& state) {
  for (StoredDeployment& deployment : state.deployments) {
    if (deployment.row.removed) continue;
    if (quarantine::is_left_alone(quarantine::Kind::kDag, deployment.row.dag)) {
      log::error("DAG {} starts no runs; {}", deployment.row.dag, quarantine::complaint());
      continue;
    }
    const quarantine::Hold hold(quarantine::Kind::kDag, deployment.row.dag);
    LoadedDag loaded = load_dag(deployment.dag_source, deployment.row.dag);
    deployment.dag = std::move(loaded.dag);
    if (deployment.dag != nullptr) continue;
    log::error("DAG {} starts no runs: its text does not load any more: {}", deployment.row.dag,
               loaded.diagnostics.empty() ? "" : loaded.diagnostics[0].text());
  }
}

void complete_backfills(StoredState& state) {
  for (StoredBackfill& backfill : state.backfills) {
    if (quarantine::is_left_alone(quarantine::Kind::kDag, backfill.row.dag)) continue;
    const quarantine::Hold hold(quarantine::Kind::kDag, backfill.row.dag);
    backfill.dag = load_dag(backfill.dag_source, backfill.row.dag).dag;
    backfill.params = parse_json(backfill.row.params_json).value_or(Value(ValueMap{}));
    if (backfill.dag == nullptr) log::error("backfill {} rests: its DAG does not load any more", backfill.row.id.value);
  }
}

/// Runs whose stored text does not load any more, or that brought the scheduler down, must not keep the others from
/// going on.
void complete_stored_runs(StoredState& state) {
  std::erase_if(state.runs, [&](StoredRun& run) {
    const std::string seq = std::to_string(run.row.seq.value);
    if (quarantine::is_left_alone(quarantine::Kind::kRun, seq)) {
      log::error("run {} is {}", run.row.id.text(), quarantine::complaint());
      state.left_alone.push_back(std::move(run.row));
      return true;
    }
    const quarantine::Hold hold(quarantine::Kind::kRun, seq);
    const auto completed = complete_stored_run(run);
    if (completed) return false;
    log::error("run {} is left alone: {}", run.row.id.text(), completed.error().message);
    state.left_alone.push_back(std::move(run.row));
    return true;
  });
}

EngineConfig engine_config(const SchedulerConfig& config, const StateDir& state) {
  EngineConfig engine;
  engine.lease = config.lease;
  engine.run_retention = config.run_retention;
  engine.heartbeat = config.lease / 12;
  engine.pools = config.bounds.pools;
  engine.locks = {config.bounds.locks.begin(), config.bounds.locks.end()};
  engine.sha256 = [](std::string_view text) { return to_hex(sha256(text)); };
  if (!config.kubernetes.namespace_name.empty()) engine.pods_max = config.kubernetes.pods_max;
  engine.notify_default = config.notify.by_default;
  engine.pods_by_default = config.kubernetes.by_default;
  engine.pod_prefix = fmt::format("chappe-{}-", installation_of(state.scheduler_keys).substr(0, kPodPrefixDigits));
  std::array<std::uint8_t, sizeof engine.seed> random{};
  random_bytes(random);
  for (const std::uint8_t byte : random) engine.seed = engine.seed << 8 | byte;
  engine.in_hand = &quarantine::engine_hand();
  return engine;
}

/// A run whose rows contradict each other is left alone, and all else goes on.
Result<Engine> restore_engine(const EngineConfig& config, MetaStore& store) {
  constexpr int kLeftAloneMax = 20;  // With more of them it is the store that is not sound.
  for (int left_alone = 0;; ++left_alone) {
    auto stored = store.load();
    if (!stored) return fail(std::move(stored.error()));
    complete_stored_runs(*stored);
    complete_deployments(*stored);
    complete_backfills(*stored);
    InHand::put_down(config.in_hand);
    auto engine = Engine::restore(std::move(*stored), config, read_clocks());
    const RunSeq run = config.in_hand->run;
    if (engine || !run || left_alone == kLeftAloneMax) return engine;
    log::error("{}: it is left alone", engine.error().message);
    quarantine::leave_alone(quarantine::Kind::kRun, std::to_string(run.value));
  }
}

/// Where a daemon that was killed could be reached: "api" and "workers", as announce() wrote them; null if none was.
Value last_announced(const StateDir& state) {
  std::ifstream in(state.endpoint_file());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return parse_json(text).value_or(Value());
}

/// The port at the end of an address of the last life; "" where there is none.
std::string port_of(const Value& announced, std::string_view name) {
  const Value* address = announced.find(name);
  if (address == nullptr || address->as_string() == nullptr) return "";
  return address->as_string()->substr(address->as_string()->rfind(':') + 1);
}

Result<std::set<std::string>> authorized_workers(const SchedulerConfig& config, const StateDir& state) {
  return transport::load_authorized_workers(config.authorized_workers.empty() ? state.authorized_workers
                                                                              : config.authorized_workers);
}

/// What may change while the scheduler runs, anew: all of it, or nothing where something is wrong.
void reload(const SchedulerConfig& config, const StateDir& state, transport::WorkerPort& port, Mailbox& mailbox) {
  auto bounds = config.reload ? config.reload() : Result<SchedulerBounds>(config.bounds);
  if (!bounds) return log::error("settings stay as they are: {}", bounds.error().message);
  auto authorized = authorized_workers(config, state);
  if (!authorized) return log::error("settings stay as they are: {}", authorized.error().message);
  port.set_authorized(*std::move(authorized));
  (void)mailbox.post(Mail(BoundsSet{bounds->pools, {bounds->locks.begin(), bounds->locks.end()}}));
  log::info("pools, locks and authorized workers are as their files say now");
}

Result<std::unique_ptr<transport::WorkerPort>> bind_port(const SchedulerConfig& config, const StateDir& state,
                                                         const Value& announced) {
  auto authorized = authorized_workers(config, state);
  if (!authorized) return fail(std::move(authorized.error()));
  transport::WorkerPortConfig port{config.worker_listen, state.scheduler_keys, std::move(*authorized)};
  const std::string before = port_of(announced, "workers");
  if (config.worker_listen.ends_with(":*") && !before.empty()) {
    // Workers of the last life go on trying there.
    port.endpoint = config.worker_listen.substr(0, config.worker_listen.size() - 1) + before;
    if (auto bound = transport::WorkerPort::bind(port)) return bound;
    port.endpoint = config.worker_listen;
  }
  return transport::WorkerPort::bind(port);
}

Result<std::unique_ptr<api::Server>> start_api(const SchedulerConfig& config, const StateDir& state,
                                               std::vector<TokenRow> tokens, const Value& announced,
                                               api::Backend& backend, api::LogHub& logs) {
  api::ServerConfig server{
      .listen = config.api_listen, .token = state.token, .tokens = std::move(tokens), .webhook_key = state.webhook_key};
  const std::string before = port_of(announced, "api");
  if (config.api_listen.ends_with(":0") && !before.empty()) {
    server.listen = config.api_listen.substr(0, config.api_listen.size() - 1) + before;
    if (auto started = api::Server::start(server, backend, logs)) return started;
    server.listen = config.api_listen;
  }
  return api::Server::start(server, backend, logs);
}

Result<void> announce(const StateDir& state, const std::string& api, const std::string& workers) {
  const Value endpoint = ValueMap{{"api", api}, {"workers", workers}, {"pid", static_cast<std::int64_t>(getpid())}};
  return write_file_atomically(state.endpoint_file(), to_json(endpoint) + "\n", S_IRUSR | S_IWUSR);
}

/// Null: no folder is to be watched.
Result<std::unique_ptr<DagFolderWatch>> watch_dags(const SchedulerConfig& config, api::Backend& backend,
                                                   Mailbox& mailbox) {
  if (config.dags.empty()) return std::unique_ptr<DagFolderWatch>();
  auto reader = backend.open_reader();
  if (!reader) return fail(std::move(reader.error()));
  auto rows = (*reader)->deployments();
  if (!rows) return fail(std::move(rows.error()));
  std::map<std::string, std::string> deployed;
  for (const DeploymentRow& row : *rows) {
    if (!row.origin.empty()) deployed[row.dag] = row.origin;
  }
  return DagFolderWatch::start(config.dags, std::move(deployed), [&mailbox](Event& event, api::Backend::Done& done) {
    Mail mail = Request{std::move(event), std::move(done)};
    if (mailbox.post(std::move(mail))) return true;
    auto& request = std::get<Request>(mail);
    event = std::move(request.event);
    done = std::move(request.done);
    return false;
  });
}

/// Null: there are no workers to be made and taken away.
std::unique_ptr<launch::FleetScaler> scale_workers(const KubernetesConfig& config, Mailbox& mailbox) {
  if (config.workers.deployment.empty()) return nullptr;
  launch::ApiConfig api{config.api, config.workers_namespace, config.token_file, config.ca_file};
  const auto ask = [&mailbox](const std::set<std::string>& pods) -> std::optional<FleetView> {
    constexpr std::chrono::seconds kAnswerWithin{2};
    const auto promise = std::make_shared<std::promise<FleetView>>();
    std::future<FleetView> answer = promise->get_future();
    const Query query = [promise, pods](const Engine& engine, Now) { promise->set_value(engine.fleet(pods)); };
    if (!mailbox.post(Mail(query)) || answer.wait_for(kAnswerWithin) != std::future_status::ready) return std::nullopt;
    return answer.get();
  };
  log::info("workers of {}: {} to {}", config.workers.deployment, config.workers.bounds.least,
            config.workers.bounds.most);
  return std::make_unique<launch::FleetScaler>(
      std::move(api), config.workers, ask, [&mailbox](FleetResting event) { (void)mailbox.post(Mail(Event(event))); });
}

/// DAG versions of the store, for several threads.
class DagVersions {
 public:
  explicit DagVersions(api::Backend& backend) : backend_(backend) {}

  Result<DagPtr> find(const std::string& version) {
    const std::lock_guard lock(mutex_);
    if (reader_ == nullptr) {
      auto opened = backend_.open_reader();
      if (!opened) return fail(std::move(opened.error()));
      reader_ = std::move(*opened);
    }
    return views_.dag(*reader_, version);
  }

 private:
  api::Backend& backend_;
  std::mutex mutex_;
  std::unique_ptr<MetaReader> reader_;
  api::RunViews views_;
};

/// Everything between "the signals are ready" and "stop". Errors: what kept the daemon from starting or going on.
Result<void> serve(const SchedulerConfig& config, int stop_fd, int reload_fd, bool& ready) {
  auto state = open_state_dir(config.state_dir);
  if (!state) return fail(std::move(state.error()));
  DiskSpace space(state->root);
  space.wait_for_some(stop_fd);
  auto store = SqliteMetaStore::open(state->database());
  if (!store) return fail(std::move(store.error()));
  const auto save = [](const std::filesystem::path& file, const std::string& text) {
    return write_file_atomically(file, text, S_IRUSR | S_IWUSR);
  };
  if (auto opened = quarantine::open(state->root, save); !opened) return opened;
  auto engine = restore_engine(engine_config(config, *state), **store);
  if (!engine) return fail(std::move(engine.error()));
  const std::string objects_uri =
      config.object_store.empty() ? "file://" + (state->root / "objects").string() : config.object_store;
  auto objects = open_object_store(objects_uri);
  if (!objects) return fail(std::move(objects.error()));
  metrics::Registry registry;
  LoopMetrics metrics(registry);
  *objects = measure(*std::move(objects), registry);
  const Value announced_before = last_announced(*state);
  auto port = bind_port(config, *state, announced_before);
  if (!port) return fail(std::move(port.error()));

  Mailbox mailbox;
  api::LogHub logs;
  Publisher publisher(**objects, [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
  Outside outside(**objects, config.wait_files);
  Looker looker([&](const LookTarget& target) { return outside.look(target); },
                [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
  std::unique_ptr<Pods> pods;
  if (!config.kubernetes.namespace_name.empty()) {
    auto opened = Pods::open(config.kubernetes, state->scheduler_keys, **port, objects_uri,
                             [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
    if (!opened) return fail(std::move(opened.error()));
    pods = *std::move(opened);
  }
  LoopBackend backend(mailbox, state->database(), **objects, registry);
  auto folder = watch_dags(config, backend, mailbox);
  if (!folder) return fail(std::move(folder.error()));
  backend.watch(folder->get());
  auto server = start_api(config, *state, engine->tokens(), announced_before, backend, logs);
  if (!server) return fail(std::move(server.error()));
  if (auto announced = announce(*state, (*server)->url(), (*port)->endpoint()); !announced) return announced;
  ready = true;
  log::info("scheduler {} is ready: API {}, workers {}, {} runs", getpid(), (*server)->url(), (*port)->endpoint(),
            engine->live_runs());
  auto reader = backend.open_reader();
  if (!reader) return fail(std::move(reader.error()));
  DagSource dags(backend, [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
  ResultLookups results(
      **objects, [&backend] { return backend.open_reader(); },
      [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
  auto pending = notify::read_pending(**reader);
  if (!pending) return fail(std::move(pending.error()));
  DagVersions versions(backend);
  notify::Notifier notifier(
      config.notify, [&versions](const std::string& version) { return versions.find(version); },
      [&](Event event) { (void)mailbox.post(Mail(std::move(event))); }, read_clocks);
  notifier.take(std::move(*pending));
  const auto fleet = scale_workers(config.kubernetes, mailbox);
  Loop loop({*engine, **store, **reader, **port, publisher, looker, dags, results, notifier, mailbox, logs, space,
             metrics, pods.get(), stop_fd, reload_fd, [&] { reload(config, *state, **port, mailbox); }});
  auto ended = loop.run();
  (void)unlink(state->endpoint_file().c_str());  // Gone already: nobody misses it.
  return ended;
}

/// What is thrown here is a bug, or says that there is no memory: nothing that the engine decided since is committed.
Result<void> serve_or_fail(const SchedulerConfig& config, int stop_fd, int reload_fd, bool& ready) {
  try {
    return serve(config, stop_fd, reload_fd, ready);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable, error.what());
  }
}

}  // namespace

int run_scheduler(const SchedulerConfig& config) {
  keep_memory_private();
  const int stop_fd = open_stop(config.quit_with_parent);
  bool ready = false;
  const int reload_fd = open_reload();
  const auto ended = serve_or_fail(config, stop_fd, reload_fd, ready);
  close(stop_fd);
  close(reload_fd);
  if (ended) {
    log::info("scheduler {} stops", getpid());
    return kExitOk;
  }
  log::error("scheduler: {}", ended.error().message);
  // After a commit of unknown outcome only a new start knows the truth.
  return ready ? kExitRestart : kExitFailure;
}

}  // namespace chappe
