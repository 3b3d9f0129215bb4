#include "tests/simulation/pods.h"

#include <algorithm>

#include "scheduler/launch/pod.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/worker.h"
#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWayMax = 300ms;  ///< Of a request, an answer, and news.
constexpr Duration kListEvery = 5s;
constexpr Duration kStaleMax = 2s;      ///< Of a list.
constexpr Duration kStartMax = 3s;      ///< Until a pod's worker runs.
constexpr Duration kInsistAfter = 30s;  ///< What a worker that is told to leave has time for.
constexpr Duration kStrangerMax = 20s;  ///< For so long another one's pod has a name.
constexpr std::string_view kInstallation = "ours";

}  // namespace

std::size_t Pods::left() const {
  return static_cast<std::size_t>(std::count_if(pods_.begin(), pods_.end(), [](const Pod& pod) { return pod.there; }));
}

AttemptId Pods::attempt_of(std::uint32_t worker) const {
  for (const Pod& pod : pods_) {
    if (pod.worker == worker && worker != 0) return pod.attempt;
  }
  const auto thief = thieves_.find(worker);
  return thief == thieves_.end() ? AttemptId{} : thief->second;
}

// ---- A scheduler's launcher, as scheduler/launch/launcher.cc has it ----

Pods::Launcher& Pods::launcher(std::uint32_t scheduler) {
  return launchers_.try_emplace(scheduler, Launcher{launch::PodBook(std::string(kInstallation))}).first->second;
}

/// With the process dies what it was about to do; while it stands still, it does nothing.
void Pods::in_process(std::uint32_t scheduler, const std::function<void(Launcher&)>& what) {
  const Scheduler& process = *world_.schedulers[scheduler];
  if (!process.alive()) return;
  if (process.standing_still()) {
    return world_.time.after(500ms, [this, scheduler, what] { in_process(scheduler, what); });
  }
  Launcher& own = launcher(scheduler);
  what(own);
  for (PodSeen& news : own.book.take_news()) world_.schedulers[scheduler]->take(std::move(news));
  serve(scheduler, own);
}

void Pods::order(std::uint32_t scheduler, const PodOrder& order) {
  in_process(scheduler, [this, order](Launcher& own) {
    if (order.dag == nullptr) return own.book.release(order.pod, world_.time.now());
    own.ordered.insert(order.what.attempt);
    own.book.want(order, "its key", world_.time.now());
  });
}

void Pods::begin(std::uint32_t scheduler) {
  Launcher& own = launcher(scheduler);
  if (!std::exchange(own.begun, true)) list(scheduler);
}

void Pods::serve(std::uint32_t scheduler, Launcher& own) {
  while (const auto request = own.book.next(world_.time.now())) ask(scheduler, *request);
  const auto due = own.book.next_due();
  if (!due) return;
  world_.time.at(*due, [this, scheduler, number = ++own.wakes] {
    if (launcher(scheduler).wakes == number) in_process(scheduler, [](Launcher&) {});
  });
}

void Pods::ask(std::uint32_t scheduler, const launch::PodRequest& request) {
  const auto answer = [this, scheduler, request](launch::PodOutcome outcome) {
    world_.time.after(world_.up_to(kWayMax), [this, scheduler, request, outcome = std::move(outcome)] {
      in_process(scheduler,
                 [this, request, outcome](Launcher& own) { own.book.take(request, outcome, world_.time.now()); });
    });
  };
  world_.time.after(world_.up_to(kWayMax), [this, scheduler, request, answer] {
    const launch::PodOutcome later{.message = "the API server does not answer"};
    if (world_.happens(Fault::kFailApi)) return answer(later);
    const bool is_swept = request.what == launch::PodRequest::What::kRemove && find(request.pod) != nullptr &&
                          !launcher(scheduler).ordered.contains(find(request.pod)->attempt);
    if (is_swept) world_.saw(Sight::kPodSwept);
    launch::PodOutcome outcome = carry_out(request);
    answer(world_.happens(Fault::kFailApi) ? later : std::move(outcome));
  });
}

void Pods::list(std::uint32_t scheduler) {
  const MonoTime began = world_.time.now();
  const MonoTime as_of{began.us - world_.up_to(kStaleMax).count()};
  ValueList found;
  for (const Pod& pod : pods_) {
    if (pod.made_at <= as_of && (pod.there || pod.gone_at > as_of)) found.push_back(shown(pod));
  }
  world_.time.after(world_.up_to(kWayMax), [this, scheduler, began, found = std::move(found)] {
    in_process(scheduler, [this, found, began](Launcher& own) { own.book.listed(found, began, world_.time.now()); });
  });
  world_.time.after(kListEvery, [this, scheduler] {
    if (world_.schedulers[scheduler]->alive()) in_process(scheduler, [this, scheduler](Launcher&) { list(scheduler); });
  });
}

// ---- The API server ----

Pods::Pod* Pods::find(const std::string& name) {
  const auto found =
      std::find_if(pods_.begin(), pods_.end(), [&](const Pod& pod) { return pod.there && pod.name == name; });
  return found == pods_.end() ? nullptr : &*found;
}

launch::PodOutcome Pods::carry_out(const launch::PodRequest& request) {
  using Did = launch::PodRequest::What;
  using Came = launch::PodOutcome::What;
  if (request.what == Did::kMake && world_.happens(Fault::kTakePodName)) take_name(request);
  Pod* pod = find(request.pod);
  if (request.what == Did::kMake) {
    if (pod != nullptr) return {.what = Came::kExists};
    make(request);
    return {.what = Came::kShown, .pod = shown(*find(request.pod))};
  }
  if (pod == nullptr) return {.what = Came::kAbsent};
  if (request.what == Did::kLook) return {.what = Came::kShown, .pod = shown(*pod)};
  if (request.uid.empty() || request.uid == std::to_string(pod->uid)) remove(*pod);
  return {.what = Came::kAbsent};
}

Pods::Pod& Pods::add(const launch::PodRequest& request, const std::string& run) {
  const std::uint64_t uid = pods_.size() + 1;
  return pods_.emplace_back(Pod{.name = request.pod,
                                .uid = uid,
                                .attempt = request.order->what.attempt,
                                .run = run,
                                .made_at = world_.time.now()});
}

void Pods::make(const launch::PodRequest& request) {
  const auto number = static_cast<std::uint32_t>(world_.workers.size());
  world_.journal.note("pod is made", number, request.order->what.attempt.value);
  world_.saw(Sight::kPodMade);
  Pod& pod = add(request, request.order->run->id.text());
  pod.worker = number;
  world_.workers.push_back(std::make_unique<Worker>(world_, number, true));
  world_.network.add_worker();
  changed(pod);
  if (world_.happens(Fault::kStickPod)) return;
  world_.time.after(world_.up_to(kStartMax), [this, at = pods_.size() - 1] { start(at); });
}

/// A pod of a scheduler whose store was set back has the name.
void Pods::take_name(const launch::PodRequest& request) {
  if (find(request.pod) != nullptr) return;
  Pod& pod = add(request, "another");
  pod.started = true;
  changed(pod);
  world_.time.after(world_.up_to(kStrangerMax), [this, at = pods_.size() - 1] {
    pods_[at].ended = true;
    changed(pods_[at]);
    world_.time.after(world_.up_to(kStrangerMax), [this, at] { is_gone(pods_[at]); });
  });
}

void Pods::start(std::size_t number) {
  Pod& pod = pods_[number];
  if (!pod.there || pod.deleting) return;
  pod.started = true;
  changed(pod);
  world_.workers[pod.worker]->boot();
}

/// Where something runs in it, that is asked to end first.
void Pods::remove(Pod& pod) {
  if (pod.worker == 0 || !world_.workers[pod.worker]->alive()) {
    if (pod.worker != 0) world_.workers[pod.worker]->retire();
    return is_gone(pod);
  }
  if (std::exchange(pod.deleting, true)) return;
  changed(pod);
  Worker& worker = *world_.workers[pod.worker];
  worker.evict();
  world_.time.after(kInsistAfter, [&worker] { worker.retire(); });
}

void Pods::is_gone(Pod& pod) {
  if (!std::exchange(pod.there, false)) return;
  pod.gone_at = world_.time.now();
  changed(pod);
}

void Pods::worker_ended(std::uint32_t worker) {
  for (Pod& pod : pods_) {
    if (pod.worker != worker || !pod.there) continue;
    pod.ended = true;
    if (pod.deleting) return is_gone(pod);
    return changed(pod);
  }
}

/// Told to all that watch, each when it comes there.
void Pods::changed(const Pod& pod) {
  for (const auto& [scheduler, own] : launchers_) {
    if (!own.begun || world_.happens(Fault::kFailApi)) continue;
    world_.time.after(world_.up_to(kWayMax), [this, number = scheduler, object = shown(pod), there = pod.there] {
      in_process(number, [this, object, there](Launcher& of) {
        there ? of.book.shown(object, world_.time.now()) : of.book.deleted(object, world_.time.now());
      });
    });
  }
}

Value Pods::shown(const Pod& pod) {
  ValueMap metadata{{"name", pod.name},
                    {"uid", std::to_string(pod.uid)},
                    {"labels", ValueMap{{std::string(launch::kInstallationLabel), kInstallation},
                                        {std::string(launch::kAttemptLabel), to_text(pod.attempt)},
                                        {std::string(launch::kRunLabel), pod.run}}}};
  if (pod.deleting) metadata.emplace_back("deletionTimestamp", "2026-01-01T00:00:00Z");
  ValueMap state{{"waiting", ValueMap{{"reason", "ErrImagePull"}}}};
  if (pod.started) state = {{"running", ValueMap{}}};
  if (pod.ended) state = {{"terminated", ValueMap{{"exitCode", 1}}}};
  const Value container = ValueMap{{"name", launch::kTaskContainer}, {"state", std::move(state)}};
  return ValueMap{{"metadata", std::move(metadata)},
                  {"status", ValueMap{{"phase", pod.ended     ? "Failed"
                                                : pod.started ? "Running"
                                                              : "Pending"},
                                      {"containerStatuses", ValueList{container}}}}};
}

// ---- Faults ----

/// By the API, which deletes it; or by its node, which leaves it to be looked at.
void Pods::evict_some() {
  for (Pod& pod : pods_) {
    if (!pod.there || pod.deleting || pod.worker == 0 || !world_.workers[pod.worker]->alive()) continue;
    world_.saw(Sight::kPodEvicted);
    if (world_.chance.one_in(2)) return remove(pod);
    Worker& worker = *world_.workers[pod.worker];
    worker.evict();
    return world_.time.after(kInsistAfter, [&worker] { worker.retire(); });
  }
}

void Pods::lose_some() {
  for (Pod& pod : pods_) {
    if (!pod.there || pod.ended || pod.worker == 0) continue;
    world_.saw(Sight::kPodLost);
    return is_gone(pod);
  }
}

void Pods::steal_some_key() {
  for (const Pod& pod : pods_) {
    if (!pod.there || pod.worker == 0 || world_.workers[pod.worker]->programs() == 0) continue;
    const auto number = static_cast<std::uint32_t>(world_.workers.size());
    world_.journal.note("a pod's key is stolen", number, pod.attempt.value);
    world_.saw(Sight::kPodKeyStolen);
    thieves_[number] = pod.attempt;
    world_.workers.push_back(std::make_unique<Worker>(world_, number, true));
    world_.network.add_worker();
    Worker& thief = *world_.workers.back();
    thief.boot();
    return world_.time.after(world_.plan.lease, [&thief] { thief.retire(); });
  }
}

}  // namespace chappe::simulation
