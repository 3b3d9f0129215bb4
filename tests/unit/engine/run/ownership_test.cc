// A worker may speak of its own attempts only: each verb, of each kind of attempt, by each kind of session, and nothing
// changes unless the one who speaks has the lease.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "engine/lineage/objects.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;

constexpr const char* kOwnDag = R"(
name: own
tasks:
  - {id: running, run: x, resources: {cpu: 1}}
  - {id: queued, run: x, resources: {cpu: 1}}
)";
constexpr const char* kTheirDag = R"(
name: theirs
tasks:
  - {id: running, run: x, outputs: {artifacts: [{name: o, path: o}]}}
  - {id: queued, run: x}
  - {id: done, run: x, outputs: {artifacts: [{name: o, path: o}]}}
  - {id: again, run: x, retry: {limit: 1, backoff: {initial: 0s}}}
  - {id: committing, run: x, outputs: {artifacts: [{name: o, path: o, asset: u/o}]}}
)";
constexpr const char* kOtherDag = "{name: other, tasks: [{id: running, run: x}]}";

OutputObject object_of(const Assignment& what, const std::string& uri = "") {
  return {.name = "o",
          .key = attempt_prefix(what.run->dag, what.run->id, what.task, what.map_key, what.attempt) + "o",
          .size = 1,
          .sha256 = std::string(64, 'a'),
          .asset_uri = uri,
          .upload = uri.empty() ? "" : "upload"};
}

/// Two workers at work, a third that holds nothing, a fourth that left; attempts of theirs in every state.
class Stage {
 public:
  Stage() {
    me.hello.capacity.cpu_milli = 2000;
    world.step({world.join(me)});
    earlier_ = me.connection;
    world.step({world.join(me)});  // It comes back on another connection.
    const RunId own = start(kOwnDag);
    them.hello.capacity.cpu_milli = 8000;
    world.step({world.join(them)});
    const RunId theirs = start(kTheirDag);
    const RunId other = start(kOtherDag);
    world.step({world.join(idle)});
    world.step({world.join(gone)});
    world.step({WorkerLeft{gone.connection}});

    add("own running", own, "running");
    add("own queued", own, "queued");
    for (const char* task : {"running", "queued", "done", "again", "committing"}) {
      add(fmt::format("their {}", task), theirs, task);
    }
    add("of another run", other, "running");
    const Assignment failed = attempts.at("their again");
    world.step({world.started(me, attempts.at("own running")), world.started(them, attempts.at("their running")),
                world.started(them, attempts.at("of another run"))});
    world.step({finished(them, attempts.at("their done"), {object_of(attempts.at("their done"))}),
                finished(them, attempts.at("their committing"), {object_of(attempts.at("their committing"), "u/o")}),
                world.finished(them, failed, {.reason = Reason::kExitCode, .exit_code = 1})});
    world.pass(std::chrono::seconds(1));
    attempts["their past one"] = failed;
    add("their again", theirs, "again");
    mix("own id, their key", "own running", "their running");
    mix("their id, own key", "their running", "own running");
    attempts["unknown"] = attempts.at("their running");
    attempts["unknown"].attempt = {0xffffULL};
    attempts["none"] = attempts.at("their running");
    attempts["none"].attempt = {};
  }

  Event finished(const WorkerSide& worker, const Assignment& what, std::vector<OutputObject> objects) const {
    AttemptOutputs outputs;
    outputs.objects = std::move(objects);
    return world.finished(worker, what, {}, std::move(outputs));
  }

  std::map<std::string, ConnectionId> sessions() const {
    return {{"mine", me.connection},   {"theirs", them.connection}, {"my earlier one", earlier_},
            {"idle", idle.connection}, {"gone", gone.connection},   {"never seen", {999}}};
  }

  EngineWorld world;
  WorkerSide& me = world.worker("me");
  WorkerSide& them = world.worker("them");
  WorkerSide& idle = world.worker("idle");
  WorkerSide& gone = world.worker("gone");
  std::map<std::string, Assignment> attempts;

 private:
  RunId start(const char* yaml) {
    const RunRequested request = world.request(dag_of(yaml));
    world.step({request});
    return request.id;
  }
  void add(const std::string& name, const RunId& run, const std::string& task) {
    const Assignment* what = world.newest(run, task);
    ASSERT_NE(what, nullptr) << name;
    attempts[name] = *what;
  }
  void mix(const std::string& name, const std::string& id, const std::string& key) {
    attempts[name] = attempts.at(key);
    attempts[name].attempt = attempts.at(id).attempt;
  }
  ConnectionId earlier_;
};

using Verb = std::function<Event(const Stage&, ConnectionId, const Assignment&)>;

Event finish(ConnectionId by, const Assignment& what, AttemptEnd end, std::vector<OutputObject> objects) {
  end.started_at = end.ended_at = {1'800'000'000'000'001};
  auto outputs = std::make_shared<AttemptOutputs>();
  outputs->objects = std::move(objects);
  return AttemptFinished{by, {what.key, what.attempt}, std::move(end), outputs};
}

const std::map<std::string, Verb>& verbs() {
  static const std::map<std::string, Verb> all{
      {"started",
       [](const Stage&, ConnectionId by, const Assignment& what) -> Event {
         return AttemptStarted{by, {what.key, what.attempt}, {1}};
       }},
      {"returned",
       [](const Stage&, ConnectionId by, const Assignment& what) -> Event {
         return AttemptReturned{by, {what.key, what.attempt}};
       }},
      {"succeeded", [](const Stage&, ConnectionId by, const Assignment& what) { return finish(by, what, {}, {}); }},
      {"failed",
       [](const Stage&, ConnectionId by, const Assignment& what) {
         return finish(by, what, {.reason = Reason::kExitCode, .exit_code = 1}, {});
       }},
      {"cancelled", [](const Stage&, ConnectionId by,
                       const Assignment& what) { return finish(by, what, {.reason = Reason::kCancelled}, {}); }},
      {"succeeded with its outputs",
       [](const Stage&, ConnectionId by, const Assignment& what) { return finish(by, what, {}, {object_of(what)}); }},
      {"failed with its outputs",
       [](const Stage&, ConnectionId by, const Assignment& what) {
         return finish(by, what, {.reason = Reason::kExitCode}, {object_of(what)});
       }},
      {"succeeded with what is published",
       [](const Stage& stage, ConnectionId by, const Assignment& what) {
         return finish(by, what, {}, {object_of(stage.attempts.at("their done"))});
       }},
      {"heartbeat",
       [](const Stage& stage, ConnectionId by, const Assignment& what) -> Event {
         WorkerHeartbeat beat{by, 0, {}};
         for (const WorkerSide* worker : {&stage.me, &stage.them}) {
           if (worker->connection == by) beat.held = worker->holds();
         }
         beat.held.push_back({what.key, what.attempt});
         return beat;
       }},
  };
  return all;
}

/// What may not be touched: the objects that won, and those of attempts that still run.
std::set<std::string> guarded_keys(const Stage& stage) {
  std::set<std::string> keys;
  for (const ArtifactRow& row : stage.world.store().tables().artifacts) keys.insert(row.object.key);
  for (const auto& [name, what] : stage.attempts) {
    const bool leased = stage.world.engine().leased(stage.me.connection, what.attempt) ||
                        stage.world.engine().leased(stage.them.connection, what.attempt);
    const bool real = name.find(',') == std::string::npos;  // Not an id with the key of another.
    if (leased && real) keys.insert(object_of(what).key);
  }
  return keys;
}

/// True where the speaker holds the lease of just this attempt.
bool may_speak(const Stage& stage, ConnectionId by, const Assignment& what) {
  return stage.world.engine().leased(by, what.attempt);
}

void expect_nothing_changed(Stage& stage, const Effects& effects, const std::string& before,
                            const std::set<std::string>& guarded, ConnectionId by) {
  EXPECT_TRUE(effects.persist.empty());
  EXPECT_TRUE(effects.publish.empty());
  EXPECT_TRUE(effects.replies.empty());
  EXPECT_EQ(stage.world.engine().dump_json(), before);
  for (const DropOutputs& drop : effects.drop) {
    for (const OutputObject& object : drop.objects) EXPECT_FALSE(guarded.contains(object.key)) << object.key;
  }
  for (const WorkerSend& send : effects.send) EXPECT_EQ(send.to, by) << "somebody else is told something";
}

constexpr std::size_t kCasesMin = 2'000;  // In all phases together.
constexpr std::size_t kPhases = 3;

class Ownership : public testing::TestWithParam<std::string> {};

/// Brings the stage to where the case begins.
void prepare(Stage& stage, const std::string& phase) {
  if (phase == "cancelled") {
    stage.world.step({CancelRequested{.run = stage.attempts.at("their running").run->id, .requested_by = "ann"}});
    stage.world.step();
  } else if (phase == "restarted") {
    const ConnectionId mine = stage.me.connection, theirs = stage.them.connection;
    stage.world.restart();
    stage.world.step();          // What was committed and perhaps not carried out is asked for again.
    stage.me.connection = mine;  // The sockets' numbers begin anew: whatever they are, nobody has said hello on them.
    stage.them.connection = theirs;
  }
}

TEST_P(Ownership, ChangesNothingButByTheOwner) {
  std::size_t cases = 0, owners = 0;
  const Stage catalogue;
  std::unique_ptr<Stage> stage;  // The same one for as long as nothing changes.
  for (const auto& [attempt, unused] : catalogue.attempts) {
    for (const auto& [session, connection] : catalogue.sessions()) {
      for (const auto& [verb, make] : verbs()) {
        SCOPED_TRACE(verb + " of " + attempt + " by session " + session);
        if (stage == nullptr) {
          stage = std::make_unique<Stage>();
          prepare(*stage, GetParam());
        }
        const Assignment what = stage->attempts.at(attempt);
        const bool owner = may_speak(*stage, connection, what);
        const std::set<std::string> guarded = guarded_keys(*stage);
        const std::string before = stage->world.engine().dump_json();
        const Effects effects = stage->world.step({make(*stage, connection, what)});
        ++cases;
        if (!owner) {
          expect_nothing_changed(*stage, effects, before, guarded, connection);
        } else if (verb == "failed" || verb == "succeeded") {
          EXPECT_FALSE(effects.persist.empty()) << "the owner is heard";
          ++owners;
        }
        if (owner) stage.reset();
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  EXPECT_GE(cases, kCasesMin / kPhases);
  EXPECT_EQ(owners > 0, GetParam() != "restarted");
}

INSTANTIATE_TEST_SUITE_P(Phases, Ownership, testing::Values("live", "cancelled", "restarted"),
                         [](const auto& phase) { return phase.param; });

/// A worker at work, and another one with a key of its own.
class Impostor : public testing::Test {
 protected:
  void SetUp() override {
    world.step({join(worker, "key of w")});
    world.step({world.request(dag_of(kOtherDag))});
    ASSERT_EQ(worker.held.size(), 1U);
  }
  Event join(WorkerSide& side, const std::string& key) {
    auto event = std::get<WorkerJoined>(world.join(side));
    event.worker_key = key;
    return event;
  }
  Event as(const std::string& incarnation, const std::string& name, const std::string& host) {
    WorkerJoined event{.connection = {77}, .hello = worker.hello, .worker_key = "key of another"};
    event.hello.incarnation = incarnation;
    event.hello.name = name;
    event.hello.host = host;
    return event;
  }
  void expect_refused(Event hello) {
    const std::string before = world.engine().dump_json();
    const Effects effects = world.step({std::move(hello)});
    EXPECT_TRUE(effects.send.empty());
    EXPECT_TRUE(effects.persist.workers.empty());
    EXPECT_EQ(world.engine().dump_json(), before);
    EXPECT_TRUE(world.engine().leased(worker.connection, worker.held.begin()->first));
  }

  EngineWorld world;
  WorkerSide& worker = world.worker("w");
};

TEST_F(Impostor, WithAnotherKeyTakesNeitherASessionNorAPlace) {
  expect_refused(as(worker.hello.incarnation, "x", "y"));
  expect_refused(as(std::string(32, 'f'), worker.hello.name, worker.hello.host));
  world.step({world.finished(worker, worker.held.begin()->second)});
  EXPECT_TRUE(worker.held.empty()) << "the rightful one is heard";
}

TEST_F(Impostor, IsRefusedByAnEngineThatWasRestoredToo) {
  world.restart();
  const Effects effects = world.step({as(worker.hello.incarnation, worker.hello.name, worker.hello.host)});
  EXPECT_TRUE(effects.send.empty());
  world.step({join(worker, "key of w")});
  EXPECT_TRUE(world.engine().leased(worker.connection, worker.held.begin()->first));
}

TEST_F(Impostor, IsToldOfInTheAuditLogOnceALease) {
  std::size_t rows = 0;
  for (int i = 0; i < 100; ++i) {
    const Effects effects = world.step({as(worker.hello.incarnation, "x", "y")});
    for (const AuditRow& row : effects.persist.audit) {
      EXPECT_EQ(row.result, "denied");
      EXPECT_EQ(row.principal, "worker key key of another");
      ++rows;
    }
  }
  EXPECT_EQ(rows, 1U);
}

TEST_F(Impostor, IsLetInWhenThePlaceIsFree) {
  worker.cut = true;
  world.pass(world.config().lease + std::chrono::seconds(1));
  EXPECT_EQ(world.step({as(std::string(32, 'f'), worker.hello.name, worker.hello.host)}).send.size(), 1U)
      << "the machine got a new key";
}

TEST(OwnershipOfNames, AWorkerCannotPublishWhatItsTaskDoesNotDeclare) {
  for (const auto& [uri, name] :
       {std::pair("u/other", ""), std::pair("", ""), std::pair("u/o", "champion_of_others")}) {
    EngineWorld world;
    WorkerSide& worker = world.worker("w");
    world.step({world.join(worker)});
    const RunRequested request = world.request(
        dag_of("{name: d, tasks: [{id: a, run: x, outputs: {artifacts: [{name: o, path: o, asset: u/o}]}}]}"));
    world.step({request});
    const Assignment what = worker.held.begin()->second;
    AttemptOutputs outputs;
    outputs.objects = {object_of(what, uri)};
    outputs.objects[0].asset_name = name;
    const Effects effects = world.step({world.finished(worker, what, {}, outputs)});
    EXPECT_TRUE(effects.publish.empty()) << uri << name;
    EXPECT_TRUE(effects.persist.asset_versions.empty()) << uri << name;
    EXPECT_EQ(world.row(request.id, "a").end.reason, Reason::kInvalidOutput) << uri << name;
  }
}

TEST(OwnershipOfNames, AWorkerCannotRecordAnOutputThatItsTaskDoesNotDeclare) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w");
  world.step({world.join(worker)});
  const RunRequested request =
      world.request(dag_of("{name: d, tasks: [{id: a, run: x, outputs: {artifacts: [{name: p, path: p}]}}]}"));
  world.step({request});
  const Assignment what = worker.held.begin()->second;
  AttemptOutputs outputs;
  outputs.objects = {object_of(what)};
  EXPECT_TRUE(world.step({world.finished(worker, what, {}, outputs)}).persist.artifacts.empty());
  EXPECT_EQ(world.row(request.id, "a").end.reason, Reason::kInvalidOutput);
}

}  // namespace
}  // namespace chappe
