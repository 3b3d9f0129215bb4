// Webhooks: who may call one, what reaches the engine, and what the caller is told.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "scheduler/api/webhook_secrets.h"
#include "storage/digest/digest.h"
#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

constexpr const char* kPath = "/api/v1/dags/demo/webhooks/push";

class ApiWebhooks : public ApiWorld {
 protected:
  void SetUp() override {
    ApiWorld::SetUp();
    backend_->answer = [](const Event&) -> Result<Value> {
      return Value(ValueMap{{"state", "started"}, {"event", 1}, {"run", "R"}});
    };
  }

  std::string secret(const std::string& webhook = "push") const {
    return WebhookSecrets(kWebhookKey).secret_of("demo", webhook);
  }
  static std::string signature(const std::string& secret, const std::string& body) {
    const std::vector<std::uint8_t> key(secret.begin(), secret.end());
    return fmt::format("X-Hub-Signature-256: sha256={}\r\n", to_hex(hmac_sha256(key, body)));
  }
  static std::string bearer(const std::string& token) { return fmt::format("Authorization: Bearer {}\r\n", token); }

  /// A call without the admin's token.
  Reply deliver(const std::string& fields, const std::string& body = R"({"ref":"main"})",
                const std::string& path = kPath) {
    Peer peer(server_->url());
    peer.send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}", path,
                          body.size(), fields, body));
    return parse_reply(peer.read_all());
  }
  WebhookCalled called() const { return std::get<WebhookCalled>(backend_->requests().at(0)); }
  std::size_t calls() const {
    std::size_t count = 0;
    for (const Event& event : backend_->requests()) count += std::holds_alternative<WebhookCalled>(event) ? 1U : 0U;
    return count;
  }
};

TEST_F(ApiWebhooks, AreCalledWithASignatureOfTheBody) {
  const std::string body = R"({"ref":"main"})";
  const Reply reply = deliver(signature(secret(), body) + "X-GitHub-Delivery: d-1\r\nX-GitHub-Event: push\r\n", body);
  EXPECT_EQ(reply.status, 202) << reply.body;
  EXPECT_EQ(to_json(reply.json()), R"({"state":"started","event":1,"run":"R"})");
  EXPECT_EQ(called().dag, "demo");
  EXPECT_EQ(called().webhook, "push");
  EXPECT_EQ(called().delivery, "d-1");
  EXPECT_EQ(called().type, "push");
  EXPECT_EQ(to_json(called().body), body);
  EXPECT_EQ(called().requested_by, "webhook demo/push");
  EXPECT_EQ(called().source, "127.0.0.1");
}

TEST_F(ApiWebhooks, AreCalledWithTheSecretOrWithAnOperatorsToken) {
  EXPECT_EQ(deliver(bearer(secret()) + "Idempotency-Key: k\r\n", "").status, 202);
  EXPECT_TRUE(called().body.is_null());
  EXPECT_EQ(called().delivery, "k");
  EXPECT_EQ(deliver(bearer(kToken)).status, 202);
  EXPECT_EQ(std::get<WebhookCalled>(backend_->requests().at(1)).requested_by, "admin");
}

TEST_F(ApiWebhooks, LetNobodyElseIn) {
  for (const std::string& fields :
       {std::string(), bearer("guess"), bearer(secret("pull")), signature(secret(), "{}"),
        signature("guess", R"({"ref":"main"})"), std::string("X-Hub-Signature-256: sha256=\r\n"),
        bearer("guess") + signature(secret(), R"({"ref":"main"})")}) {
    EXPECT_EQ(deliver(fields).status, 401) << fields;
  }
  EXPECT_EQ(calls(), 0U);
  EXPECT_EQ(deliver(bearer(secret()), "", "/api/v1/dags/demo/pause").status, 401) << "it is good for nothing else";
  EXPECT_EQ(deliver(signature(secret(), ""), "", "/api/v1/dags/demo/runs").status, 401);
}

TEST_F(ApiWebhooks, WhatCannotBeTakenIsRefused) {
  EXPECT_EQ(deliver(bearer(secret()), "ref=main").status, 400);
  EXPECT_EQ(deliver(bearer(secret()) + "X-GitHub-Delivery: " + std::string(201, 'x') + "\r\n").status, 400);
  EXPECT_EQ(deliver(bearer(secret()) + "X-GitHub-Delivery: \xff\r\n").status, 400);
  EXPECT_EQ(deliver(bearer(secret()), '"' + std::string(128 * 1024 - 2, 'x') + '"').status, 202);
  EXPECT_EQ(deliver(bearer(secret()), '"' + std::string(128 * 1024 - 1, 'x') + '"').status, 413);
  EXPECT_EQ(calls(), 1U);
}

TEST_F(ApiWebhooks, ADuplicateAndARefusalAreTold) {
  backend_->answer = [](const Event&) -> Result<Value> {
    return Value(ValueMap{{"state", "duplicate"}, {"event", 1}, {"run", "R"}});
  };
  EXPECT_EQ(deliver(bearer(secret())).status, 200);
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kNotFound, "no such webhook"); };
  EXPECT_EQ(deliver(bearer(secret())).status, 404);
  backend_->answer = [](const Event&) -> Result<Value> { return fail(ErrorCode::kUnavailable, "too many wait"); };
  EXPECT_EQ(deliver(bearer(secret())).status, 503);
}

TEST_F(ApiWebhooks, AreCalledSoOftenAndNoOftener) {
  restart({.deliveries_max = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(bearer(secret())).status, 202);
  const Reply refused = deliver(bearer(secret()));
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(refused.head.find("Retry-After: 1"), std::string::npos);
  EXPECT_EQ(deliver(bearer(secret("pull")), "", "/api/v1/dags/demo/webhooks/pull").status, 202) << "each has its own";
  EXPECT_EQ(calls(), 4U);
}

TEST_F(ApiWebhooks, AreListedWithTheirSecrets) {
  const RunRow run = add_run("{name: demo, triggers: [{webhook: push}, {s3: in/}], tasks: [{id: t, noop: true}]}");
  EXPECT_EQ(get("/api/v1/dags/demo/webhooks").status, 404) << "it is not deployed";
  commit({.deployments = {{.dag = "demo", .version = run.dag_version, .deployed_by = "anna", .deployed_at = {1}}}});
  const Value listed = get("/api/v1/dags/demo/webhooks").json();
  EXPECT_EQ(to_json(*listed.find("items")),
            fmt::format(R"([{{"webhook":"push","path":"{}","secret":"{}"}}])", kPath, secret()));
}

}  // namespace
}  // namespace chappe::api
