#include "engine/run/gates.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/base/mutant.h"

namespace chappe {

const GateUse* Gates::closed(const std::vector<GateUse>& uses, const GateTurn& turn) const {
  if (CHAPPE_MUTANT(kForgetsGates)) return nullptr;
  for (const GateUse& use : uses) {
    const auto gate = gates_.find(use.name);
    if (gate == gates_.end()) continue;
    const bool overtakes = !gate->second.line.empty() && gate->second.line.begin()->first < turn;
    const bool room = use.exclusive ? gate->second.taken == 0 : gate->second.taken < use.places;
    if (!room || overtakes) return &use;
  }
  return nullptr;
}

void Gates::take(const std::vector<GateUse>& uses, InstanceKey who, MonoTime now) {
  for (const GateUse& use : uses) {
    Gate& gate = gate_of(use);
    const std::uint32_t places = use.exclusive ? gate.places : 1;
    gate.taken += places;
    if (use.returns_after > Duration(0)) {
      returns_.emplace(now + use.returns_after, use.name);
    } else {
      gate.holders[who] = {places, use.exclusive};
    }
    changed(use.name);
  }
}

void Gates::give_back(const std::vector<GateUse>& uses, InstanceKey who) {
  for (const GateUse& use : uses) {
    const auto gate = gates_.find(use.name);
    if (gate == gates_.end() || use.returns_after > Duration(0) || CHAPPE_MUTANT(kKeepsGates)) continue;
    const auto holder = gate->second.holders.find(who);
    CHAPPE_ASSERT(holder != gate->second.holders.end());
    gate->second.taken -= holder->second.places;
    gate->second.holders.erase(holder);
    changed(use.name);
  }
}

void Gates::wait(const GateUse& use, const GateTurn& turn) {
  gate_of(use).line[turn] = use.exclusive;
  changed(use.name);
}

std::vector<InstanceKey> Gates::call(MonoTime now) {
  while (!returns_.empty() && returns_.begin()->first <= now) {
    const std::string name = std::move(returns_.extract(returns_.begin()).mapped());
    --gates_.at(name).taken;
    changed(name);
  }
  std::vector<InstanceKey> called;
  const std::set<std::string> callable = callable_;
  for (const std::string& name : callable) {
    Gate& gate = gates_.at(name);
    std::uint32_t room = gate.places - std::min(gate.places, gate.taken);
    while (room > 0 && !gate.line.empty() && gate.has_room(gate.line.begin()->second)) {
      room = gate.line.begin()->second ? 0 : room - 1;
      called.push_back(gate.line.begin()->first.who);
      gate.line.erase(gate.line.begin());
    }
    changed(name);
  }
  return called;
}

std::optional<MonoTime> Gates::next_return() const {
  return returns_.empty() ? std::nullopt : std::optional(returns_.begin()->first);
}

std::map<std::string, Gates::View, std::less<>> Gates::view() const {
  std::map<std::string, View, std::less<>> out;
  for (const auto& [name, gate] : gates_) {
    View& view = out[name];
    view = {.places = gate.places, .taken = gate.taken, .waiting = gate.line.size(), .holder = {}};
    if (!gate.holders.empty()) view.holder = gate.holders.begin()->first;
  }
  return out;
}

/// The newest version of a DAG, and the newest start of the scheduler, say how many places there are.
Gates::Gate& Gates::gate_of(const GateUse& use) {
  Gate& gate = gates_[use.name];
  gate.places = use.places;
  return gate;
}

void Gates::set_places(const std::string& name, std::uint32_t places) {
  const auto found = gates_.find(name);
  if (found == gates_.end()) return;
  Gate& gate = found->second;
  gate.places = places;
  for (auto& [who, held] : gate.holders) {
    if (!held.exclusive) continue;
    gate.taken = gate.taken - held.places + places;
    held.places = places;
  }
  changed(name);
}

void Gates::changed(const std::string& name) {
  const auto found = gates_.find(name);
  const Gate& gate = found->second;
  if (!gate.line.empty() && gate.has_room(gate.line.begin()->second)) {
    callable_.insert(name);
  } else {
    callable_.erase(name);
  }
  if (gate.taken == 0 && gate.line.empty()) gates_.erase(found);
}

}  // namespace chappe
