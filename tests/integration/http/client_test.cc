#include "proto/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <thread>

#include "tests/support/servers/loopback_http.h"

namespace chappe::http {
namespace {

using ::testing::HasSubstr;
using testing::LoopbackHttp;
using testing::Received;
using testing::reply;
using testing::Reply;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(HttpClient, SendsHeadersAndBodyAsTheyAre) {
  LoopbackHttp server([](const Received&) { return reply("201 Created", "made", "X-Thing:  a value \r\n"); });
  const auto answer = Client().send({.method = "POST",
                                     .url = server.url() + "/a/../b%20c?q=%2F",
                                     .headers = {{"X-Mine", "1"}, {"X-Empty", ""}},
                                     .body = bytes_of("hello")});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "made");
  EXPECT_EQ(answer->header("x-thing"), "a value");
  EXPECT_EQ(answer->header("x-other"), "");
  const Received got = server.received().at(0);
  EXPECT_EQ(got.line, "POST /a/../b%20c?q=%2F HTTP/1.1");
  EXPECT_EQ(got.body, "hello");
  EXPECT_THAT(got.head, HasSubstr("X-Mine: 1\r\n"));
  EXPECT_THAT(got.head, HasSubstr("X-Empty:\r\n"));
  EXPECT_THAT(got.head, ::testing::Not(HasSubstr("Expect")));
}

TEST(HttpClient, KeepsItsConnection) {
  LoopbackHttp server([](const Received&) { return reply("200 OK", "x"); });
  Client client;
  for (int request = 0; request < 5; ++request) ASSERT_TRUE(client.send({.url = server.url()}).has_value());
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, ReplacesAConnectionThatTheServerClosed) {
  LoopbackHttp server([](const Received& got) {
    Reply answer = reply("200 OK", "x");
    answer.close = got.line.starts_with("GET /last");
    return answer;
  });
  Client client;
  ASSERT_TRUE(client.send({.url = server.url() + "/last"}).has_value());
  const auto answer = client.send({.method = "PUT", .url = server.url(), .body = bytes_of("again")});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(server.received().back().body, "again");
}

TEST(HttpClient, TellsTheHeadBeforeThereIsABodyAndStopsWhenAsked) {
  LoopbackHttp server([](const Received&) { return Reply{"HTTP/1.1 200 OK\r\nX-Thing: a\r\n\r\n"}; });
  std::atomic<bool> stopped = false;
  std::string told;
  Request request{.url = server.url()};
  request.stopped = &stopped;
  request.on_head = [&](const Response& head) {
    told = head.header("x-thing");
    stopped = true;
  };
  const auto answer = Client().stream(request, [](std::span<const std::byte>) { return true; });
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("stopped"));
  EXPECT_EQ(told, "a");
}

TEST(HttpClient, SpeaksOverAUnixSocketWhateverTheUrlNames) {
  std::string path = ::testing::TempDir() + "chappe-http-XXXXXX";
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  path += "/s.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  std::string got(256, '\0');
  std::thread server([&] {
    const int connection = ::accept(listener, nullptr, nullptr);
    got.resize(static_cast<std::size_t>(std::max<ssize_t>(::recv(connection, got.data(), got.size(), 0), 0)));
    const std::string answer = reply("200 OK", "over the socket").bytes;
    (void)!::write(connection, answer.data(), answer.size());
    ::close(connection);
  });
  const auto answer = Client({.unix_socket = path}).send({.url = "http://runtime/version"});
  server.join();
  ::close(listener);
  ::unlink(path.c_str());
  ::rmdir(path.substr(0, path.rfind('/')).c_str());
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->body, "over the socket");
  EXPECT_THAT(got, HasSubstr("GET /version HTTP/1.1\r\nHost: runtime\r\n"));
}

TEST(HttpClient, HandsTheBodyOfASuccessToTheSinkAndKeepsThatOfARefusal) {
  LoopbackHttp server([](const Received& got) {
    return got.line.starts_with("GET /yes") ? reply("200 OK", std::string(3'000'000, 'y'))
                                            : reply("404 Not Found", "no");
  });
  Client client;
  std::size_t taken = 0;
  const BodySink sink = [&](std::span<const std::byte> bytes) {
    taken += bytes.size();
    return true;
  };
  const auto yes = client.stream({.url = server.url() + "/yes"}, sink);
  ASSERT_TRUE(yes.has_value());
  EXPECT_EQ(taken, 3'000'000U);
  EXPECT_EQ(yes->body, "");
  const auto no = client.stream({.url = server.url() + "/no"}, sink);
  ASSERT_TRUE(no.has_value());
  EXPECT_EQ(no->body, "no");
  EXPECT_EQ(taken, 3'000'000U);
}

TEST(HttpClient, StopsWhenTheSinkSaysSo) {
  LoopbackHttp server([](const Received&) { return reply("200 OK", std::string(8'000'000, 'y')); });
  const auto answer = Client().stream({.url = server.url()}, [](std::span<const std::byte>) { return false; });
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_TRUE(answer->stopped);
}

TEST(HttpClient, SendsABodyThatIsMadeMeanwhile) {
  LoopbackHttp server([](const Received&) { return reply("200 OK"); });
  int pieces = 3;
  Request request{.method = "PUT", .url = server.url(), .source_size = 3};
  request.source = [&](std::span<std::byte> out) -> std::optional<std::size_t> {
    if (pieces == 0) return 0;
    out[0] = static_cast<std::byte>('0' + pieces--);
    return 1;
  };
  ASSERT_TRUE(Client().send(request).has_value());
  EXPECT_EQ(server.received().at(0).body, "321");
}

TEST(HttpClient, GivesUpWhenTheBodyCannotBeMade) {
  LoopbackHttp server([](const Received&) { return reply("200 OK"); });
  Request request{.method = "PUT", .url = server.url(), .source_size = 3};
  request.source = [](std::span<std::byte>) { return std::nullopt; };
  EXPECT_EQ(Client().send(request).error().code, ErrorCode::kInvalidInput);
}

TEST(HttpClient, BoundsABodyThatItKeeps) {
  LoopbackHttp server([](const Received&) { return reply("200 OK", std::string(1'000, 'x')); });
  EXPECT_TRUE(Client().send({.url = server.url(), .body_bytes_max = 1'000}).has_value());
  const auto longer = Client().send({.url = server.url(), .body_bytes_max = 999});
  EXPECT_EQ(longer.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(longer.error().message, HasSubstr("longer than 999 bytes"));
}

TEST(HttpClient, BoundsTheHeaders) {
  LoopbackHttp server([](const Received&) {
    std::string headers;
    for (int line = 0; line < 80; ++line) headers += "X-Long: " + std::string(1'000, 'h') + "\r\n";
    return reply("200 OK", "", headers);
  });
  EXPECT_FALSE(Client().send({.url = server.url()}).has_value());
}

TEST(HttpClient, ReportsATruncatedBody) {
  LoopbackHttp server([](const Received&) { return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true}; });
  EXPECT_EQ(Client().send({.url = server.url()}).error().code, ErrorCode::kUnavailable);
}

TEST(HttpClient, ReportsHeadersThatBreakOff) {
  LoopbackHttp server([](const Received&) { return Reply{"HTTP/1.1 200 OK\r\nContent-Le", true}; });
  EXPECT_EQ(Client().send({.method = "HEAD", .url = server.url()}).error().code, ErrorCode::kUnavailable);
}

TEST(HttpClient, ReportsThatNobodyAnswers) {
  const auto answer = Client().send({.url = "http://127.0.0.1:1/?secret=1"});
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("http://127.0.0.1:1/"));
  EXPECT_THAT(answer.error().message, ::testing::Not(HasSubstr("secret")));
}

TEST(HttpClient, WaitsNoLongerThanItMay) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  LoopbackHttp server([released](const Received&) {
    released.wait();
    return reply("200 OK");
  });
  const auto answer = Client().send({.url = server.url(), .timeout = std::chrono::milliseconds(100)});
  release.set_value();
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

TEST(HttpClient, GivesUpOnATransferThatStalls) {
  LoopbackHttp server([](const Received&) {
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false};
  });
  const auto answer = Client().send({.url = server.url(), .stall_timeout = std::chrono::seconds(1), .speed_min = 100});
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

TEST(HttpClient, FollowsNoRedirect) {
  LoopbackHttp server([](const Received&) { return reply("302 Found", "", "Location: http://127.0.0.1:1/\r\n"); });
  const auto answer = Client().send({.url = server.url()});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 302);
}

TEST(HttpClient, RefusesWhatWouldBeAnotherHeaderOrAnotherProtocol) {
  EXPECT_EQ(Client().send({.url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: b"}}}).error().code,
            ErrorCode::kInvalidInput);
  EXPECT_EQ(Client().send({.url = "file:///etc/passwd"}).error().code, ErrorCode::kInvalidInput);
}

TEST(HttpClient, ServesManyThreadsAtOnce) {
  LoopbackHttp server([](const Received& got) { return reply("200 OK", got.line); });
  Client client;
  std::vector<std::future<bool>> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.push_back(std::async(std::launch::async, [&, caller] {
      const std::string path = "/" + std::to_string(caller);
      for (int request = 0; request < 20; ++request) {
        const auto answer = client.send({.url = server.url() + path});
        if (!answer || answer->body != "GET " + path + " HTTP/1.1") return false;
      }
      return true;
    }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get());
}

}  // namespace
}  // namespace chappe::http
