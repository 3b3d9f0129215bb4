#include "worker/app/worker.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <optional>

#include "engine/ports/log.h"
#include "storage/digest/digest.h"
#include "storage/open/measured_object_store.h"
#include "storage/open/named_objects.h"
#include "storage/open/object_stores.h"
#include "worker/app/executor.h"
#include "worker/app/machine.h"
#include "worker/app/messenger.h"
#include "worker/container/gpu_pool.h"
#include "worker/container/keeper.h"
#include "worker/container/runtime.h"

namespace chappe {
namespace worker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLockWait = 15s;          ///< For the tasks of an incarnation that was killed.
constexpr Duration kKillWait = 10s;          ///< For our own tasks, when we leave.
constexpr Duration kRetryAfter = 5ms;        ///< When the link takes nothing.
constexpr Duration kLookAgainAfter = 200ms;  ///< For a connection.
constexpr Duration kTroubleEvery = 60s;      ///< How often the log says that there is no connection.
constexpr std::size_t kMessagesPerPass = 64;
constexpr std::size_t kLogBytesPerPass = std::size_t{512} << 10;
constexpr std::uint32_t kPrefetchPerCore = 64;  ///< The scheduler sends fewer, where they are not that short.

enum ExitCode : int { kOk = 0, kConfiguration = 2, kRestart = 75 };

Now now() {
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  return {{static_cast<std::int64_t>(wall.tv_sec) * 1'000'000 + wall.tv_nsec / 1'000}, exec::boot_time()};
}

WorkerHello hello_of(const WorkerConfig& config) {
  WorkerHello hello;
  hello.incarnation = random_hex(16);
  hello.name = config.name;
  hello.host = host_name();
  hello.capacity.cpu_milli = config.cpu_milli != 0 ? config.cpu_milli : available_cpu_milli();
  hello.capacity.memory_bytes = config.memory_bytes != 0 ? config.memory_bytes : available_memory();
  hello.capacity.gpus = config.gpus;
  hello.prefetch = std::max(hello.capacity.cpu_milli / 1000, 1U) * kPrefetchPerCore;
  hello.labels = config.labels;
  hello.taints = config.taints;
  return hello;
}

/// SIGTERM and SIGINT as something to read.
int open_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// What a worker has that runs containers.
struct ContainerParts {
  container::Runtime runtime;
  std::string owner;
  container::Keeper keeper;
};

/// Finds the runtime, removes what an earlier worker left in it, and sets the keeper beside us. nullopt: no runtime.
Result<std::optional<ContainerParts>> open_containers(const WorkerConfig& config, const WorkDirectory& directory,
                                                      const exec::Fence& fence) {
  auto runtime = container::find_runtime(config.container_socket);
  if (!runtime) return fail(std::move(runtime.error()).in("--container-socket"));
  if (!*runtime) {
    log::info("containers: none; tasks with an 'image' go to other workers");
    return std::optional<ContainerParts>();
  }
  const std::string owner = fmt::format("{}:{}", host_name(), directory.path());
  container::ContainerApi api((*runtime)->socket);
  auto removed = container::remove_all(api, owner, kLockWait);
  if (!removed) return fail(std::move(removed.error()).in("containers of an earlier worker"));
  if (*removed > 0) log::warn("removed {} containers that an earlier worker left", *removed);
  auto keeper = container::Keeper::start((*runtime)->socket, owner, directory.lock_fd(), fence);
  if (!keeper) return fail(keeper.error());
  log::info("containers: {} at {}", (*runtime)->version, (*runtime)->socket);
  const std::string no_gpus = config.gpus > 0 ? container::why_no_gpus((*runtime)->version) : "";
  if (!no_gpus.empty()) log::warn("containers: {}", no_gpus);
  return std::optional(ContainerParts{**std::move(runtime), owner, *std::move(keeper)});
}

/// Null: tasks get nothing of the object store.
Result<std::unique_ptr<StoreAccess>> open_access(const WorkerConfig& config) {
  if (!config.store_credentials) return std::unique_ptr<StoreAccess>();
  return StoreAccess::open(config.object_store, s3::process_environment());
}

/// All that one worker process is made of, and the loop that turns it.
class Worker {
 public:
  struct Parts {
    WorkDirectory directory;
    std::unique_ptr<exec::Spawner> spawner;
    std::unique_ptr<ObjectStore> store;
    std::unique_ptr<transport::SchedulerLink> link;
    std::optional<ContainerParts> containers;
    int signals = -1;  ///< open_signals(), from before there were threads.
    int parent = -1;   ///< A pidfd of the process that started us, or -1.
    metrics::Registry& registry;
    std::vector<std::string> task_env;
    std::vector<std::string> gpu_devices;
    SecretSources secrets;
    std::unique_ptr<StoreAccess> access;  ///< Null: tasks get none.
    bool one_attempt = false;
    std::string scheduler;
  };

  Worker(Parts parts, WorkerHello hello)
      : parts_(std::move(parts)),
        agent_(std::move(hello), parts_.one_attempt),
        metrics_(parts_.registry),
        messenger_(*parts_.link),
        named_(*parts_.store),
        secrets_(std::move(parts_.secrets), s3::process_environment()),
        containers_(parts_.containers ? std::make_unique<container::Containers>(
                                            parts_.containers->runtime, parts_.spawner->fence(), parts_.gpu_devices)
                                      : nullptr),
        executor_(executor_parts()),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (const int fd : {parts_.signals, parts_.parent, parts_.link->fd()}) watch(fd);
    for (const int fd : {parts_.spawner->fd(), executor_.transfers_fd(), executor_.requests_fd()}) watch(fd);
    watch(executor_.looks_fd());
    if (containers_ != nullptr) watch(containers_->fd());
    if (containers_ != nullptr) watch(parts_.containers->keeper.fd());
  }

  ~Worker() {
    for (const int fd : {parts_.signals, parts_.parent, epoll_}) {
      if (fd >= 0) ::close(fd);
    }
  }

  int run() {
    while (!left_) {
      wait();
      if (!parts_.spawner->alive()) return fail_guard("the spawner");
      if (keeper_is_gone_) return fail_guard("the keeper of the containers");
      act();
      parts_.spawner->flush();
      tell_logs();
      tell_trouble();
    }
    (void)messenger_.flush();
    return finish() ? kOk : kRestart;
  }

 private:
  ExecutorParts executor_parts() {
    ExecutorParts parts{agent_,
                        parts_.directory,
                        *parts_.spawner,
                        *parts_.store,
                        [this](const std::string& name) { return named_.find(name); },
                        metrics_,
                        containers_.get(),
                        secrets_,
                        parts_.access.get(),
                        Environment(environ, parts_.task_env),
                        &now};
    if (parts_.containers) parts.owner = parts_.containers->owner;
    parts.scheduler = parts_.scheduler;
    parts.name = random_hex(4);
    parts.is_bounded = parts_.one_attempt;
    for (const char* const name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
      if (const char* const file = std::getenv(name)) parts.ca_file = file;
    }
    return parts;
  }

  /// Nothing that we started is left.
  bool finish() const {
    const bool programs = parts_.spawner->finish(kKillWait);
    return (containers_ == nullptr || containers_->finish(kKillWait)) && programs;
  }

  void watch(int fd) const {
    if (fd < 0) return;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  /// Sleeps until something is due, and takes in what has come.
  void wait() {
    std::array<epoll_event, 8> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds_to_wait());
    fence_first();
    for (int i = 0; i < count; ++i) take(events[static_cast<std::size_t>(i)].data.fd);
    // Nothing happened: look even if no descriptor says so.
    if (again_ || count == 0) take_messages();
  }

  void take(int fd) {
    if (fd == parts_.link->fd()) {
      again_ = true;
    } else if (fd == parts_.spawner->fd()) {
      executor_.dispatch_programs();
    } else if (fd == executor_.transfers_fd()) {
      executor_.dispatch_transfers();
    } else if (fd == executor_.requests_fd()) {
      executor_.dispatch_requests();
    } else if (fd == executor_.looks_fd()) {
      executor_.dispatch_looks();
    } else if (fd == parts_.signals) {
      take_signals();
    } else if (containers_ != nullptr && fd == containers_->fd()) {
      executor_.dispatch_containers();
    } else if (containers_ != nullptr && fd == parts_.containers->keeper.fd()) {
      keeper_is_gone_ = true;
    } else {
      log::warn("the process that started this worker is gone; leaving");
      left_ = true;  // Nobody is left to hear of a result.
    }
  }

  /// After a long sleep the fence comes before anything else: what waits in the socket may be as old as that sleep.
  void fence_first() {
    const auto fence = agent_.fence();
    if (!fence || exec::boot_time() < fence->terminate_at) return;
    const agent::AgentOrders orders = agent_.orders(now(), false);
    carry_out(orders);
    left_ = left_ || orders.goodbye;  // Its farewell may be over too, and it says so once.
  }

  int milliseconds_to_wait() const {
    if (again_) return 0;
    const MonoTime time = exec::boot_time();
    MonoTime due = wake_at_.value_or(time + kTroubleEvery);
    if (!connected_) due = std::min(due, time + kLookAgainAfter);
    if (!messenger_.ready() && connected_) due = std::min(due, time + kRetryAfter);
    if (const auto chunk = executor_.log_chunk_due(); chunk && messenger_.ready()) due = std::min(due, *chunk);
    const std::int64_t us = std::clamp<std::int64_t>((due - time).count(), 0, Duration(kTroubleEvery).count());
    return static_cast<int>((us + 999) / 1000);
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(parts_.signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      log::info("{}: {}", ::strsignal(static_cast<int>(info.ssi_signo)),
                draining_            ? "killing what runs"
                : parts_.one_attempt ? "stopping what runs"
                                     : "finishing what runs; again to kill it");
      draining_ = true;
      if (parts_.one_attempt) {
        agent_.evict(now());
      } else {
        agent_.drain(now());
      }
    }
  }

  int fail_guard(const char* guard) const {
    log::error("{} process is gone; leaving, to be started again", guard);
    (void)finish();
    return kRestart;
  }

  void take_messages() {
    if (const std::uint64_t connections = parts_.link->connections(); connections != connections_) {
      connections_ = connections;
      messenger_.forget();
      agent_.connected(now());
      log::info("connected to the scheduler");
    }
    std::size_t taken = 0;
    for (; taken < kMessagesPerPass; ++taken) {
      const std::optional<WorkerSend> message = parts_.link->receive();
      if (!message) break;
      agent_.take(*message, now());
    }
    // Receiving may itself have met the news of a connection: its descriptor will not tell of it again.
    again_ = taken == kMessagesPerPass || parts_.link->connections() != connections_;
  }

  void act() {
    (void)messenger_.flush();
    const agent::AgentOrders orders = agent_.orders(now(), messenger_.ready());
    const std::size_t unfinished = agent_.running() + agent_.waiting();
    carry_out(orders);
    messenger_.send(orders);
    // The link's descriptor is edge-triggered: after a send it has to be asked again.
    again_ = messenger_.flush() || again_;
    wake_at_ = agent_.running() + agent_.waiting() == unfinished
                   ? orders.wake_at
                   : MonoTime{0};  // Some were over as soon as they started.
    left_ = left_ || orders.goodbye;
  }

  void carry_out(const agent::AgentOrders& orders) {
    // First: what starts now rests on the word that just came, not on the lease before it, which may be over.
    if (const auto fence = agent_.fence()) parts_.spawner->fence().set(fence->terminate_at, fence->kill_at);
    for (const AttemptId attempt : orders.withdraw) executor_.withdraw(attempt);
    for (const agent::StopOrder& order : orders.stop) executor_.stop(order);
    for (const auto& assignment : orders.start) executor_.start(assignment);
    for (const auto& [assignment, front] : orders.line_up) executor_.line_up(assignment, front);
  }

  void tell_logs() {
    if (!messenger_.ready()) return;
    messenger_.send_logs(executor_.log_chunks(kLogBytesPerPass));
    again_ = messenger_.flush() || again_;
  }

  void tell_trouble() {
    const std::string trouble = parts_.link->trouble();
    const MonoTime time = exec::boot_time();
    connected_ = trouble.empty();
    metrics_.is_connected(connected_);
    metrics_.holds(agent_.running() + agent_.waiting());
    if (connected_) {
      trouble_again_at_ = time + 1s;  // A moment without connection is no news.
    } else if (time >= trouble_again_at_) {
      log::warn("no connection to the scheduler: {}", trouble);
      trouble_again_at_ = time + kTroubleEvery;
    }
    if (const std::uint64_t malformed = parts_.link->malformed(); malformed != malformed_) {
      malformed_ = malformed;
      log::warn("{} messages of the scheduler could not be read; is it of another version?", malformed);
    }
  }

  Parts parts_;
  agent::Agent agent_;
  WorkerMetrics metrics_;
  Messenger messenger_;
  NamedObjects named_;
  const SecretReader secrets_;
  std::unique_ptr<container::Containers> containers_;
  Executor executor_;
  const int epoll_;
  std::uint64_t connections_ = 0;
  std::uint64_t malformed_ = 0;
  MonoTime trouble_again_at_ = exec::boot_time() + 2s;
  std::optional<MonoTime> wake_at_;
  bool again_ = true;
  bool connected_ = false;
  bool draining_ = false;
  bool keeper_is_gone_ = false;
  bool left_ = false;
};

int refuse(const Error& error) {
  log::error("{}", error.message);
  return error.code == ErrorCode::kUnavailable ? kRestart : kConfiguration;
}

/// Null: nobody is to read them.
Result<std::unique_ptr<metrics::Exposer>> expose(const WorkerConfig& config, const metrics::Registry& registry) {
  if (config.metrics_listen.empty()) return std::unique_ptr<metrics::Exposer>();
  auto exposer = metrics::Exposer::start(config.metrics_listen, registry);
  if (exposer) log::info("metrics on port {}", (*exposer)->port());
  return exposer;
}

int start_and_run(const WorkerConfig& config) {
  const int parent = config.quit_with_parent ? static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0)) : -1;
  auto directory = WorkDirectory::open(config.work_dir, config.keep_work_dirs, kLockWait);
  if (!directory) return refuse(directory.error());
  // Before anything that may start a thread.
  auto spawner = exec::Spawner::start(directory->lock_fd());
  if (!spawner) return refuse(spawner.error());
  log::info("bounds of tasks: {}", config.one_attempt ? "memory by the pod" : (*spawner)->bounds());
  auto containers = open_containers(config, *directory, (*spawner)->fence());
  if (!containers) return refuse(containers.error());
  const int signals = open_signals();
  auto store = open_object_store(config.object_store);
  if (!store) return refuse(store.error());
  auto access = open_access(config);
  if (!access) return refuse(access.error());
  auto registry = std::make_unique<metrics::Registry>();
  *store = measure(*std::move(store), *registry);
  auto exposer = expose(config, *registry);
  if (!exposer) return refuse(exposer.error());
  auto keys = config.key.empty() ? transport::load_keys(config.key_file) : transport::pair_of(config.key);
  if (!keys) return refuse(keys.error());
  auto link = transport::SchedulerLink::connect({config.scheduler, config.server_key, std::move(*keys)});
  if (!link) return refuse(link.error());
  WorkerHello hello = hello_of(config);
  hello.containers = containers->has_value();
  log::info("worker {} on {}: {} millicores, {} MiB, scheduler {}", hello.name, hello.host, hello.capacity.cpu_milli,
            hello.capacity.memory_bytes >> 20, config.scheduler);
  Worker worker({std::move(*directory), std::move(*spawner), std::move(*store), std::move(*link),
                 *std::move(containers), signals, parent, *registry, config.task_env, config.gpu_devices,
                 config.secrets, *std::move(access), config.one_attempt, config.scheduler},
                std::move(hello));
  return worker.run();
}

}  // namespace
}  // namespace worker

int run_worker(const WorkerConfig& config) {
  try {
    return worker::start_and_run(config);
  } catch (const std::exception& error) {
    log::error("the worker fails: {}", error.what());
    return worker::kRestart;
  }
}

}  // namespace chappe
