#include "scheduler/api/webhook_secrets.h"

#include <gtest/gtest.h>

#include "storage/digest/digest.h"

namespace chappe::api {
namespace {

const WebhookSecrets kSecrets("an installation's key, 32 bytes!");

std::string signature(const std::string& secret, const std::string& body) {
  const std::vector<std::uint8_t> key(secret.begin(), secret.end());
  return "sha256=" + to_hex(hmac_sha256(key, body));
}

TEST(WebhookSecrets, AreOneForEachWebhookAndInstallation) {
  const std::string secret = kSecrets.secret_of("dag", "push");
  EXPECT_EQ(secret.size(), 64U);
  EXPECT_EQ(secret, kSecrets.secret_of("dag", "push"));
  EXPECT_NE(secret, kSecrets.secret_of("dag", "pull"));
  EXPECT_NE(secret, kSecrets.secret_of("other", "push"));
  EXPECT_NE(kSecrets.secret_of("a", "b\nc"), kSecrets.secret_of("a\nb", "c")) << "names end where they end";
  EXPECT_NE(secret, WebhookSecrets("another installation's key......").secret_of("dag", "push"));
}

TEST(WebhookSecrets, LetInWhoHasTheSecretOrSignsWithIt) {
  const std::string secret = kSecrets.secret_of("dag", "push");
  EXPECT_TRUE(kSecrets.is_secret(secret, "dag", "push"));
  EXPECT_TRUE(kSecrets.is_signature(signature(secret, "{}"), "{}", "dag", "push"));
}

TEST(WebhookSecrets, LetInNobodyElse) {
  const std::string secret = kSecrets.secret_of("dag", "push");
  for (const std::string& wrong : {std::string(), secret.substr(1), secret + "0", kSecrets.secret_of("dag", "pull")}) {
    EXPECT_FALSE(kSecrets.is_secret(wrong, "dag", "push")) << wrong;
  }
  for (const std::string& wrong :
       {std::string(), std::string("sha256="), signature(secret, "{ }"), secret, signature(secret, "{}").substr(7),
        signature(kSecrets.secret_of("d", "push"), "{}"), "sha1=" + signature(secret, "{}").substr(7)}) {
    EXPECT_FALSE(kSecrets.is_signature(wrong, "{}", "dag", "push")) << wrong;
  }
  const WebhookSecrets none("");
  EXPECT_FALSE(none.is_secret(none.secret_of("dag", "push"), "dag", "push"));
  EXPECT_FALSE(none.is_signature(signature(none.secret_of("dag", "push"), "{}"), "{}", "dag", "push"));
}

TEST(WebhookSecrets, SignAsGitHubDoes) {
  // The vector of GitHub's own documentation, with its secret in place of one of ours.
  EXPECT_EQ(signature("It's a Secret to Everybody", "Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}

}  // namespace
}  // namespace chappe::api
