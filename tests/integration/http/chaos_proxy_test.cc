// The proxy that other tests rely on does what it says: seen from a client, and from the server behind it.
#include "tests/support/servers/chaos_proxy.h"

#include <gtest/gtest.h>

#include "proto/http/client.h"
#include "tests/support/servers/loopback_http.h"

namespace chappe::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Way = ChaosProxy::Way;

class ChaosProxyTest : public ::testing::Test {
 protected:
  /// Asks with a connection of its own. The body; "" where there is no whole answer within `patience`.
  std::string ask(milliseconds patience = std::chrono::seconds(20)) {
    const auto answer = http::Client().send({.url = proxy_.url(), .timeout = patience});
    return answer ? answer->body : "";
  }

  const std::string body_ = std::string(100'000, 'x');
  LoopbackHttp server_{[this](const Received&) { return reply("200 OK", body_); }};
  ChaosProxy proxy_{server_.port()};
};

TEST_F(ChaosProxyTest, PassesEverythingOnADayLikeAnyOther) { EXPECT_EQ(ask(), body_); }

TEST_F(ChaosProxyTest, Delays) {
  proxy_.set(Way::kToServer, {.delay = milliseconds(200)});
  const auto start = steady_clock::now();
  EXPECT_EQ(ask(), body_);
  EXPECT_GE(steady_clock::now() - start, milliseconds(200));
}

TEST_F(ChaosProxyTest, Trickles) {
  proxy_.set(Way::kToClient, {.rate = 200'000});
  const auto start = steady_clock::now();
  EXPECT_EQ(ask(), body_);
  EXPECT_GE(steady_clock::now() - start, milliseconds(400));
}

TEST_F(ChaosProxyTest, EndsAConnectionAfterSoManyBytes) {
  for (const auto then : {Chaos::Then::kClose, Chaos::Then::kReset}) {
    proxy_.set(Way::kToClient, {.pass = 50'000, .then = then});
    EXPECT_EQ(ask(), "");
  }
  EXPECT_EQ(server_.received().size(), 2U);
}

TEST_F(ChaosProxyTest, FallsSilentInOneDirection) {
  proxy_.set(Way::kToClient, {.pass = 0, .then = Chaos::Then::kSilence});
  EXPECT_EQ(ask(milliseconds(300)), "");
  EXPECT_EQ(server_.received().size(), 1U) << "the other direction is as it was";
  proxy_.heal();
  proxy_.set(Way::kToServer, {.pass = 0, .then = Chaos::Then::kSilence});
  EXPECT_EQ(ask(milliseconds(300)), "");
  EXPECT_EQ(server_.received().size(), 1U);
}

TEST_F(ChaosProxyTest, CutsOffAndHeals) {
  proxy_.cut_off();
  EXPECT_EQ(ask(), "");
  EXPECT_TRUE(server_.received().empty());
  proxy_.heal();
  EXPECT_EQ(ask(), body_);
  EXPECT_EQ(proxy_.connections(), 2);
}

}  // namespace
}  // namespace chappe::testing
