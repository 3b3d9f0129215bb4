#include "tests/simulation/scaler.h"

#include <algorithm>

#include "tests/simulation/world.h"

namespace chappe::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDecideEvery = 2s;
constexpr Duration kShrinkAfter = 6s;
constexpr Duration kResizeMax = 300ms;  ///< Of a request.
constexpr Duration kBootMax = 3s;       ///< Until a worker runs.
constexpr Duration kGrace = 30s;        ///< What a worker that is told to go has time for.

}  // namespace

void Scaler::begin() {
  size_ = world_.plan.workers;
  for (std::uint32_t worker = 0; worker < size_; ++worker) members_.push_back({.worker = worker});
  look();
}

const std::string& Scaler::name_of(const Member& member) const { return world_.workers[member.worker]->name(); }

bool Scaler::rests(std::uint32_t scheduler, ConnectionId connection) const {
  const auto decider = deciders_.find(scheduler);
  const auto worker = world_.network.worker_on(connection);
  return decider != deciders_.end() && worker && decider->second.resting.contains(world_.workers[*worker]->name());
}

void Scaler::look() {
  for (std::uint32_t number = 0; number < world_.schedulers.size(); ++number) look(number);
  world_.time.after(kDecideEvery, [this] { look(); });
}

/// As scheduler/launch/fleet_scaler.cc does it: what it asks is answered after all that the scheduler was told before.
void Scaler::look(std::uint32_t scheduler) {
  Scheduler& process = *world_.schedulers[scheduler];
  if (!process.alive() || process.standing_still() || process.has_mail()) return;
  std::set<std::string> pods;
  for (const Member& member : members_) {
    if (!member.gone) pods.insert(name_of(member));
  }
  const FleetBounds bounds{.least = static_cast<std::uint32_t>(world_.plan.seed % 2),
                           .most = world_.plan.workers + 1,
                           .shrink_after = kShrinkAfter};
  Decider& own = deciders_.try_emplace(scheduler, Decider{Fleet(bounds)}).first->second;
  const FleetView view = process.engine().fleet(pods);
  const FleetOrder order = own.fleet.decide(size_, view.load, view.members, process.now().mono);
  const bool is_busy = std::ranges::any_of(
      view.members, [&](const FleetMember& each) { return each.attempts > 0 && order.resting.contains(each.pod); });
  if (is_busy) world_.saw(Sight::kWorkerRested);
  if (order.resting != own.resting) {
    own.resting = order.resting;
    process.take(Event(FleetResting{order.resting}));
  }
  if (order.size == size_) return;
  world_.time.after(world_.up_to(kResizeMax),
                    [this, scheduler, order, version = version_] { resize(scheduler, order, version); });
}

/// Marks first, then the size: with the process dies what it had not done yet.
void Scaler::resize(std::uint32_t scheduler, const FleetOrder& order, std::uint64_t version) {
  if (!world_.schedulers[scheduler]->alive()) return;
  for (Member& member : members_) member.marked = order.leaving.contains(name_of(member));
  world_.time.after(world_.up_to(kResizeMax), [this, scheduler, size = order.size, version] {
    if (!world_.schedulers[scheduler]->alive() || version != version_) return;
    ++version_;
    size_ = size;
    world_.journal.note("the fleet is resized", size, scheduler);
    world_.time.after(world_.up_to(kResizeMax), [this] { reconcile(); });
  });
}

/// What the cluster makes of it: of those that are too many, marked ones go first, then the newest.
void Scaler::reconcile() {
  std::vector<Member*> there;
  for (Member& member : members_) {
    if (!member.gone) there.push_back(&member);
  }
  std::ranges::stable_sort(there, [](const Member* one, const Member* other) { return one->marked < other->marked; });
  for (; there.size() > size_; there.pop_back()) let_go(*there.back());
  for (std::size_t number = there.size(); number < size_; ++number) add_member();
}

void Scaler::add_member() {
  const auto number = static_cast<std::uint32_t>(world_.workers.size());
  world_.saw(Sight::kFleetGrew);
  members_.push_back({.worker = number});
  world_.workers.push_back(std::make_unique<Worker>(world_, number));
  world_.network.add_worker();
  world_.time.after(world_.up_to(kBootMax), [&worker = *world_.workers.back()] { worker.boot(); });
}

void Scaler::let_go(Member& member) {
  member.gone = true;
  world_.saw(Sight::kFleetShrank);
  Worker& worker = *world_.workers[member.worker];
  if (worker.alive()) world_.laws.lets_go(worker.incarnation());
  worker.drain_for_good();
  world_.time.after(kGrace, [&worker] { worker.retire(); });
}

}  // namespace chappe::simulation
