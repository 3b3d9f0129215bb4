// Attempts whose object store has a bad day: they wait for it, lose nothing that the task made, and are never given
// what is not right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "storage/digest/digest.h"
#include "storage/s3/s3_object_store.h"
#include "tests/support/servers/chaos_proxy.h"
#include "tests/support/servers/fake_s3.h"
#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::Chaos;
using testing::ChaosProxy;
using ::testing::ElementsAre;
using testing::FakeS3;
using ::testing::HasSubstr;
using testing::reply;
using testing::Reply;
using testing::s3_error;
using testing::S3Request;

constexpr AttemptId kStoredAttempt{0x11};

class StoreAway : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "chappe-away-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    work_ = path;
    const auto keys = std::make_shared<s3::CredentialSource>([](const std::string& name) -> std::optional<std::string> {
      if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "x";
      return std::nullopt;
    });
    const s3::ClientConfig config{
        .endpoint = *s3::parse_endpoint(proxy_.url()),
        .style = s3::AddressStyle::kPath,
        .retry = {.tries_max = 2, .backoff_min = milliseconds(1), .backoff_max = milliseconds(2)}};
    store_ = make_s3_object_store({.bucket = "b"}, config, keys);
    std::ofstream(work_ / "out") << "what took hours";
    ResolvedOutput output;
    output.name = "out";
    output.path = "out";
    output.asset_uri = "asset";
    task_.outputs.push_back(output);
  }
  void TearDown() override { fs::remove_all(work_); }

  StagingPlace place() {
    return {
        *store_, work_.string(), stop_, {.rest_min = milliseconds(1), .rest_max = milliseconds(20), .total = total_}};
  }
  Staged<StagedOut> out() { return stage_out(place(), "p/", kStoredAttempt, task_); }

  Staged<StagedIn> in(const OutputObject& object) {
    ResolvedInput input{.name = "in", .path = "in"};
    input.objects = {{.name = "in", .path = "in", .key = object.key, .size = object.size, .sha256 = object.sha256}};
    return stage_in(place(), {input});
  }
  std::string fetched() const {
    std::ifstream file(work_ / "in");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// Does `act` once the store was asked in vain some more times.
  std::jthread after_some_tries(std::function<void()> act) {
    return std::jthread([this, before = proxy_.connections(), act = std::move(act)](const std::stop_token& over) {
      while (!over.stop_requested() && proxy_.connections() < before + 10) std::this_thread::sleep_for(milliseconds(1));
      act();
    });
  }

  FakeS3 server_;
  ChaosProxy proxy_{server_.port()};
  std::unique_ptr<ObjectStore> store_;
  fs::path work_;
  ResolvedWork task_;
  std::atomic<bool> stop_ = false;
  milliseconds total_{60'000};
};

TEST_F(StoreAway, OutputsAreStoredWhenItIsBack) {
  proxy_.cut_off();
  const auto back = after_some_tries([this] { proxy_.heal(); });
  const auto staged = out();
  ASSERT_TRUE(staged) << staged.error().message;
  EXPECT_THAT(server_.versions("objects/p/out"), ElementsAre("what took hours"));
  EXPECT_TRUE(store_->complete(staged->outputs.objects.at(0).upload));
  EXPECT_THAT(server_.versions("assets/asset"), ElementsAre("what took hours"));
}

TEST_F(StoreAway, InputsAreFetchedFromWhereItWentAway) {
  const auto staged = out();
  ASSERT_TRUE(staged) << staged.error().message;
  int gets = 0;
  server_.set_bad_day([&](const S3Request& request, const std::function<Reply()>& serve) {
    Reply answer = serve();
    if (request.what() != "GET" || ++gets > 1) return answer;
    proxy_.cut_off();  // With half of the object under way.
    answer.bytes.resize(answer.bytes.size() - 5);
    answer.close = true;
    return answer;
  });
  const auto back = after_some_tries([this] { proxy_.heal(); });
  const auto bytes = in(staged->outputs.objects.at(0));
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(fetched(), "what took hours");
}

TEST_F(StoreAway, PatienceHasAnEnd) {
  total_ = milliseconds(100);
  proxy_.cut_off();
  const auto staged = out();
  ASSERT_FALSE(staged);
  EXPECT_EQ(staged.error().reason, Reason::kArtifactIo);
}

TEST_F(StoreAway, NobodyWaitsForWhatNobodyWants) {
  proxy_.cut_off();
  const auto cancel = after_some_tries([this] { stop_ = true; });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(out());
  EXPECT_LT(std::chrono::steady_clock::now() - start, total_ / 2);
}

TEST_F(StoreAway, BytesThatWereChangedAreNotGivenToTheTask) {
  const auto staged = out();
  ASSERT_TRUE(staged) << staged.error().message;
  server_.set_bad_day([](const S3Request&, const std::function<Reply()>& serve) {
    Reply answer = serve();
    answer.bytes.back() = '!';
    return answer;
  });
  const auto bytes = in(staged->outputs.objects.at(0));
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().reason, Reason::kArtifactIo);
  EXPECT_THAT(bytes.error().message, HasSubstr("is not what was recorded"));
}

TEST_F(StoreAway, WhatTheStoreRefusesIsNotBlamedOnTheTask) {
  server_.set_bad_day([](const S3Request&, const std::function<Reply()>&) {
    return reply("400 Bad Request", s3_error("InvalidDigest"));
  });
  const auto staged = out();
  ASSERT_FALSE(staged);
  EXPECT_EQ(staged.error().reason, Reason::kArtifactIo);
}

}  // namespace
}  // namespace chappe::artifacts
