// Who may do what: every route with every method, every token and every trick with its path, against a real server.
// What must come out is worked out from a table of the test's own, so that neither a route that lost its permission nor
// one that nobody thought of goes unseen.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "scheduler/api/routes.h"
#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

constexpr std::size_t kCasesMin = 20'000;

/// What the product promises. `role`: the least one; 0: open to all. "*" stands for any one segment.
struct Promise {
  std::string method;
  std::string path;
  int role;
};
constexpr int kOpen = 0, kViewer = 1, kOperator = 2, kAuthor = 3, kAdmin = 4;

const std::vector<Promise>& promises() {
  static const std::vector<Promise> all{
      {"GET", "/healthz", kOpen},
      {"GET", "/readyz", kOpen},
      {"GET", "/metrics", kViewer},
      {"GET", "/api/v1/openapi.yaml", kViewer},
      {"GET", "/api/v1/schema", kViewer},
      {"GET", "/api/v1/dags", kViewer},
      {"POST", "/api/v1/dags", kAuthor},
      {"GET", "/api/v1/dags/*", kViewer},
      {"DELETE", "/api/v1/dags/*", kAuthor},
      {"POST", "/api/v1/dags/*/pause", kOperator},
      {"POST", "/api/v1/dags/*/unpause", kOperator},
      {"GET", "/api/v1/dags/*/runs", kViewer},
      {"POST", "/api/v1/dags/*/runs", kOperator},
      {"GET", "/api/v1/dags/*/webhooks", kAuthor},
      {"POST", "/api/v1/dags/*/webhooks/*", kOperator},
      {"POST", "/api/v1/plan", kViewer},
      {"POST", "/api/v1/runs", kAuthor},
      {"GET", "/api/v1/runs", kViewer},
      {"GET", "/api/v1/runs/*", kViewer},
      {"GET", "/api/v1/runs/*/watch", kViewer},
      {"GET", "/api/v1/runs/*/explain", kViewer},
      {"POST", "/api/v1/runs/*/cancel", kOperator},
      {"POST", "/api/v1/runs/*/retry", kOperator},
      {"POST", "/api/v1/runs/*/rerun", kOperator},
      {"GET", "/api/v1/runs/*/outputs", kViewer},
      {"GET", "/api/v1/runs/*/tasks", kViewer},
      {"GET", "/api/v1/runs/*/tasks/*", kViewer},
      {"GET", "/api/v1/runs/*/tasks/*/attempts/*/log", kViewer},
      {"POST", "/api/v1/runs/*/tasks/*/answer", kOperator},
      {"POST", "/api/v1/runs/*/tasks/*/mark", kOperator},
      {"GET", "/api/v1/backfills", kViewer},
      {"POST", "/api/v1/backfills", kOperator},
      {"GET", "/api/v1/backfills/*", kViewer},
      {"POST", "/api/v1/backfills/*/pause", kOperator},
      {"POST", "/api/v1/backfills/*/resume", kOperator},
      {"POST", "/api/v1/backfills/*/cancel", kOperator},
      {"GET", "/api/v1/questions", kViewer},
      {"GET", "/api/v1/notifications", kViewer},
      {"GET", "/api/v1/assets", kViewer},
      {"GET", "/api/v1/assets/*", kViewer},
      {"GET", "/api/v1/assets/*/lineage", kViewer},
      {"GET", "/api/v1/aliases", kViewer},
      {"GET", "/api/v1/aliases/*/*", kViewer},
      {"PUT", "/api/v1/aliases/*/*", kAuthor},
      {"DELETE", "/api/v1/aliases/*/*", kAuthor},
      {"GET", "/api/v1/state", kViewer},
      {"GET", "/api/v1/state/*/*", kViewer},
      {"PUT", "/api/v1/state/*/*", kOperator},
      {"GET", "/api/v1/workers", kViewer},
      {"POST", "/api/v1/prune", kAdmin},
      {"GET", "/api/v1/audit", kAdmin},
      {"GET", "/api/v1/audit/verification", kAdmin},
      {"GET", "/api/v1/tokens", kAdmin},
      {"POST", "/api/v1/tokens", kAdmin},
      {"DELETE", "/api/v1/tokens/*", kAdmin},
  };
  return all;
}

std::vector<std::string> segments_of(const std::string& path) {
  std::vector<std::string> segments;
  std::istringstream text(path.substr(1));
  for (std::string segment; std::getline(text, segment, '/');) segments.push_back(segment);
  return segments;
}

bool fits(const std::string& pattern, const std::string& path) {
  const auto expected = segments_of(pattern);
  const auto given = segments_of(path);
  if (expected.size() != given.size()) return false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] != "*" && expected[i] != given[i]) return false;
  }
  return true;
}

/// A way to ask for a path. `means`: the path that it is; nullopt: none at all.
struct Trick {
  std::string name;
  std::function<std::string(const std::string&)> target;
  std::function<std::optional<std::string>(const std::string&)> means;
};

std::string last_slash_replaced(const std::string& path, const std::string& by) {
  return path.substr(0, path.rfind('/')) + by + path.substr(path.rfind('/') + 1);
}

const std::vector<Trick>& tricks() {
  using Path = const std::string&;
  using Meaning = std::optional<std::string>;
  const auto nothing = [](Path) -> Meaning { return std::nullopt; };
  const auto itself = [](Path path) -> Meaning { return path; };
  static const std::vector<Trick> all{
      {"plain", [](Path path) { return path; }, itself},
      {"query", [](Path path) { return path + "?limit=1&token=x"; }, itself},
      {"encoded letter", [](Path path) { return "/%" + fmt::format("{:02x}", path[1]) + path.substr(2); }, itself},
      {"two slashes in front", [](Path path) { return "/" + path; }, nothing},
      {"two slashes inside", [](Path path) { return last_slash_replaced(path, "//"); }, nothing},
      {"slash behind", [](Path path) { return path + "/"; }, nothing},
      {"encoded dot", [](Path path) { return "/%2e" + path; }, nothing},
      {"encoded dots", [](Path path) { return path + "/%2e%2e"; }, nothing},
      {"dots", [](Path path) { return "/healthz/.." + path; }, nothing},
      {"encoded slash", [](Path path) { return last_slash_replaced(path, "%2f"); },
       [](Path path) -> Meaning { return path.rfind('/') == 0 ? Meaning() : last_slash_replaced(path, "-"); }},
      {"configs behind", [](Path path) { return path + "/configs"; },
       [](Path path) -> Meaning { return path + "/configs"; }},
      {"semicolon", [](Path path) { return path + ";x"; }, [](Path path) -> Meaning { return path + ";x"; }},
      {"dot suffix", [](Path path) { return path + ".json"; }, [](Path path) -> Meaning { return path + ".json"; }},
      {"upper case", [](Path path) { return "/" + std::string(1, static_cast<char>(path[1] - 32)) + path.substr(2); },
       nothing},
      {"absolute", [](Path path) { return "http://localhost" + path; }, nothing},
      {"NUL", [](Path path) { return path + "%00"; }, nothing},
      {"health in front", [](Path path) { return "/healthz" + path; },
       [](Path path) -> Meaning { return "/healthz" + path; }},
      {"long id", [](Path path) { return path + "/" + std::string(4'000, 'a'); },
       [](Path path) -> Meaning { return path + "/" + std::string(4'000, 'a'); }},
  };
  return all;
}

/// A token and what it is worth: 0: nothing.
struct Credential {
  std::string name;
  std::string field;
  int role;
};

class ApiAccess : public ApiWorld {
 protected:
  void SetUp() override {
    ApiWorld::SetUp();
    tokens_ = {token_row("viewer", Role::kViewer, "v"),
               token_row("operator", Role::kOperator, "o"),
               token_row("author", Role::kAuthor, "a"),
               token_row("root", Role::kAdmin, "r"),
               token_row("late", Role::kAdmin, "l", {1}),
               token_row("gone", Role::kAdmin, "g"),
               token_row("today", Role::kViewer, "t", {INT64_MAX})};
    restart({.wrong_tokens_max = 1e9});
    ASSERT_EQ(call("DELETE", "/api/v1/tokens/gone").status, 200);
  }

  static std::string bearer(const std::string& token) { return "Authorization: Bearer " + token + "\r\n"; }

  static std::vector<Credential> credentials() {
    return {{"none", "", 0},
            {"garbage", bearer("nothing"), 0},
            {"expired", bearer("l"), 0},
            {"revoked", bearer("g"), 0},
            {"a hash instead of the token", bearer(token_row("x", Role::kAdmin, "r").sha256), 0},
            {"another scheme", "Authorization: Basic cjpy\r\n", 0},
            {"viewer", bearer("v"), kViewer},
            {"viewer with an end", bearer("t"), kViewer},
            {"operator", bearer("o"), kOperator},
            {"author", bearer("a"), kAuthor},
            {"admin", bearer("r"), kAdmin},
            {"the state directory's", bearer(kToken), kAdmin}};
  }

  /// The status of a request, over one connection for as long as the server keeps it open.
  int ask(const std::string& method, const std::string& target, const std::string& field) {
    if (peer_ == nullptr) peer_ = std::make_unique<Peer>(server_->url(), fmt::format("127.0.2.{}", 1 + turn_++ % 50));
    peer_->send(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n{}\r\n", method, target, field));
    const Reply reply = parse_reply(peer_->read_answer());
    if (reply.head.find("Connection: close") != std::string::npos) peer_.reset();
    return reply.status;
  }

  /// What must come out; "" where `status` is that.
  static std::string complaint(const std::string& method, const std::optional<std::string>& path, int role,
                               int status) {
    if (!path) return status == 400 || status == 404 ? "" : "400 or 404";
    bool known = false;
    for (const Promise& promise : promises()) {
      if (!fits(promise.path, *path)) continue;
      known = true;
      if (promise.method != method) continue;
      if (promise.role == kOpen) return status == 200 ? "" : "200";
      if (role == 0) return status == 401 ? "" : "401";
      if (role < promise.role) return status == 403 ? "" : "403";
      static const std::set<int> kServed{200, 201, 202, 400,
                                         404, 409, 422};  // What is there to find is another matter.
      return kServed.contains(status) ? "" : "an answer";
    }
    if (known) return status == 405 ? "" : "405";
    return status == 404 ? "" : "404";
  }

  std::unique_ptr<Peer> peer_;
  unsigned turn_ = 0;
};

TEST_F(ApiAccess, PromisesSomethingForEveryRouteAndNothingMore) {
  std::multiset<std::string> promised, built;
  for (const Promise& promise : promises()) promised.insert(promise.method + " " + promise.path);
  for (const Route& route : routes()) {
    std::string path(route.pattern);
    for (std::size_t open; (open = path.find('{')) != std::string::npos;)
      path.replace(open, path.find('}') - open + 1, "*");
    built.insert(std::string(name_of(route.method)) + " " + path);
  }
  EXPECT_EQ(promised, built);
}

TEST_F(ApiAccess, IsDecidedOnTheRouteAndTheRoleWhateverThePathLooksLike) {
  std::set<std::string> paths;
  for (const Promise& promise : promises()) {
    std::string path = promise.path;
    for (char& c : path) c = c == '*' ? 'x' : c;
    paths.insert(path);
  }
  std::size_t cases = 0;
  std::size_t failures = 0;
  for (const std::string& path : paths) {
    for (const char* method : {"GET", "POST", "PUT", "DELETE", "OPTIONS", "get"}) {
      for (const Trick& trick : tricks()) {
        for (const Credential& credential : credentials()) {
          const int status = ask(method, trick.target(path), credential.field);
          const std::string expected = complaint(method, trick.means(path), credential.role, status);
          ++cases;
          if (expected.empty() || ++failures > 20) continue;
          ADD_FAILURE() << method << " " << path << ", " << trick.name << ", token: " << credential.name << ": "
                        << status << " instead of " << expected;
        }
      }
    }
  }
  EXPECT_EQ(failures, 0U);
  EXPECT_GE(cases, kCasesMin);
  // Nothing reached the engine in the name of somebody who may not ask for it.
  for (const Event& event : backend_->requests()) {
    if (const auto* run = std::get_if<CancelRequested>(&event)) {
      EXPECT_NE(run->requested_by, "viewer");
    }
    if (const auto* alias = std::get_if<AliasMoveRequested>(&event)) {
      EXPECT_TRUE(alias->requested_by != "viewer" && alias->requested_by != "operator") << alias->requested_by;
    }
    if (const auto* token = std::get_if<TokenRevokeRequested>(&event)) {
      EXPECT_TRUE(token->requested_by == "root" || token->requested_by == "admin") << token->requested_by;
    }
  }
}

TEST_F(ApiAccess, ShowsATokenOnceAndKeepsItsHash) {
  const Reply made = call("POST", "/api/v1/tokens", R"({"name":"ci","role":"operator","expires_in":"30d"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string token = *made.json().find("token")->as_string();
  EXPECT_EQ(token.size(), 7U + 64U);
  const auto event = std::get<TokenRequested>(backend_->requests().back());
  EXPECT_EQ(event.token.sha256, token_row("ci", Role::kOperator, token).sha256);
  EXPECT_EQ(event.token.created_by, "admin");
  EXPECT_EQ(event.source, "127.0.0.1");
  EXPECT_EQ(event.token.expires_at - event.token.created_at, std::chrono::hours(24 * 30));
  EXPECT_EQ(get("/api/v1/tokens").body.find(token), std::string::npos);
  EXPECT_EQ(ask("POST", "/api/v1/runs/x/cancel", bearer(token)), 404) << "it may ask; there is no such run";
  EXPECT_EQ(ask("GET", "/api/v1/tokens", bearer(token)), 403);
  EXPECT_EQ(call("DELETE", "/api/v1/tokens/ci").status, 200);
  EXPECT_EQ(ask("GET", "/api/v1/runs", bearer(token)), 401);
}

TEST_F(ApiAccess, MakesNoTokenThatTheEngineRefused) {
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kConflict, "there is one already"); };
  EXPECT_EQ(call("POST", "/api/v1/tokens", R"({"name":"new","role":"viewer"})").status, 409);
  EXPECT_EQ(get("/api/v1/tokens").body.find("\"new\""), std::string::npos);
  EXPECT_EQ(call("DELETE", "/api/v1/tokens/viewer").status, 409);
  EXPECT_EQ(ask("GET", "/api/v1/runs", bearer("v")), 200) << "what was not revoked still lets in";
}

TEST_F(ApiAccess, SaysWhatIsWrongWithAToken) {
  for (const char* body :
       {R"({"role":"viewer"})", R"({"name":"","role":"viewer"})", R"({"name":"admin","role":"viewer"})",
        R"({"name":"anonymous","role":"viewer"})", R"({"name":"a b","role":"viewer"})",
        R"({"name":".a","role":"viewer"})", R"({"name":"../a","role":"viewer"})", R"({"name":"a","role":"root"})",
        R"({"name":"a"})", R"({"name":"a","role":"viewer","expires_in":"0s"})",
        R"({"name":"a","role":"viewer","expires_in":"-1d"})", R"({"name":"a","role":"viewer","expires_in":"90"})",
        R"({"name":"a","role":"viewer","expires_in":"99999d"})"}) {
    EXPECT_EQ(call("POST", "/api/v1/tokens", body).status, 422) << body;
  }
  EXPECT_EQ(call("POST", "/api/v1/tokens", R"({"name":"a","role":"viewer","admin":true})").status, 400);
}

TEST_F(ApiAccess, TellsWhoShowsWrongTokensAgainAndAgainToStop) {
  restart({.wrong_tokens_max = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("GET", "/api/v1/runs", bearer("guess")), 401);
  std::map<int, int> statuses;
  for (int i = 0; i < 200; ++i) {
    Peer peer(server_->url());
    peer.send(fmt::format("GET /api/v1/runs HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer("guess")));
    ++statuses[parse_reply(peer.read_answer()).status];
  }
  EXPECT_GE(statuses[429], 150) << "a few are forgiven as time goes by";
  EXPECT_EQ(statuses[401] + statuses[429], 200);
  EXPECT_EQ(get("/api/v1/runs").status, 200) << "a right one is always let in";
}

TEST_F(ApiAccess, PutsRefusalsIntoTheAuditLogButNotEachOfThem) {
  restart({});
  for (int i = 0; i < 50; ++i) {
    Peer peer(server_->url());
    peer.send(fmt::format("GET /api/v1/tokens HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer("v")));
    EXPECT_EQ(parse_reply(peer.read_answer()).status, 403);
  }
  std::vector<AccessDenied> denied;
  for (const Event& event : backend_->requests()) {
    if (const auto* one = std::get_if<AccessDenied>(&event)) denied.push_back(*one);
  }
  ASSERT_FALSE(denied.empty());
  EXPECT_LE(denied.size(), 12U) << "ten at once, then one a minute";
  EXPECT_EQ(denied.front().principal, "viewer");
  EXPECT_EQ(denied.front().source, "127.0.0.1");
  EXPECT_EQ(denied.front().object, "GET /api/v1/tokens");
  EXPECT_NE(denied.front().detail.find("this needs admin"), std::string::npos) << denied.front().detail;
}

}  // namespace
}  // namespace chappe::api
