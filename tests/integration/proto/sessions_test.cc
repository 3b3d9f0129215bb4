#include "proto/transport/sessions.h"

#include <gtest/gtest.h>

namespace chappe::transport {
namespace {

using namespace std::chrono_literals;

const Session::Time kStart = Session::Time() + 1h;

std::string name(std::size_t number) { return std::to_string(number); }

TEST(Sessions, ASenderKeepsItsNumber) {
  Sessions sessions;
  const ConnectionId one = sessions.hear("r1", "key", kStart)->connection;
  const ConnectionId two = sessions.hear("r2", "key", kStart)->connection;
  EXPECT_NE(one, two);
  EXPECT_EQ(sessions.hear("r1", "key", kStart)->connection, one);
  EXPECT_EQ(sessions.find(two)->routing_id, "r2");
  EXPECT_EQ(sessions.find(ConnectionId{3}), nullptr);
}

TEST(Sessions, ASenderCannotChangeItsKey) {
  Sessions sessions;
  (void)sessions.hear("r1", "key", kStart);
  EXPECT_EQ(sessions.hear("r1", "other", kStart), nullptr);
  EXPECT_NE(sessions.hear("r1", "key", kStart), nullptr);
}

TEST(Sessions, WhatWasSilentForLongIsForgottenAndComesBackAsANewOne) {
  Sessions sessions;
  const ConnectionId silent = sessions.hear("silent", "key", kStart)->connection;
  const ConnectionId alive = sessions.hear("alive", "key", kStart)->connection;
  (void)sessions.hear("alive", "key", kStart + 1s);
  sessions.forget_idle(kStart + kSessionIdleMax);
  EXPECT_EQ(sessions.size(), 2u) << "not longer than the bound";
  sessions.forget_idle(kStart + kSessionIdleMax + 500ms);
  EXPECT_EQ(sessions.size(), 2u) << "looked at a moment ago";
  (void)sessions.hear("alive", "key", kStart + kSessionIdleMax);
  sessions.forget_idle(kStart + kSessionIdleMax + 10s);
  EXPECT_EQ(sessions.find(silent), nullptr);
  EXPECT_NE(sessions.find(alive), nullptr);
  EXPECT_GT(sessions.hear("silent", "key", kStart + kSessionIdleMax + 10s)->connection, alive);
}

TEST(Sessions, TooManyDriveOutTheOneThatWasSilentLongest) {
  Sessions sessions;
  for (std::size_t i = 0; i < kSessionsMax; ++i) (void)sessions.hear(name(i), "key", kStart + 1s * i);
  (void)sessions.hear(name(0), "key", kStart + 24h);
  EXPECT_EQ(sessions.size(), kSessionsMax);
  (void)sessions.hear("one more", "key", kStart + 25h);
  EXPECT_EQ(sessions.size(), kSessionsMax);
  EXPECT_NE(sessions.find(ConnectionId{1}), nullptr) << "it spoke lately";
  EXPECT_EQ(sessions.find(ConnectionId{2}), nullptr);
  EXPECT_NE(sessions.find(ConnectionId{3}), nullptr);
}

}  // namespace
}  // namespace chappe::transport
