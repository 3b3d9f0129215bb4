/// \file
/// One scheduler process: the real engine and the publisher's real errands, and around them what scheduler/app's loop
/// does, as values: take in, step, commit, and only then tell anybody. It may die between any two of these.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "engine/ports/result_lookup.h"
#include "engine/run/engine.h"
#include "scheduler/app/errand.h"
#include "tests/simulation/network.h"
#include "tests/simulation/timeline.h"

namespace chappe::simulation {

class World;

/// Something that a person asked for, and waits for the answer to.
struct Asked {
  std::uint32_t request = 0;
  Event event;
};

class Scheduler {
 public:
  Scheduler(World& world, std::uint32_t number);

  /// Opens the store and rebuilds the engine from it. `before`: of a process that has died cleanly between two passes,
  /// what its engine thought.
  void boot(const std::optional<std::string>& before);
  void die();
  void pause(Duration time);
  void resume();

  bool has_no_errands() const { return errands_.empty(); }
  bool alive() const { return alive_; }
  bool standing_still() const { return paused_; }
  bool has_mail() const { return !mail_.empty(); }
  std::uint32_t epoch() const { return epoch_; }
  const Engine& engine() const { return *engine_; }
  Now now() const;

  void take(Packet packet);
  void take(Asked asked);
  void take(Event event);  ///< Of one of its own threads.
  /// What its engine thinks of its runs, where every step was committed.
  std::optional<std::string> thoughts() const;

 private:
  struct Looked {
    Duration every{};
    std::uint64_t order = 0;  ///< A look of an earlier one does nothing.
    std::optional<std::vector<SeenObject>> listed = {};
  };
  using Mail = std::variant<Packet, Asked, Event>;

  void compare(const std::string& before);
  void post(Mail mail);
  void pass_soon(MonoTime at);
  void pass();
  std::vector<Event> take_in();
  void look_up_dates(std::vector<Event>& events);
  void look_up_expired(std::vector<Event>& events);
  void look_up_prunable(std::vector<Event>& events);
  void take_in(Packet& packet, std::vector<Event>& events);
  void take_in(Asked& asked, std::vector<Event>& events);
  bool answer_repeated(const Asked& asked);
  bool answer_delivery(const Asked& asked);
  /// False: the process is dead.
  bool commit(const Persist& persist);
  void carry_out(Effects& effects);
  /// False: the process died just before this effect.
  bool goes_on();
  void begin(Errand errand, Duration rest);
  void carry_out(std::uint64_t number);
  void look_after(const LookTarget& target, Duration rest, std::uint64_t order);
  void look(const LookTarget& target, std::uint64_t order);
  void list(const LookTarget& target, Looked& looked);
  void look_up(CacheLookup lookup);
  void look_at_objects(std::uint64_t serial);
  CacheLooked found(const CacheLookup& lookup);
  CacheLooked found(const CacheLookup& lookup, KnownResult known);
  void follow_results(std::vector<Event>& events);
  void bring(const WantedDag& wanted);
  void notify(const NotificationRow& row);
  bool tell(const Effects& effects);
  void reply(const Reply& reply);
  void restart_later();

  World& world_;
  const std::uint32_t number_;
  Clock clock_;
  std::uint32_t epoch_ = 0;
  std::optional<Engine> engine_;
  bool alive_ = false;
  bool paused_ = false;
  std::uint64_t pauses_ = 0;
  std::uint64_t passes_ = 0;  ///< A planned pass that is behind does nothing.
  std::uint64_t same_time_ = 0;
  MonoTime last_pass_;
  std::deque<Mail> mail_;
  std::map<Ticket, std::uint32_t> waiting_;
  Ticket last_ticket_;
  std::map<std::uint64_t, Errand> errands_;
  std::uint64_t last_errand_ = 0;
  std::map<LookTarget, Looked> looks_;
  std::map<std::uint64_t, CacheLookup> lookups_;    ///< By serial.
  std::map<std::uint64_t, KnownResult> known_;      ///< Of lookups whose objects are being looked at.
  std::map<std::uint64_t, std::uint32_t> notices_;  ///< Tries of what is to be sent, by id.
  std::uint64_t look_orders_ = 0;
  std::vector<WantedDates> dates_;
  std::vector<WantedPast> past_;
  std::optional<ExpiredQuery> expired_;
  std::optional<PruneQuery> prune_;
  std::optional<MonoTime> pass_at_;
};

}  // namespace chappe::simulation
