// Ownership over real connections: what tells two workers apart is the connection and its key, nothing that they say.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/run/engine.h"
#include "tests/integration/proto/wire_test.h"
#include "tests/support/dag_builder.h"

namespace chappe::transport {
namespace {

constexpr std::size_t kRounds = 60;  // Of four messages each.

class OwnershipOnTheWire : public WireTest {
 protected:
  OwnershipOnTheWire() : engine_(Engine::restore({.epoch = 1}, {}, now_).value()) {}

  /// Lets the engine decide over all that has come, and sends what it wants sent.
  void decide(const std::vector<Event>& events) {
    const Effects effects = engine_.step(events, now_);
    for (const WorkerSend& send : effects.send) port_->send(send);
  }
  void decide_what_came() {
    for (const wire::LogChunk& chunk : said_.logs) {
      ++logs_seen_;
      if (engine_.leased(chunk.connection, chunk.what.attempt)) ++logs_taken_;
    }
    said_.logs.clear();
    events_seen_ += said_.events.size();
    decide(std::exchange(said_.events, {}));
  }
  template <typename Done>
  void serve(const std::vector<SchedulerLink*>& links, Done done) {
    serve_until(links, [&] {
      decide_what_came();
      return done();
    });
  }

  std::vector<Assignment> assigned_to(const SchedulerLink* link) const {
    std::vector<Assignment> all;
    for (const auto& [one, told] : told_) {
      if (one == link) all.insert(all.end(), told.assign.begin(), told.assign.end());
    }
    return all;
  }
  bool is_welcome(const SchedulerLink* link) const {
    return std::any_of(told_.begin(), told_.end(),
                       [&](const auto& one) { return one.first == link && one.second.welcome.has_value(); });
  }

  static AttemptFinished finished(const Assignment& what) {
    AttemptFinished event;
    event.what = {what.key, what.attempt};
    event.end.started_at = event.end.ended_at = {1};
    return event;
  }

  Now now_{{1'800'000'000'000'000}, {1'000'000'000}};
  Engine engine_;
  std::size_t events_seen_ = 0;
  std::size_t logs_seen_ = 0;
  std::size_t logs_taken_ = 0;
};

TEST_F(OwnershipOnTheWire, NoOtherKeySpeaksForAnAttemptWhateverItSays) {
  bind();
  const auto rightful = link();
  const auto intruder = link_with(other_keys_, scheduler_keys_.public_key);
  WorkerHello hello_of_rightful = hello("rightful");
  hello_of_rightful.capacity.cpu_milli = 4'000;
  send(*rightful, encoder_.hello(hello_of_rightful));
  serve({rightful.get()}, [&] { return is_welcome(rightful.get()); });
  decide({RunRequested{
      .id = RunId::make(now_.wall, {1}),
      .dag = support::dag_of("{name: d, tasks: [{id: a, run: x}, {id: b, run: x}, {id: c, run: x}, {id: d, run: x}]}"),
      .params = {}}});
  serve({rightful.get()}, [&] { return assigned_to(rightful.get()).size() == 4; });
  const std::vector<Assignment> theirs = assigned_to(rightful.get());

  WorkerHello own = hello("intruder");
  own.incarnation = std::string(32, 'b');
  send(*intruder, encoder_.hello(own));
  serve({rightful.get(), intruder.get()}, [&] { return is_welcome(intruder.get()); });
  const std::string before = engine_.dump_json();
  events_seen_ = 0;
  std::size_t sent = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const Assignment& what = theirs[round % theirs.size()];
    const HeldAttempt held{what.key, what.attempt};
    encoder_.add(AttemptStarted{.connection = {1}, .what = held, .at = {1}});  // The number of the rightful one.
    encoder_.add(finished(what));
    encoder_.add(AttemptReturned{.connection = {1}, .what = held});
    send(*intruder, encoder_.take_report());
    send(*intruder, encoder_.heartbeat(0, std::array{held}));
    send(*intruder, encoder_.hello(hello_of_rightful));
    const wire::LogChunk lie{.what = held, .offset = 0, .data = "a lie"};
    send(*intruder, encoder_.logs(std::array{lie}));
    sent += 5;
    decide_what_came();
  }
  serve({rightful.get(), intruder.get()}, [&] { return events_seen_ >= sent && logs_seen_ >= kRounds; });
  EXPECT_EQ(engine_.dump_json(), before);
  EXPECT_EQ(logs_taken_, 0U);

  for (const Assignment& what : theirs) encoder_.add(finished(what));
  send(*rightful, encoder_.take_report());
  serve({rightful.get()}, [&] { return engine_.live_runs() == 0; });
}

}  // namespace
}  // namespace chappe::transport
