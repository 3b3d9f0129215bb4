#include "worker/container/containers.h"

#include <map>
#include <thread>
#include <utility>

#include "engine/base/assert.h"
#include "worker/container/container_api.h"
#include "worker/container/container_life.h"
#include "worker/container/gpu_pool.h"
#include "worker/container/outbox.h"

namespace chappe::container {
namespace {

struct Running {
  Running(ContainerSpec what, Company beside) : spec(std::move(what)), company(std::move(beside)) {}
  const ContainerSpec spec;
  const Company company;
  StopOrders orders;
  std::thread thread;
};

}  // namespace

struct Containers::State {
  State(Runtime runtime, const exec::Fence& until, std::vector<std::string> devices)
      : api(std::move(runtime.socket)), no_gpus(why_no_gpus(runtime.version)), fence(until), gpus(std::move(devices)) {}

  ContainerApi api;
  const std::string no_gpus;
  const exec::Fence& fence;
  GpuPool gpus;
  Outbox outbox;
  std::map<AttemptId, std::unique_ptr<Running>> running;

  void run(Running& one) {
    ContainerEnd end = ContainerLife(api, one.spec, one.company, one.orders, fence, outbox).live();
    outbox.put({.kind = News::Kind::kEnded, .attempt = one.spec.attempt, .output = {}, .end = std::move(end)});
  }

  void forget(AttemptId attempt) {
    const auto found = running.find(attempt);
    CHAPPE_ASSERT(found != running.end());
    found->second->thread.join();  // Its end was the last that it had to say.
    running.erase(found);
    gpus.give_back(attempt);
  }

  void kill_all() {
    for (const auto& [attempt, one] : running) one->orders.stop(exec::boot_time());
  }
};

Containers::Containers(Runtime runtime, const exec::Fence& fence, std::vector<std::string> gpus)
    : state_(std::make_unique<State>(std::move(runtime), fence, std::move(gpus))) {}

Containers::~Containers() {
  state_->outbox.close();
  state_->kill_all();
  for (const auto& [attempt, one] : state_->running) one->thread.join();
}

Result<void> Containers::launch(ContainerSpec spec, Company company) {
  CHAPPE_ASSERT(!spec.argv.empty() && !state_->running.contains(spec.attempt));
  if (state_->running.size() >= kContainersMax) {
    return fail(ErrorCode::kUnavailable, "this worker runs as many containers as it can");
  }
  const AttemptId attempt = spec.attempt;
  if (spec.resources.gpus > 0) {
    if (!state_->no_gpus.empty()) return fail(ErrorCode::kInvalidInput, state_->no_gpus);
    auto gpus = state_->gpus.take(attempt, spec.resources.gpus);
    if (!gpus) return fail(std::move(gpus.error()));
    spec.gpus = *std::move(gpus);
  }
  auto made = std::make_unique<Running>(std::move(spec), std::move(company));
  Running& one = *state_->running.emplace(attempt, std::move(made)).first->second;
  one.thread = std::thread([state = state_.get(), &one] { state->run(one); });
  return {};
}

void Containers::stop(AttemptId attempt, Duration grace) {
  const auto found = state_->running.find(attempt);
  if (found != state_->running.end()) found->second->orders.stop(exec::boot_time() + grace);
}

int Containers::fd() const { return state_->outbox.fd(); }

void Containers::dispatch(const ContainerEvents& events) {
  for (News& news : state_->outbox.take()) {
    switch (news.kind) {
      case News::Kind::kStarted:
        events.started(news.attempt);
        break;
      case News::Kind::kOutput:
        events.output(news.attempt, std::as_bytes(std::span(news.output)));
        break;
      case News::Kind::kEnded:
        state_->forget(news.attempt);
        events.ended(news.attempt, news.end);
        break;
    }
  }
}

bool Containers::finish(Duration wait) {
  state_->kill_all();
  const MonoTime until = exec::boot_time() + wait;
  while (!state_->running.empty() && exec::boot_time() < until) {
    state_->outbox.wait(until - exec::boot_time());
    dispatch({[](AttemptId) {}, [](AttemptId, std::span<const std::byte>) {}, [](AttemptId, const ContainerEnd&) {}});
  }
  return state_->running.empty();
}

}  // namespace chappe::container
