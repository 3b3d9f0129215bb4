// Where credentials come from, with the endpoints of clouds played by a loopback server and files in a directory.
#include "storage/s3/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/servers/loopback_http.h"

namespace chappe::s3 {
namespace {

using ::testing::HasSubstr;
using testing::LoopbackHttp;
using testing::Received;
using testing::reply;

namespace fs = std::filesystem;

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "chappe-keys-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    set("HOME", path);
    set("AWS_EC2_METADATA_DISABLED", "true");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void set(const std::string& name, const std::string& value) { variables_[name] = value; }
  std::string file(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  Environment environment() {
    return [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
  }
  Result<Credentials> found() { return CredentialSource(environment()).get(); }

  fs::path folder_;
  std::map<std::string, std::string> variables_;
};

TEST_F(CredentialsTest, SaysWhatToDoWhenThereAreNone) {
  const auto keys = found();
  EXPECT_EQ(keys.error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(keys.error().message, HasSubstr("set AWS_ACCESS_KEY_ID"));
}

TEST_F(CredentialsTest, TakesTheEnvironmentBeforeFiles) {
  file(".aws/credentials", "[default]\naws_access_key_id=file\naws_secret_access_key=s\n");
  EXPECT_EQ(found()->access_key, "file");
  set("AWS_ACCESS_KEY_ID", "environment");
  set("AWS_SECRET_ACCESS_KEY", "s");
  set("AWS_SESSION_TOKEN", "t");
  EXPECT_EQ(found()->access_key, "environment");
  EXPECT_EQ(found()->session_token, "t");
}

TEST_F(CredentialsTest, TakesTheProfileThatIsNamedAndNoOther) {
  set("AWS_CONFIG_FILE", file("config", "[profile dev]\naws_access_key_id=dev\naws_secret_access_key=s\n"));
  set("AWS_PROFILE", "dev");
  EXPECT_EQ(found()->access_key, "dev");
  set("AWS_PROFILE", "missing");
  EXPECT_THAT(found().error().message, HasSubstr("profile \"missing\""));
}

TEST_F(CredentialsTest, ReadsTheWebIdentityTokenEachTimeAndAsksTheTokenService) {
  LoopbackHttp sts([](const Received&) {
    return reply("200 OK",
                 "<R><A><Credentials><AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                 "<SessionToken>t</SessionToken><Expiration>2020-01-01T00:00:00Z</Expiration></Credentials></A></R>");
  });
  set("AWS_ENDPOINT_URL_STS", sts.url());
  set("AWS_ROLE_ARN", "arn:role/x");
  set("AWS_WEB_IDENTITY_TOKEN_FILE", file("token", "first"));
  CredentialSource source(environment());
  EXPECT_EQ(source.get()->access_key, "web");
  file("token", "second");
  EXPECT_EQ(source.get()->session_token, "t");  // Expired long ago: asked again.
  EXPECT_THAT(sts.received().at(0).body, HasSubstr("RoleArn=arn%3Arole%2Fx"));
  EXPECT_THAT(sts.received().at(1).body, HasSubstr("WebIdentityToken=second"));
}

TEST_F(CredentialsTest, DoesNotFallThroughAWebIdentityThatFails) {
  LoopbackHttp sts([](const Received&) { return reply("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>"); });
  file(".aws/credentials", "[default]\naws_access_key_id=file\naws_secret_access_key=s\n");
  set("AWS_ENDPOINT_URL_STS", sts.url());
  set("AWS_ROLE_ARN", "arn");
  set("AWS_WEB_IDENTITY_TOKEN_FILE", file("token", "t"));
  EXPECT_EQ(found().error().code, ErrorCode::kPermissionDenied);
  set("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere");
  EXPECT_THAT(found().error().message, HasSubstr("/nowhere"));
}

TEST_F(CredentialsTest, AsksTheContainersEndpointWithItsToken) {
  LoopbackHttp endpoint([](const Received&) {
    return reply("200 OK",
                 R"({"AccessKeyId":"pod","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"})");
  });
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url() + "/keys");
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("token", "let me in"));
  CredentialSource source(environment());
  EXPECT_EQ(source.get()->access_key, "pod");
  EXPECT_EQ(source.get()->access_key, "pod");
  EXPECT_EQ(endpoint.received().size(), 1U);  // They last.
  EXPECT_THAT(endpoint.received().at(0).head, HasSubstr("Authorization: let me in"));
  source.invalidate();
  EXPECT_EQ(source.get()->access_key, "pod");
  EXPECT_EQ(endpoint.received().size(), 2U);
}

TEST_F(CredentialsTest, AsksTheInstanceWithASessionOfItsOwn) {
  LoopbackHttp endpoint([](const Received& got) {
    if (got.line.starts_with("PUT /latest/api/token")) return reply("200 OK", "session");
    if (got.line.find("security-credentials/ ") != std::string::npos) return reply("200 OK", "role");
    return reply("200 OK", R"({"AccessKeyId":"instance","SecretAccessKey":"s","Token":"t"})");
  });
  variables_.erase("AWS_EC2_METADATA_DISABLED");
  set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.url());
  EXPECT_EQ(found()->access_key, "instance");
  EXPECT_THAT(endpoint.received().back().line, HasSubstr("/security-credentials/role "));
  EXPECT_THAT(endpoint.received().back().head, HasSubstr("X-aws-ec2-metadata-token: session"));
}

}  // namespace
}  // namespace chappe::s3
