// One request of a task against a server that answers what the test says.
#include "worker/request/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/support/servers/loopback_http.h"

namespace chappe::request {
namespace {

using ::testing::HasSubstr;
using testing::LoopbackHttp;
using ::testing::Not;
using testing::Received;
using testing::reply;

const std::atomic<bool> kNeverStopped = false;

ResolvedHttpText literal(std::string text) { return {{std::move(text), "", false}}; }

ResolvedHttp request_of(std::string method, std::string url) {
  return {.method = std::move(method), .url = literal(std::move(url)), .redirects_max = 5};
}

RequestEnd send_it(const ResolvedHttp& http, const std::atomic<bool>& stopped = kNeverStopped) {
  const auto secret = [](std::string_view name) {
    return name == "TOKEN" ? std::optional<std::string>("s3cr\"t") : std::nullopt;
  };
  return send(http, {.secret = secret, .ca_file = "", .stopped = stopped});
}

TEST(Request, FillsInSecretsAndNamesNone) {
  LoopbackHttp server([](const Received&) { return reply("200 OK", "fine"); });
  ResolvedHttp http = request_of("POST", server.url() + "/hooks/");
  http.url.push_back({"", "PATH_TOKEN", false});
  const auto secret = [](std::string_view name) {
    return std::optional<std::string>(name == "PATH_TOKEN" ? "p4th" : "s3cr\"t");
  };
  http.headers = {{"authorization", {{"Bearer ", "", false}, {"", "TOKEN", false}}}};
  http.body = {{"{\"t\":\"", "", false}, {"", "TOKEN", true}, {"\"}", "", false}};
  const RequestEnd end = send(http, {.secret = secret, .ca_file = "", .stopped = kNeverStopped});
  ASSERT_TRUE(end.response) << end.message;
  const Received got = server.received().at(0);
  EXPECT_EQ(got.line, "POST /hooks/p4th HTTP/1.1");
  EXPECT_THAT(got.head, HasSubstr("authorization: Bearer s3cr\"t\r\n"));
  EXPECT_EQ(got.body, R"({"t":"s3cr\"t"})");
  EXPECT_THAT(end.log, HasSubstr("POST " + server.url() + "/hooks/***, 15 bytes\nstatus 200 after "));
  EXPECT_THAT(end.log, Not(HasSubstr("p4th")));
}

TEST(Request, SaysWhoseSecretIsNotThere) {
  ResolvedHttp http = request_of("GET", "http://127.0.0.1:1/");
  http.headers = {{"x", {{"", "OTHER", false}}}};
  EXPECT_EQ(send_it(http).message, "GET 127.0.0.1:1: there is no secret 'OTHER'");
}

TEST(Request, FollowsARedirectAndKeepsItsHeadersFromAnotherOrigin) {
  LoopbackHttp other([](const Received&) { return reply("200 OK", "there"); });
  LoopbackHttp server([&](const Received& got) {
    if (got.line.starts_with("GET /a ")) return reply("302 Found", "", "Location: /b\r\n");
    return reply("307 Temporary Redirect", "", "Location: " + other.url() + "/c?token=1\r\n");
  });
  ResolvedHttp http = request_of("GET", server.url() + "/a");
  http.headers = {{"x-api-key", literal("k")}};
  const RequestEnd end = send_it(http);
  ASSERT_TRUE(end.response) << end.message;
  EXPECT_EQ(end.response->body, "there");
  EXPECT_THAT(server.received().at(1).head, HasSubstr("x-api-key: k"));
  EXPECT_THAT(other.received().at(0).head, Not(HasSubstr("x-api-key")));
  EXPECT_THAT(end.log, HasSubstr("redirected to " + other.url() + "/c\n"));
}

TEST(Request, FollowsSoManyRedirectsAndNoMore) {
  LoopbackHttp server([](const Received&) { return reply("302 Found", "", "Location: /again\r\n"); });
  ResolvedHttp http = request_of("GET", server.url());
  const RequestEnd end = send_it(http);
  ASSERT_TRUE(end.response);
  EXPECT_EQ(end.response->status, 302);
  EXPECT_EQ(server.received().size(), 6U);
  http.redirects_max = 0;
  (void)send_it(http);
  EXPECT_EQ(server.received().size(), 7U);
}

TEST(Request, FollowsNoRedirectToAnotherScheme) {
  LoopbackHttp server([](const Received&) { return reply("302 Found", "", "Location: file:///etc/passwd\r\n"); });
  const RequestEnd end = send_it(request_of("GET", server.url()));
  EXPECT_FALSE(end.response);
  EXPECT_THAT(end.message, HasSubstr("a redirect is not followed"));
}

TEST(Request, IsNeverSentTwiceWithABody) {
  LoopbackHttp server([](const Received&) { return reply("307 Temporary Redirect", "", "Location: /b\r\n"); });
  ResolvedHttp http = request_of("POST", server.url());
  http.body = literal("once");
  const RequestEnd end = send_it(http);
  ASSERT_TRUE(end.response);
  EXPECT_EQ(end.response->status, 307);
  EXPECT_EQ(server.received().size(), 1U);
}

TEST(Request, IsNotRepeatedWhenTheAnswerBreaksOff) {
  LoopbackHttp server([](const Received&) {
    return testing::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", true};
  });
  const RequestEnd end = send_it(request_of("POST", server.url()));
  EXPECT_FALSE(end.response);
  EXPECT_THAT(end.log, HasSubstr("no answer after "));
  EXPECT_EQ(server.received().size(), 1U);
}

TEST(Request, TakesAnAnswerUpToItsBound) {
  LoopbackHttp server([](const Received& got) {
    return reply("200 OK", std::string(kHttpAnswerMax + (got.line.starts_with("GET /more") ? 1 : 0), 'x'));
  });
  EXPECT_EQ(send_it(request_of("GET", server.url() + "/just")).response->body.size(), kHttpAnswerMax);
  EXPECT_THAT(send_it(request_of("GET", server.url() + "/more")).message, HasSubstr("longer than 1048576 bytes"));
}

TEST(Request, StopsAtOnce) {
  std::promise<void> asked, go;
  LoopbackHttp server([&](const Received&) {
    asked.set_value();
    go.get_future().wait();
    return reply("200 OK");
  });
  std::atomic<bool> stopped = false;
  auto end = std::async(std::launch::async, [&] { return send_it(request_of("GET", server.url()), stopped); });
  asked.get_future().wait();
  stopped = true;
  EXPECT_THAT(end.get().message, HasSubstr("stopped"));
  go.set_value();
}

TEST(Request, RefusesUrlsThatLeadElsewhere) {
  const auto message = [](const std::string& url) { return send_it(request_of("GET", url)).message; };
  EXPECT_THAT(message("ftp://example.org/"), HasSubstr("does not begin with http:// or https://"));
  EXPECT_THAT(message("http://"), HasSubstr("does not begin with http:// or https://"));
  EXPECT_THAT(message("http://me:x@example.org/"), HasSubstr("holds credentials"));
  EXPECT_THAT(message("http://example.org/a b"), HasSubstr("percent-encode"));
  EXPECT_THAT(message("http://169.254.169.254/latest"), HasSubstr("link-local"));
}

TEST(Request, HidesAHostThatIsASecret) {
  ResolvedHttp http = request_of("GET", "");
  http.url = {{"", "HOOK", false}};
  const auto secret = [](std::string_view) { return std::optional<std::string>("http://nowhere.invalid/hook"); };
  const RequestEnd end = send(http, {.secret = secret, .ca_file = "", .stopped = kNeverStopped});
  EXPECT_THAT(end.message, HasSubstr("GET ***: "));
  EXPECT_THAT(end.message + end.log, Not(HasSubstr("nowhere")));
}

}  // namespace
}  // namespace chappe::request
