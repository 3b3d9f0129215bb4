// Tokens of the API and the audit log, as the engine decides them.
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;

TokenRequested make(const std::string& name, WallTime expires_at = {}) {
  return {.ticket = {1},
          .token = {.name = name,
                    .role = Role::kOperator,
                    .sha256 = std::string(64, 'a'),
                    .created_by = "admin",
                    .expires_at = expires_at},
          .source = "192.0.2.7"};
}

TEST(Tokens, AreKeptOverARestartAndRevokedByName) {
  EngineWorld world;
  const Effects made = world.step({make("ci")});
  EXPECT_EQ(made.persist.tokens.at(0).row.created_at, world.now.wall);
  EXPECT_EQ(made.persist.audit.at(0).verb, "token.create");
  EXPECT_EQ(made.persist.audit.at(0).source, "192.0.2.7");
  world.restart();
  ASSERT_EQ(world.engine().tokens().size(), 1U);
  const Effects revoked = world.step({TokenRevokeRequested{{2}, "ci", "admin", "192.0.2.7"}});
  EXPECT_TRUE(revoked.persist.tokens.at(0).revoked);
  EXPECT_EQ(revoked.persist.audit.at(0).verb, "token.revoke");
  EXPECT_TRUE(world.engine().tokens().empty());
  EXPECT_EQ(world.step({TokenRevokeRequested{{3}, "ci", "admin", ""}}).replies.at(0).answer.error().code,
            ErrorCode::kNotFound);
}

TEST(Tokens, OfOneNameAreOneUnlessTheEarlierOneExpired) {
  EngineWorld world;
  world.step({make("ci", world.now.wall + std::chrono::seconds(60))});
  const Effects second = world.step({make("ci")});
  EXPECT_TRUE(second.persist.empty());
  EXPECT_EQ(second.replies.at(0).answer.error().code, ErrorCode::kConflict);
  world.pass(std::chrono::seconds(60));
  EXPECT_TRUE(world.step({make("ci")}).replies.at(0).answer);
  EXPECT_FALSE(world.engine().tokens().at(0).expires_at.is_set());
}

TEST(Tokens, AreNoMoreThanTheirBound) {
  EngineWorld world({.tokens_max = 2});
  world.step({make("a"), make("b")});
  EXPECT_EQ(world.step({make("c")}).replies.at(0).answer.error().code, ErrorCode::kConflict);
  EXPECT_EQ(world.engine().tokens().size(), 2U);
}

TEST(Refusals, AreRowsOfTheAuditLog) {
  EngineWorld world;
  const Effects effects = world.step({AccessDenied{{1}, "anonymous", "192.0.2.7", "GET /api/v1/runs", "{}"}});
  const AuditRow row{world.now.wall, "anonymous", "access", "GET /api/v1/runs", "{}", "192.0.2.7", "denied"};
  EXPECT_EQ(effects.persist.audit, std::vector{row});
  EXPECT_EQ(effects.replies.size(), 1U) << "whoever asked waits no longer";
}

TEST(AuditRows, SayWhatWasBeforeAndAfter) {
  EngineWorld world;
  const RunRequested request = world.request(dag_of("{name: d, tasks: [{id: a, run: x}]}"));
  world.step({request});
  const Effects effects = world.step({CancelRequested{{}, request.id, "bert", "192.0.2.9"}});
  ASSERT_EQ(effects.persist.audit.size(), 1U);
  EXPECT_EQ(effects.persist.audit[0].detail, R"({"before":"running","after":"cancelled"})");
  EXPECT_EQ(effects.persist.audit[0].source, "192.0.2.9");
}

}  // namespace
}  // namespace chappe
