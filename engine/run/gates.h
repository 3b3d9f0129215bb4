/// \file
/// What attempts share beyond pools: named locks, `max_active_per_dag`, `rate`. Private to engine/run.
///
/// A gate has places. An attempt takes one of them, or all; it gives them back at its end, or, at a gate of a rate,
/// when the time has passed. Who finds no place stands in the gate's line, and is called when it is its turn. It holds
/// nothing meanwhile, so lines cannot wait for each other. Smaller rank goes first, then older runs; nobody overtakes
/// the line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace chappe {

/// One gate that an attempt has to pass.
struct GateUse {
  std::string name;          ///< "lock db"
  std::uint32_t places = 1;  ///< That the gate has.
  bool exclusive = false;    ///< Takes all of them.
  Duration returns_after{};  ///< Above zero: a rate.
};

/// Who wants to pass.
struct GateTurn {
  std::int32_t rank = 0;
  InstanceKey who;
  auto operator<=>(const GateTurn&) const = default;
};

class Gates {
 public:
  /// The first of `uses` that lets it wait; nullptr: none does. Cost: O(log gates) each.
  const GateUse* closed(const std::vector<GateUse>& uses, const GateTurn& turn) const;
  /// For a new attempt where closed() says nullptr, or for one that has its places since before a restart.
  void take(const std::vector<GateUse>& uses, InstanceKey who, MonoTime now);
  void give_back(const std::vector<GateUse>& uses, InstanceKey who);

  void wait(const GateUse& use, const GateTurn& turn);
  /// Who has places that are no more keeps them; who has all, has those that are new, too.
  void set_places(const std::string& name, std::uint32_t places);
  /// Whose turn it is now: taken out of their lines, as many at each gate as it has room for. Some may have given up.
  std::vector<InstanceKey> call(MonoTime now);
  bool has_calls() const { return !callable_.empty(); }
  std::optional<MonoTime> next_return() const;  ///< When a place at a rate's gate comes back.

  /// Who has the places, for people: "1 of 1 places taken, by run 7, instance 3".
  struct View {
    std::uint32_t places = 0;
    std::uint32_t taken = 0;
    std::size_t waiting = 0;
    std::optional<InstanceKey> holder;  ///< One of them.
  };
  std::map<std::string, View, std::less<>> view() const;

 private:
  struct Held {
    std::uint32_t places = 1;
    bool exclusive = false;  ///< All that there are.
  };
  struct Gate {
    std::uint32_t places = 1;
    std::uint32_t taken = 0;
    std::map<InstanceKey, Held> holders;  ///< Nobody, at a rate's gate.
    std::map<GateTurn, bool> line;        ///< And whether they want all places.
    bool has_room(bool exclusive) const { return exclusive ? taken == 0 : taken < places; }
  };
  Gate& gate_of(const GateUse& use);
  void changed(const std::string& name);
  std::map<std::string, Gate, std::less<>> gates_;  ///< Those that somebody holds or waits for.
  std::set<std::string> callable_;                  ///< Those whose first in line has room.
  std::multimap<MonoTime, std::string> returns_;
};

}  // namespace chappe
