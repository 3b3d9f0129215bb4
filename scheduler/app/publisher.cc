#include "scheduler/app/publisher.h"

#include <optional>
#include <utility>
#include <variant>

namespace chappe {

Publisher::Publisher(ObjectStore& store, Report report) : store_(store), report_(std::move(report)) {}

Publisher::~Publisher() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Publisher::publish(PublishAssets work) { add({.work = std::move(work)}, {}); }

void Publisher::drop(DropOutputs work) { add({.work = std::move(work)}, {}); }

void Publisher::remove(RemoveObjects work) { add({.work = std::move(work)}, {}); }

void Publisher::remove_run(RemoveRunObjects work) {
  {
    const std::lock_guard lock(mutex_);
    runs_.push_back(work);
    if (runs_.size() > 1) return;
  }
  add({.work = std::move(work)}, {});
}

void Publisher::remove_next_run() {
  std::optional<RemoveRunObjects> next;
  {
    const std::lock_guard lock(mutex_);
    runs_.pop_front();
    if (!runs_.empty()) next = runs_.front();
  }
  if (next) add({.work = std::move(*next)}, {});
}

void Publisher::add(Errand errand, Clock::duration after) {
  {
    const std::lock_guard lock(mutex_);
    due_.emplace(Clock::now() + after, std::move(errand));
    while (threads_.size() < kThreads) threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
  changed_.notify_one();
}

void Publisher::serve(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (due_.empty()) {
      changed_.wait(lock, stop, [&] { return !due_.empty(); });
      continue;
    }
    const auto first = due_.begin()->first;
    if (first > Clock::now()) {
      changed_.wait_until(lock, stop, first, [&] { return !due_.empty() && due_.begin()->first < first; });
      continue;
    }
    Errand errand = std::move(due_.extract(due_.begin()).mapped());
    lock.unlock();
    carry_out_one(std::move(errand));
    lock.lock();
  }
}

void Publisher::carry_out_one(Errand errand) {
  ErrandOutcome outcome = carry_out(store_, errand);
  const bool is_run_over = outcome.report && std::holds_alternative<RemoveRunObjects>(errand.work);
  if (outcome.report) report_(std::move(*outcome.report));
  if (is_run_over) remove_next_run();
  if (outcome.again_after) add(std::move(errand), *outcome.again_after);
}

}  // namespace chappe
