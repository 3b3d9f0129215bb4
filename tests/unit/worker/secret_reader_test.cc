// Secrets by reference that need no disk and no net; tests/e2e/secret_refs_test.py has the others.
#include "worker/app/secret_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace chappe::worker {
namespace {

using testing::HasSubstr;
using Source = SecretRef::Source;

constexpr char kCanary[] = "hunter2";

Result<std::vector<Secret>> read(const SecretRef& secret, std::vector<std::string> open,
                                 std::map<std::string, std::string> environment) {
  const SecretReader reader({.env = std::move(open)}, [environment](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
  const std::atomic<bool> stopped = false;
  return reader.read({secret}, stopped);
}

std::string complaint_of(const Result<std::vector<Secret>>& read, ErrorCode code = ErrorCode::kInvalidInput) {
  if (read) return "";
  EXPECT_EQ(read.error().code, code);
  EXPECT_EQ(read.error().message.find(kCanary), std::string::npos);
  return read.error().message;
}

TEST(SecretReader, FindsAVariableThatIsOpenToDags) {
  const SecretRef secret{.name = "DB", .source = Source::kEnv, .place = "PGPASSWORD", .as_file = true};
  for (const char* open : {"PGPASSWORD", "PG*"}) {
    const auto found = read(secret, {open}, {{"PGPASSWORD", kCanary}});
    ASSERT_TRUE(found.has_value()) << found.error().message;
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().name, "DB");
    EXPECT_EQ(found->front().value, kCanary);
    EXPECT_TRUE(found->front().as_file);
  }
}

TEST(SecretReader, KeepsWhatTheOperatorHasNotOpened) {
  const SecretRef secret{.name = "DB", .source = Source::kEnv, .place = "PGPASSWORD"};
  EXPECT_EQ(complaint_of(read(secret, {"PGPASS", "pg*"}, {{"PGPASSWORD", kCanary}})),
            "secret 'DB' (env PGPASSWORD): this worker hands it to no DAG: start it with --secret-env PGPASSWORD");
  EXPECT_EQ(complaint_of(read(secret, {"*"}, {})), "secret 'DB' (env PGPASSWORD): the worker has no such variable");
}

TEST(SecretReader, HasAPodsSecretInAPodAlone) {
  const SecretRef secret{.name = "T", .source = Source::kKubernetes, .place = "api", .key = "token"};
  EXPECT_THAT(complaint_of(read(secret, {"*"}, {{"T", kCanary}})),
              HasSubstr("secret 'T' (kubernetes api, key token): only a pod"));
  const auto found = read(secret, {}, {{"CHAPPE_POD_SECRET_T", kCanary}});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->front().value, kCanary);
}

TEST(SecretReader, RefusesWhatAVariableCannotHoldOrIsTooMuch) {
  const SecretRef variable{.name = "A", .source = Source::kEnv, .place = "A"};
  const SecretRef file{.name = "A", .source = Source::kEnv, .place = "A", .as_file = true};
  const std::string with_nul = std::string(kCanary) + '\0' + kCanary;
  EXPECT_THAT(complaint_of(read(variable, {"A"}, {{"A", with_nul}})), HasSubstr("NUL"));
  EXPECT_EQ(complaint_of(read(file, {"A"}, {{"A", with_nul}})), "");
  EXPECT_EQ(complaint_of(read(variable, {"A"}, {{"A", std::string(kSecretBytesMax, 'x')}})), "");
  EXPECT_THAT(complaint_of(read(file, {"A"}, {{"A", std::string(kSecretBytesMax + 1, 'x')}})), HasSubstr("64 KiB"));
}

TEST(SecretReader, SaysWhatAWorkerLacks) {
  EXPECT_THAT(complaint_of(read({.name = "A", .source = Source::kFile, .place = "a"}, {}, {})),
              HasSubstr("--secret-files"));
  EXPECT_EQ(
      complaint_of(read({.name = "A", .source = Source::kVault, .place = "a", .key = "k", .mount = "kv"}, {}, {})),
      "secret 'A' (vault kv/a, key k): this worker knows no Vault: --vault");
}

}  // namespace
}  // namespace chappe::worker
