// The server against hostile and careless peers: what may cost memory, time or trust. The cases are those that stock
// servers of this kind fell to.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "scheduler/api/routes.h"
#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class ApiServer : public ApiWorld {
 protected:
  int status_of(const std::string& bytes) {
    Peer peer(server_->url());
    peer.send(bytes);
    return parse_reply(peer.read_all()).status;
  }

  /// Still answers others.
  void expect_alive() { EXPECT_EQ(get("/api/v1/runs").status, 200); }

  /// What reached the engine, apart from refusals to be recorded.
  std::vector<Event> asked_of_engine() const {
    std::vector<Event> events = backend_->requests();
    std::erase_if(events, [](const Event& event) { return std::holds_alternative<AccessDenied>(event); });
    return events;
  }

  static std::uint64_t resident_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
    }
    return 0;
  }
};

/// Every route with something in place of its variables.
std::string path_of(const Route& route) {
  std::string path(route.pattern);
  for (std::size_t open; (open = path.find('{')) != std::string::npos;)
    path.replace(open, path.find('}') - open + 1, "x");
  return path;
}

TEST_F(ApiServer, AsksForTheTokenOnEveryRouteButHealth) {
  restart({.wrong_tokens_max = 1'000});
  for (const Route& route : routes()) {
    for (const char* token : {"", "Authorization: Bearer nothing\r\n", "Authorization: Bearer \r\n",
                              "Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZg==\r\n",
                              "Authorization: bearer 0123456789abcdef0123456789abcdef\r\n",
                              "Authorization: Bearer 0123456789abcdef0123456789abcdef0\r\n",
                              "Authorization: Bearer 0123456789abcdef0123456789abcde\r\n"}) {
      const int status = status_of(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
                                               name_of(route.method), path_of(route), token));
      EXPECT_EQ(status, route.permission == Permission::kNone ? 200 : 401) << route.pattern << " with " << token;
    }
  }
  EXPECT_TRUE(asked_of_engine().empty());
}

TEST_F(ApiServer, HasOneSpellingOfEachPath) {
  for (const char* path : {"//api/v1/runs", "/api/v1/runs/", "/api//v1/runs", "/api/v1/./runs", "/api/v1/runs/../runs",
                           "/api/v1/%2e%2e/runs", "/API/v1/runs", "/api/v1/runs%00", "/api/v1/runs;x",
                           "/healthz/../api/v1/runs", "/healthz/", "/api/v1/runs/healthz/x", "/api/v1%2Fruns",
                           "/%61pi/v1/runs/configs/x", "/..%2f..%2fetc/passwd", "http://x/api/v1/runs"}) {
    const int without = status_of(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path));
    EXPECT_TRUE(without == 400 || without == 404 || without == 401) << path << ": " << without;
    const int with = get(path).status;
    EXPECT_TRUE(with == 400 || with == 404) << path << ": " << with;
  }
}

TEST_F(ApiServer, TellsWhichMethodsAPathTakes) {
  const Reply reply = call("DELETE", "/api/v1/runs");
  EXPECT_EQ(reply.status, 405);
  EXPECT_NE(reply.head.find("Allow: POST, GET"), std::string::npos) << reply.head;
  EXPECT_EQ(call("TRACE", "/api/v1/runs").status, 405);
  EXPECT_EQ(call("CONNECT", "/api/v1/runs").status, 405);
}

TEST_F(ApiServer, RefusesAHugeHead) {
  EXPECT_EQ(status_of(head_of("GET", "/" + std::string(20'000, 'a'))), 431);
  EXPECT_EQ(status_of(head_of("GET", "/healthz", "X: " + std::string(20'000, 'a') + "\r\n")), 431);
  expect_alive();
}

TEST_F(ApiServer, ReadsNoEndlessRequestLine) {
  const std::uint64_t before = resident_kib();
  Peer peer(server_->url());
  const std::string block(1 << 20, 'a');
  std::size_t sent = 0;
  while (sent < 64 && peer.send(block)) ++sent;
  EXPECT_LT(sent, 64U) << "the server went on reading";
  EXPECT_LT(resident_kib(), before + 20 * 1024);
  expect_alive();
}

TEST_F(ApiServer, RefusesTooManyFields) {
  std::string fields;
  for (int i = 0; i < 97; ++i) fields += "A: b\r\n";
  EXPECT_EQ(status_of(head_of("GET", "/healthz", "Connection: close\r\n" + fields)), 200) << "100 fields are fine";
  EXPECT_EQ(status_of(head_of("GET", "/healthz", "Connection: close\r\nA: b\r\n" + fields)), 431);
}

TEST_F(ApiServer, RefusesEveryWayToSmuggleARequest) {
  const std::string target =
      "POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + std::string(kToken) + "\r\n";
  for (const char* framing : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
           "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
           "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
           "Content-Length: 5, 5\r\n\r\nhello",
           "Content-Length: +5\r\n\r\nhello",
           "Content-Length: 0x5\r\n\r\nhello",
           "Content-Length: -1\r\n\r\n",
           "Content-Length: 99999999999999999999\r\n\r\n",
           "Content-Length : 5\r\n\r\nhello",
           " Content-Length: 5\r\n\r\nhello",
           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
           "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
           "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
           "X: a\nContent-Length: 5\r\n\r\nhello",
           "X: a\r\n folded\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
           "X: a\r\rY: b\r\n\r\n",
           "X: a\0b\r\n\r\n",
           "Host: y\r\nContent-Length: 2\r\n\r\n{}",
       }) {
    Peer peer(server_->url());
    peer.send(target + framing + "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string answers = peer.read_all();
    const int status = parse_reply(answers).status;
    EXPECT_TRUE(status >= 400 && status < 500) << framing << ": " << answers;
    EXPECT_EQ(answers.find("HTTP/1.1 ", 8), std::string::npos) << "a second request was answered: " << framing;
  }
  EXPECT_TRUE(asked_of_engine().empty());
}

TEST_F(ApiServer, RefusesABodyOverTheRoutesCapBeforeReadingIt) {
  Peer peer(server_->url());
  peer.send(head_of("POST", "/api/v1/runs/x/cancel", "Content-Length: 65537\r\n"));
  EXPECT_EQ(parse_reply(peer.read_all()).status, 413);
  EXPECT_EQ(status_of(head_of("GET", "/api/v1/runs", "Content-Length: 1\r\n") + "x"), 413);
  EXPECT_EQ(status_of(head_of("POST", "/api/v1/runs", "Content-Length: 10485761\r\n")), 413);
}

TEST_F(ApiServer, RefusesAChunkedBodyWithoutEnd) {
  const std::uint64_t before = resident_kib();
  Peer peer(server_->url());
  peer.send(head_of("POST", "/api/v1/runs", "Transfer-Encoding: chunked\r\n"));
  const std::string chunk = "100000\r\n" + std::string(1 << 20, 'x') + "\r\n";
  std::size_t sent = 0;
  while (sent < 64 && peer.send(chunk)) ++sent;
  EXPECT_LT(sent, 64U);
  EXPECT_LT(resident_kib(), before + 20 * 1024);
}

TEST_F(ApiServer, KnowsNoRanges) {
  const Reply reply = call("GET", "/api/v1/schema", "", "Range: bytes=0-1,2-3,4-5\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.head.find("Content-Range"), std::string::npos);
}

TEST_F(ApiServer, SaysContinueOnlyToARequestThatItWillTake) {
  Peer peer(server_->url());
  peer.send(
      head_of("POST", "/api/v1/runs/x/retry", "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n"));
  EXPECT_EQ(peer.read_answer(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("{}");
  EXPECT_EQ(parse_reply(peer.read_all()).status, 404);

  EXPECT_EQ(status_of("POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            401);
}

TEST_F(ApiServer, AnswersManyRequestsOnOneConnection) {
  Peer peer(server_->url());
  for (int i = 0; i < 5; ++i) {
    peer.send(head_of("GET", "/api/v1/runs"));
    EXPECT_EQ(parse_reply(peer.read_answer()).status, 200);
  }
  peer.send(head_of("GET", "/healthz") + head_of("GET", "/api/v1/runs"));
  EXPECT_EQ(parse_reply(peer.read_answer()).json(), Value(ValueMap{{"status", "ok"}}));
  EXPECT_EQ(parse_reply(peer.read_answer()).status, 200);
}

TEST_F(ApiServer, EndsAHeadThatDripsInTime) {
  restart({.head_time_max = milliseconds(300)});
  Peer peer(server_->url());
  const auto began = Clock::now();
  const std::string head = head_of("GET", "/healthz", "X-Slow: " + std::string(4'000, 'x') + "\r\n");
  for (std::size_t i = 0; i < head.size() && peer.send(head.substr(i, 1)); ++i) {
    if (peer.is_closed_within(milliseconds(20))) break;
  }
  const auto took = Clock::now() - began;
  EXPECT_GE(took, milliseconds(250));
  EXPECT_LT(took, milliseconds(3'000)) << "each byte must not buy time";
}

TEST_F(ApiServer, EndsABodyThatDoesNotCome) {
  restart({.body_time_max = milliseconds(200)});
  Peer peer(server_->url());
  peer.send(head_of("POST", "/api/v1/runs", "Content-Length: 100\r\n") + "{");
  EXPECT_EQ(parse_reply(peer.read_all()).status, 408);
}

TEST_F(ApiServer, EndsAConnectionThatSaysNothing) {
  restart({.idle_time_max = milliseconds(100)});
  Peer peer(server_->url());
  EXPECT_TRUE(peer.is_closed_within(milliseconds(5'000)));
}

TEST_F(ApiServer, GivesUpOnAnEngineThatDoesNotAnswer) {
  restart({.answer_time_max = milliseconds(100)});
  backend_->answer = nullptr;
  const RunRow run = add_run("{name: d, tasks: [{id: a, noop: true}]}");
  EXPECT_EQ(call("POST", "/api/v1/runs/" + run.id.text() + "/cancel").status, 504);
  expect_alive();
}

TEST_F(ApiServer, ServesOthersThroughAThousandSlowPeers) {
  const std::string slow_head = "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ";
  std::vector<std::unique_ptr<Peer>> slow;
  std::vector<double> took;
  for (int i = 0; i < 1'000; ++i) {
    slow.push_back(std::make_unique<Peer>(server_->url(), fmt::format("127.0.1.{}", 1 + i % 20)));
    slow.back()->send(slow_head);
    if (i % 10 != 0) continue;
    const auto began = Clock::now();
    expect_alive();
    took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
  }
  EXPECT_LE(server_->connections(), 512U);
  std::ranges::sort(took);
  EXPECT_LT(took[took.size() * 99 / 100], 100.0) << "milliseconds, 99th of 100";
}

TEST_F(ApiServer, MakesRoomForANewPeerOfTheSameAddress) {
  restart({.connections_per_address_max = 4});
  std::vector<std::unique_ptr<Peer>> silent;
  for (int i = 0; i < 4; ++i) silent.push_back(std::make_unique<Peer>(server_->url()));
  expect_alive();
  EXPECT_TRUE(silent.front()->is_closed_within(milliseconds(5'000))) << "the oldest goes";
  EXPECT_FALSE(silent.back()->is_closed_within(milliseconds(50)));
  EXPECT_LE(server_->connections(), 4U);
}

TEST_F(ApiServer, TurnsNobodyOutWhoIsAtWork) {
  restart({.connections_per_address_max = 2});
  const RunRow run = add_run("{name: d, tasks: [{id: a, noop: true}]}");
  std::vector<std::unique_ptr<Peer>> watching;
  for (int i = 0; i < 2; ++i) {
    watching.push_back(std::make_unique<Peer>(server_->url()));
    watching.back()->send(head_of("GET", "/api/v1/runs/" + run.id.text() + "/watch"));
    EXPECT_NE(watching.back()->read_all(milliseconds(300)).find("\"state\":\"running\""), std::string::npos);
  }
  EXPECT_TRUE(Peer(server_->url()).is_closed_within(milliseconds(5'000)));
  EXPECT_FALSE(watching.front()->is_closed_within(milliseconds(50)));
}

TEST_F(ApiServer, BoundsStreamsApartFromRequests) {
  restart({.streams_max = 1});
  const RunRow run = add_run("{name: d, tasks: [{id: a, noop: true}]}");
  const std::string watch = "/api/v1/runs/" + run.id.text() + "/watch";
  auto first = std::make_unique<Peer>(server_->url());
  first->send(head_of("GET", watch));
  EXPECT_NE(first->read_all(milliseconds(300)).find("200 OK"), std::string::npos);
  EXPECT_EQ(get(watch).status, 503);
  expect_alive();
  first.reset();  // The server must notice without having anything to send.
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (server_->connections() > 0 && Clock::now() < deadline) Peer(server_->url()).is_closed_within(milliseconds(5));
  Peer second(server_->url());
  second.send(head_of("GET", watch));
  EXPECT_NE(second.read_all(milliseconds(300)).find("200 OK"), std::string::npos);
}

TEST_F(ApiServer, MarksAnswersAsNothingToInterpret) {
  const Reply reply = get("/api/v1/runs");
  for (const char* field : {"X-Content-Type-Options: nosniff", "Cache-Control: no-store", "default-src 'none'",
                            "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer"}) {
    EXPECT_NE(reply.head.find(field), std::string::npos) << field;
  }
}

TEST_F(ApiServer, LetsNoOtherSiteReadItsAnswers) {
  for (const char* method : {"GET", "OPTIONS"}) {
    const std::string origin = "Origin: https://example.org\r\nAccess-Control-Request-Method: GET\r\n";
    const Reply reply = call(method, "/api/v1/runs", "", origin);
    EXPECT_EQ(reply.head.find("Access-Control"), std::string::npos) << reply.head;
  }
}

TEST_F(ApiServer, AnswersNotModifiedToAKnownEtag) {
  const Reply first = get("/api/v1/schema");
  const std::size_t at = first.head.find("ETag: ");
  ASSERT_NE(at, std::string::npos);
  const std::string etag = first.head.substr(at + 6, 18);
  const Reply again = call("GET", "/api/v1/schema", "", "If-None-Match: " + etag + "\r\n");
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
}

TEST_F(ApiServer, SpeaksToOldClientsToo) {
  EXPECT_EQ(status_of("GET /healthz HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(status_of("GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /healthz HTTP/1.1\r\n\r\n"), 400) << "a Host is needed";
}

TEST_F(ApiServer, SurvivesGarbage) {
  std::uint64_t state = 88172645463325252ULL;
  for (int i = 0; i < 200; ++i) {
    std::string bytes = i % 2 == 0 ? "GET /api/v1/runs HTTP/1.1\r\n" : "";
    for (int n = 0; n < 300; ++n) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      bytes += static_cast<char>(state);
    }
    Peer peer(server_->url());
    peer.send(bytes + "\r\n\r\n");
    const int status = parse_reply(peer.read_all(milliseconds(1'000))).status;
    EXPECT_TRUE(status == 0 || (status >= 400 && status < 500) || status == 505) << status;
  }
  expect_alive();
}

TEST_F(ApiServer, RefusesOthersWithoutAToken) {
  const auto refused = Server::start({.listen = "0.0.0.0:0", .token = ""}, *backend_, *logs_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  EXPECT_TRUE(Server::start({.listen = "0.0.0.0:0", .token = kToken}, *backend_, *logs_));
  EXPECT_TRUE(Server::start({.listen = "[::1]:0", .token = ""}, *backend_, *logs_));
}

TEST_F(ApiServer, SaysWhatIsWrongWithAnAddress) {
  for (const char* listen : {"", "8080", "127.0.0.1:", "127.0.0.1:99999", "example.org:80", "127.0.0.1:80x"}) {
    const auto refused = Server::start({.listen = listen, .token = kToken}, *backend_, *logs_);
    ASSERT_FALSE(refused) << listen;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput) << listen;
  }
  const std::string taken = server_->url().substr(7);
  const auto refused = Server::start({.listen = taken, .token = kToken}, *backend_, *logs_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("in use"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace chappe::api
