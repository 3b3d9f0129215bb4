/// \file
/// A Deployment of workers, its controller, and for each scheduler the real decision how large it should be
/// (engine/placement/fleet.h). What is decided reaches the cluster late, or not at all.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/placement/fleet.h"

namespace chappe::simulation {

class World;

class Scaler {
 public:
  explicit Scaler(World& world) : world_(world) {}

  /// The plan's workers are its first ones.
  void begin();
  /// That scheduler has decided that whoever is on the connection gets no more work.
  bool rests(std::uint32_t scheduler, ConnectionId connection) const;

 private:
  struct Member {
    std::uint32_t worker = 0;
    bool marked = false;  ///< As the cheapest to delete.
    bool gone = false;    ///< It was told to go.
  };
  struct Decider {
    Fleet fleet;
    std::set<std::string> resting = {};
  };

  void look();
  void look(std::uint32_t scheduler);
  void resize(std::uint32_t scheduler, const FleetOrder& order, std::uint64_t version);
  void reconcile();
  void add_member();
  void let_go(Member& member);
  const std::string& name_of(const Member& member) const;

  World& world_;
  std::vector<Member> members_;  ///< All that ever were.
  std::uint32_t size_ = 0;
  std::uint64_t version_ = 0;                  ///< Of the size: a change of an older one is refused.
  std::map<std::uint32_t, Decider> deciders_;  ///< By scheduler.
};

}  // namespace chappe::simulation
