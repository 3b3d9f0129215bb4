#include "worker/app/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::worker {
namespace {

using testing::Contains;
using testing::Not;

Assignment assignment(std::vector<std::pair<std::string, std::string>> env = {}) {
  auto run = std::make_shared<RunContext>();
  run->dag = "d";
  auto work = std::make_shared<ResolvedWork>();
  work->env = std::move(env);
  Assignment assignment;
  assignment.attempt = {0x2a};
  assignment.attempt_no = 3;
  assignment.task = "t";
  assignment.run = run;
  assignment.work = work;
  return assignment;
}

std::vector<std::string> of(const Environment& environment, const Assignment& assignment) {
  return environment.of(assignment, {"/a/work", "/a/tmp", "/r.json", "/a/secrets", ""}, {});
}

std::shared_ptr<const StoreAccess::Variables> store_variables() {
  StoreAccess::Variables variables;
  variables.groups = {
      {{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}, {{"AWS_ENDPOINT_URL", "http://s3"}}},
      {{"AWS_REGION"}, {{"AWS_REGION", "north"}}},
      {{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"},
       {{"AWS_ACCESS_KEY_ID", "ours"}, {"AWS_SECRET_ACCESS_KEY", "hush"}, {"AWS_SESSION_TOKEN", "hushhush"}}}};
  return std::make_shared<const StoreAccess::Variables>(std::move(variables));
}

TEST(Environment, PassesOnOnlyWhatTasksMaySee) {
  const char* inherited[] = {"PATH=/bin",      "LC_ALL=C",     "TZ=UTC", "AWS_SECRET_ACCESS_KEY=s",
                             "CHAPPE_TOKEN=s", "LD_PRELOAD=x", nullptr};
  const auto variables = of(Environment(inherited), assignment());
  EXPECT_THAT(variables, testing::IsSupersetOf({"PATH=/bin", "LC_ALL=C", "TZ=UTC", "HOME=/a/work", "TMPDIR=/a/tmp"}));
  for (const std::string& variable : variables) {
    EXPECT_EQ(variable.find("=s"), std::string::npos) << variable;
    EXPECT_FALSE(variable.starts_with("LD_PRELOAD")) << variable;
  }
}

TEST(Environment, HandsOnWhatItIsToldAndKnowsWhatOfItIsSecret) {
  const char* inherited[] = {
      "AWS_SECRET_ACCESS_KEY=s3cret", "AWS_REGION=r", "AWS=no", "PGPASSWORD=pg", "OTHER_TOKEN=t", nullptr};
  const Environment environment(inherited, {"AWS_*", "PGPASSWORD"});
  const auto variables = of(environment, assignment());
  EXPECT_THAT(variables, testing::IsSupersetOf({"AWS_SECRET_ACCESS_KEY=s3cret", "AWS_REGION=r", "PGPASSWORD=pg"}));
  EXPECT_THAT(variables, Not(Contains("AWS=no")));
  EXPECT_THAT(variables, Not(Contains("OTHER_TOKEN=t")));
  EXPECT_THAT(environment.secrets(), testing::UnorderedElementsAre("s3cret", "pg"));
}

TEST(Environment, LeavesAnImageItsOwnPathAndLocale) {
  const char* inherited[] = {"PATH=/bin", "LC_ALL=C", "TZ=UTC", "HTTPS_PROXY=http://p", "SSL_CERT_FILE=/x", nullptr};
  Assignment boxed = assignment();
  auto work = std::make_shared<ResolvedWork>(*boxed.work);
  work->image = "debian:12";
  boxed.work = work;
  const auto variables = of(Environment(inherited), boxed);
  EXPECT_THAT(variables, testing::IsSupersetOf({"TZ=UTC", "HTTPS_PROXY=http://p", "HOME=/a/work", "CHAPPE_TASK=t"}));
  for (const std::string& variable : variables) {
    for (const char* name : {"PATH=", "LC_ALL=", "SSL_CERT_FILE="})
      EXPECT_FALSE(variable.starts_with(name)) << variable;
  }
}

TEST(Environment, HasAPathWhereTheWorkerHasNone) {
  const char* inherited[] = {nullptr};
  EXPECT_THAT(of(Environment(inherited), assignment()), Contains(testing::StartsWith("PATH=/usr/local/sbin:")));
}

TEST(Environment, LetsTheTaskWinOverTheWorkerAndChappeOverBoth) {
  const char* inherited[] = {"PATH=/bin", nullptr};
  const auto variables =
      of(Environment(inherited),
         assignment({{"PATH", "/mine"}, {"HOME", "/h"}, {"CHAPPE_TASK", "x"}, {"CHAPPE_STATE_C", "7"}, {"EMPTY", ""}}));
  EXPECT_THAT(variables,
              testing::IsSupersetOf({"PATH=/mine", "HOME=/h", "CHAPPE_TASK=t", "CHAPPE_STATE_C=7", "EMPTY="}));
  EXPECT_THAT(variables, Not(Contains("PATH=/bin")));
  EXPECT_THAT(variables, Not(Contains("HOME=/a/work")));
  EXPECT_THAT(variables, Not(Contains("CHAPPE_TASK=x")));
}

TEST(Environment, BringsTheObjectStoresVariables) {
  const char* inherited[] = {"AWS_REGION=south", nullptr};
  const Environment environment(inherited, {"AWS_*"});
  const auto variables = environment.of(assignment(), {"/w", "/t", "/p", "/s", "/ca.pem"}, {store_variables(), {}});
  EXPECT_THAT(variables, testing::IsSupersetOf({"AWS_ENDPOINT_URL=http://s3", "AWS_REGION=north",
                                                "AWS_ACCESS_KEY_ID=ours", "AWS_SECRET_ACCESS_KEY=hush",
                                                "AWS_SESSION_TOKEN=hushhush", "AWS_CA_BUNDLE=/ca.pem"}));
  EXPECT_THAT(variables, Not(Contains("AWS_REGION=south")));
}

TEST(Environment, MixesNobodysCredentialsWithOurs) {
  const char* inherited[] = {nullptr};
  const Environment environment(inherited);
  const Places places{"/w", "/t", "/p", "/s", ""};
  const auto with_profile = environment.of(assignment({{"AWS_PROFILE", "theirs"}}), places, {store_variables(), {}});
  EXPECT_THAT(with_profile, testing::IsSupersetOf({"AWS_ENDPOINT_URL=http://s3", "AWS_PROFILE=theirs"}));
  EXPECT_THAT(with_profile, Not(Contains(testing::StartsWith("AWS_SECRET_ACCESS_KEY="))));
  EXPECT_THAT(with_profile, Not(Contains(testing::StartsWith("AWS_SESSION_TOKEN="))));
  const auto with_key =
      environment.of(assignment(), places, {store_variables(), {{"AWS_SECRET_ACCESS_KEY", "theirs", false}}});
  EXPECT_THAT(with_key, Contains("AWS_SECRET_ACCESS_KEY=theirs"));
  EXPECT_THAT(with_key, Not(Contains(testing::StartsWith("AWS_ACCESS_KEY_ID="))));
}

TEST(Environment, HandsSecretsOverAsValuesOrFiles) {
  const char* inherited[] = {"PGPASSWORD=old", nullptr};
  const auto variables =
      Environment(inherited, {"PG*"})
          .of(assignment(), {"/w", "/t", "/p", "/s", ""},
              {nullptr, {{"PGPASSWORD", "new", false}, {"KEY", "bytes", true}, {"CHAPPE_TASK", "x", false}}});
  EXPECT_THAT(variables, testing::IsSupersetOf({"PGPASSWORD=new", "KEY=/s/KEY", "CHAPPE_TASK=t"}));
  for (const char* absent : {"PGPASSWORD=old", "KEY=bytes", "CHAPPE_TASK=x"})
    EXPECT_THAT(variables, Not(Contains(absent)));
}

TEST(Environment, NamesTheAttempt) {
  const char* inherited[] = {nullptr};
  EXPECT_THAT(of(Environment(inherited), assignment()),
              testing::IsSupersetOf({"CHAPPE_ATTEMPT=3", "CHAPPE_ATTEMPT_ID=000000000000002a", "CHAPPE_FENCE=42",
                                     "CHAPPE_MAP_KEY=", "CHAPPE_PARAMS=/r.json"}));
}

TEST(IdempotencyKey, IsTheSameForEveryTryAndForNothingElse) {
  Assignment first = assignment();
  Assignment again = first;
  again.attempt = {0x99};
  again.attempt_no = 9;
  EXPECT_EQ(idempotency_key(first), idempotency_key(again));
  again.task = "t1";
  EXPECT_NE(idempotency_key(first), idempotency_key(again));
  first.task = "a", first.map_key = "b1";
  again.task = "ab", again.map_key = "1";
  EXPECT_NE(idempotency_key(first), idempotency_key(again));
}

}  // namespace
}  // namespace chappe::worker
