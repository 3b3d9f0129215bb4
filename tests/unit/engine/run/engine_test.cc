// What stories cannot say: bounds, and that equal input gives equal output.
#include "engine/run/engine.h"

#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::DagBuilder;
using support::EngineWorld;
using support::WorkerSide;

TEST(Engine, AssignsAtMostSoManyInOneTransactionAndAsksToGoOn) {
  EngineWorld world({.assign_max = 2});
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const DagPtr dag = DagBuilder("d").task("a").task("b").task("c").build();
  const Effects first = world.step({world.request(dag)});
  EXPECT_EQ(first.persist.tasks.size(), 2u);
  EXPECT_EQ(first.wake_at, world.now.mono);
  EXPECT_EQ(world.step().persist.tasks.size(), 1u);
}

TEST(Engine, LosesNothingThatIsOnItsWayWhenAWorkerSaysHelloTwice) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  const Event hello = world.join(worker);
  world.step({hello});
  const RunRequested request = world.request(DagBuilder("d").task("a").build());
  world.step({request});
  const Effects again = world.step({hello});  // Said before the assignment reached it: it was asked twice.
  EXPECT_EQ(world.state(request.id, "a"), "queued");
  ASSERT_EQ(again.send.size(), 1u);
  EXPECT_TRUE(again.send[0].welcome.has_value());
}

TEST(Engine, LosesNothingWhenTheHelloOfAnEarlierConnectionIsReadLate) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  const Event late = world.join(worker);
  world.step({world.join(worker)});
  const RunRequested request = world.request(DagBuilder("d").task("a").build());
  world.step({request});
  const Effects effects = world.step({late});
  EXPECT_TRUE(effects.persist.empty());
  EXPECT_TRUE(effects.send.empty());
  EXPECT_EQ(world.state(request.id, "a"), "queued");
}

TEST(Engine, TakesNoMoreRunsThanItsBound) {
  EngineWorld world({.runs_max = 1});
  const DagPtr dag = DagBuilder("d").task("a").build();
  world.step({world.request(dag)});
  RunRequested second = world.request(dag);
  second.ticket = {7};
  const Effects effects = world.step({second});
  EXPECT_TRUE(effects.persist.empty());
  ASSERT_EQ(effects.replies.size(), 1u);
  EXPECT_EQ(effects.replies[0].ticket, Ticket{7});
  EXPECT_EQ(effects.replies[0].answer.error().code, ErrorCode::kUnavailable);
}

TEST(Engine, ARequestThatCrossedAnotherOneMakesNoSecondRunEvenWhenTheFirstIsOver) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const DagPtr dag = DagBuilder("d").task("a").build();
  const RunRequested first = world.request(dag, {}, "key");
  world.step({first});
  world.step({world.finished(worker, worker.held.begin()->second)});
  ASSERT_EQ(world.state(first.id), "success");
  RunRequested again = world.request(dag, {}, "key");
  again.ticket = {1};
  const Effects effects = world.step({again});
  EXPECT_TRUE(effects.persist.empty());
  EXPECT_EQ(*effects.replies.at(0).answer->find("run"), Value(first.id.text()));
}

TEST(Engine, SecretParametersReachTheWorkerButNoRecordAndAreMissedAloudAfterARestart) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const auto uses_token = [](Task& task) {
    support::process()(task);
    WorkSpec spec = *task.work;
    spec.env = {{"TOKEN", expr::Template::parse("${{ params.token }}").value()}};
    task.work = std::make_shared<const WorkSpec>(spec);
  };
  const auto secret = [](Dag& dag) { dag.params = {{.name = "token", .secret = true}}; };
  const DagPtr dag = DagBuilder("d").task("a", {}, uses_token).task("b", {"a"}, uses_token).change(secret).build();
  const RunRequested request = world.request(dag, {{"token", "hush"}});
  world.step({request});
  const Assignment what = worker.held.begin()->second;
  EXPECT_EQ(what.work->env[0].second, "hush");
  EXPECT_EQ(what.run->params_json, R"({"token":"hush"})");
  EXPECT_EQ(world.row(request.id).params_json, R"({"token":null})");

  world.restart();
  world.step({world.join(worker)});
  world.step({world.finished(worker, what)});
  EXPECT_EQ(world.state(request.id, "b"), "failed");
  EXPECT_NE(world.row(request.id, "b").end.message.find("params.token is absent"), std::string::npos)
      << world.row(request.id, "b").end.message;
}

TEST(Engine, AnUnknownConnectionIsAskedToSayHelloAndChangesNothing) {
  EngineWorld world;
  const HeldAttempt what{{{1}, 0}, {1}};
  for (const Event& event : std::vector<Event>{WorkerHeartbeat{{9}, 0, {what}}, AttemptStarted{{9}, what, {1}},
                                               AttemptFinished{{9}, what, {}, nullptr}}) {
    const Effects effects = world.step({event});
    EXPECT_TRUE(effects.persist.empty());
    ASSERT_EQ(effects.send.size(), 1u);
    EXPECT_TRUE(effects.send[0].hello_please);
    EXPECT_TRUE(effects.send[0].acknowledged.empty()) << "a result was acknowledged that nobody took";
  }
}

TEST(Engine, AConnectionSpeaksForOneProcessOnly) {
  EngineWorld world;
  WorkerSide& first = world.worker("w1");
  world.step({world.join(first)});
  WorkerSide& second = world.worker("w2");
  second.connection = first.connection;
  WorkerHello hello = second.hello;
  world.step({WorkerJoined{first.connection, hello}});
  first.connection = {};
  world.step({world.request(DagBuilder("d").task("a").build())});
  EXPECT_EQ(first.held.size(), 0u);
  EXPECT_EQ(second.held.size(), 1u);
}

TEST(Engine, AHeartbeatThatWasSentBeforeTheAssignmentCameDoesNotLoseIt) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const Event early = world.heartbeat(worker);
  const RunRequested request = world.request(DagBuilder("d").task("a").build());
  world.step({request});
  EXPECT_TRUE(world.step({early}).persist.empty());
  EXPECT_EQ(world.state(request.id, "a"), "queued");
}

TEST(Engine, NoLeaseIsMadeLongerBeforeTheStoreIsKnownToBeOurs) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  worker.silent = true;
  EXPECT_FALSE(world.step({world.join(worker)}).confirm) << "it is written that the worker is there";
  int confirmed = 0;
  const Duration lease = world.config().lease;
  for (int i = 0; i < 24; ++i) {
    world.pass(lease / 12);
    const Effects effects = world.step({world.heartbeat(worker)});
    EXPECT_TRUE(effects.persist.empty());
    EXPECT_FALSE(effects.send.empty());
    confirmed += effects.confirm ? 1 : 0;
  }
  EXPECT_EQ(confirmed, 12) << "an eighth of a lease is more than a heartbeat, and less than two";
  world.pass(lease / 2);
  EXPECT_FALSE(world.step({}).confirm) << "who tells nobody anything need not know";
}

TEST(Engine, EqualEventsGiveEqualEffects) {
  const DagPtr dag = DagBuilder("d").task("a").task("b", {"a"}).build();
  const auto tell = [&] {
    EngineWorld world({.seed = 7});
    WorkerSide& worker = world.worker("w1");
    std::vector<Persist> out{world.step({world.join(worker)}).persist, world.step({world.request(dag)}).persist};
    const Assignment what = worker.held.begin()->second;
    out.push_back(world.step({world.finished(worker, what, {.reason = Reason::kArtifactIo})}).persist);
    return out;
  };
  EXPECT_EQ(tell(), tell());
}

TEST(Engine, LosingTheNewestCommitsLeavesAStateThatItCanGoOnFrom) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const RunRequested request = world.request(DagBuilder("d").task("a").task("b", {"a"}).build());
  world.step({request});
  world.step({world.finished(worker, worker.held.begin()->second)});
  ASSERT_EQ(world.state(request.id, "a"), "success");
  world.store().lose_newest(1);
  world.restart();
  EXPECT_EQ(world.state(request.id, "a"), "queued");
  world.step({world.join(worker)});
  EXPECT_EQ(world.state(request.id, "a"), "up_for_retry");
}

TEST(Engine, DoesNotRunAgainWhatAnotherSchedulerIsRunning) {
  EngineWorld world;
  const RunRequested request = world.request(DagBuilder("d").task("a").build());
  world.step({request});
  Engine replaced = Engine::restore({.epoch = 1}, {}, world.now).value();
  const RetryRequested retry{.ticket = {1},
                             .run = request.id,
                             .stored = std::make_shared<StoredRun>(world.store().load_run(request.id).value())};
  const Effects effects = replaced.step(std::vector<Event>{retry}, world.now);
  ASSERT_EQ(effects.replies.size(), 1u);
  EXPECT_EQ(effects.replies[0].answer.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(effects.persist.empty());
}

TEST(Engine, AWallClockThatIsSetBackDoesNotMakeARestLonger) {
  EngineWorld world;
  WorkerSide& worker = world.worker("w1");
  world.step({world.join(worker)});
  const RunRequested request = world.request(DagBuilder("d").task("a").build());
  world.step({request});
  world.step({world.finished(worker, worker.held.begin()->second, {.reason = Reason::kArtifactIo})});
  worker.held.clear();
  ASSERT_EQ(world.state(request.id, "a"), "up_for_retry");
  world.now.wall = world.now.wall + -std::chrono::hours(2);
  world.restart();
  world.step({world.join(worker)});
  world.pass(std::chrono::seconds(2));
  EXPECT_EQ(world.state(request.id, "a"), "queued");
}

}  // namespace
}  // namespace chappe
