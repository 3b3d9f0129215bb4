// What only S3 has: keys that are refused, presigned URLs, buckets by name, the memory of large transfers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "proto/http/client.h"
#include "storage/digest/digest.h"
#include "tests/integration/object_store/backends.h"

namespace chappe {
namespace {

using testing::Backend;

Result<StoredObject> put(ObjectStore& store, const std::string& key, std::string_view text) {
  auto writer = store.create(key, {}, text.size());
  if (!writer) return fail(writer.error());
  if (auto done = (*writer)->write(std::as_bytes(std::span(text))); !done) return fail(done.error());
  return (*writer)->finish();
}

class S3Test : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    server_ = testing::server_of(GetParam());
    if (server_ == nullptr) GTEST_SKIP() << "no " << testing::name_of(GetParam()) << " on this machine";
    bucket_ = testing::make_bucket(*server_);
    store_ = store_with(server_->access_key(), server_->secret_key());
  }

  std::unique_ptr<ObjectStore> store_with(const std::string& access_key, const std::string& secret_key,
                                          const std::string& bucket = "") const {
    return make_s3_object_store({.bucket = bucket.empty() ? bucket_ : bucket}, testing::config_for(*server_),
                                testing::keys(access_key, secret_key));
  }

  testing::S3Server* server_ = nullptr;
  std::string bucket_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(S3Test, TellsWhenTheSecretIsWrong) {
  const auto store = store_with(server_->access_key(), "not the secret");
  const auto stored = put(*store, "k", "x");
  ASSERT_FALSE(stored.has_value());
  EXPECT_EQ(stored.error().code, ErrorCode::kPermissionDenied) << stored.error().message;
  EXPECT_EQ(store->head("k").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(store->list("", [](const ObjectInfo&) { return true; }).error().code, ErrorCode::kPermissionDenied);
}

TEST_P(S3Test, TellsWhenTheBucketIsMissing) {
  const auto store = store_with(server_->access_key(), server_->secret_key(), "chappe-no-such-bucket");
  const auto stored = put(*store, "k", "x");
  ASSERT_FALSE(stored.has_value());
  EXPECT_EQ(stored.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(stored.error().message, ::testing::HasSubstr("make the bucket first"));
}

TEST_P(S3Test, PresignsForThoseWithoutKeys) {
  ASSERT_TRUE(put(*store_, "a b+ü", "shared").has_value());
  s3::S3Client client(testing::config_for(*server_), testing::keys(server_->access_key(), server_->secret_key()));
  const auto url = client.presign("GET", bucket_, "objects/a b+ü", 60);
  ASSERT_TRUE(url.has_value());
  const auto answer = http::Client().send({.url = *url});
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->body, "shared");
  const auto forged = http::Client().send({.url = *url + "0"});
  ASSERT_TRUE(forged.has_value());
  EXPECT_EQ(forged->status, 403);
}

TEST_P(S3Test, PublishesToAnyBucketOfTheServer) {
  ASSERT_TRUE(put(*store_, "k", "weights").has_value());
  const std::string other = testing::make_bucket(*server_);
  const auto upload = store_->stage("k", 7, "s3://" + other + "/models/m 1.bin", {});
  ASSERT_TRUE(upload.has_value()) << upload.error().message;
  const auto shown = store_->complete(*upload);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  s3::S3Client client(testing::config_for(*server_), testing::keys(server_->access_key(), server_->secret_key()));
  const auto answer = client.call({.method = "GET", .bucket = other, .key = "models/m 1.bin"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->response.body, "weights");
}

TEST_P(S3Test, SeesABucketOfOthersWithItsOwnKeysAndWhenEachWasWritten) {
  ASSERT_TRUE(put(*store_, "k", "chappe's own").has_value());
  auto config = testing::config_for(*server_);
  const auto plain = make_s3_object_store({.bucket = bucket_, .prefix = "", .page_keys = 1, .plain = true}, config,
                                          testing::keys(server_->access_key(), server_->secret_key()));
  ASSERT_TRUE(put(*plain, "landing/a b+ü.csv", "1").has_value());
  ASSERT_TRUE(put(*plain, "landing/c.csv", "2").has_value());
  std::vector<ObjectInfo> listed;
  ASSERT_TRUE(plain->list("landing/", [&](const ObjectInfo& info) { return listed.push_back(info), true; }));
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].key, "landing/a b+ü.csv");
  EXPECT_NE(listed[0].etag, listed[1].etag);
  const auto head = plain->head("landing/c.csv");
  ASSERT_TRUE(head.has_value());
  for (const ObjectInfo& info : {listed[1], *head}) {
    EXPECT_TRUE(info.modified_at.is_set());
    EXPECT_EQ(info.etag, listed[1].etag);
  }
  EXPECT_TRUE(plain->head("objects/k").has_value());
  EXPECT_EQ(plain->locate_object("landing/c.csv"), "s3://" + bucket_ + "/landing/c.csv");
}

TEST_P(S3Test, SaysThatItIsUnavailableWhenNobodyAnswers) {
  auto config = testing::config_for(*server_);
  config.endpoint = s3::Endpoint{"http", "127.0.0.1:1", ""};
  config.retry = {.tries_max = 3, .backoff_min = std::chrono::milliseconds(1)};
  const auto store = make_s3_object_store({.bucket = bucket_}, config, testing::keys("a", "b"));
  EXPECT_EQ(store->head("k").error().code, ErrorCode::kUnavailable);
}

// ---- TLS, with a certificate that no system knows ----

class S3TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = testing::server_of(Backend::kCeph);
    if (server_ == nullptr) GTEST_SKIP() << "no Ceph on this machine";
  }

  std::unique_ptr<ObjectStore> store_at(const std::string& endpoint, const std::string& ca_file) const {
    auto config = testing::config_for(*server_);
    config.endpoint = *s3::parse_endpoint(endpoint);
    config.ca_file = ca_file;
    config.retry = {.tries_max = 2, .backoff_min = std::chrono::milliseconds(1)};
    return make_s3_object_store({.bucket = testing::make_bucket(*server_)}, config,
                                testing::keys(server_->access_key(), server_->secret_key()));
  }

  testing::S3Server* server_ = nullptr;
};

// Parts are not hashed then: TLS guards them.
TEST_F(S3TlsTest, CarriesObjectsOfSeveralPartsBothWays) {
  const auto store = store_at(server_->tls_endpoint(), server_->ca_file());
  std::string text(20 << 20, 'x');
  for (std::size_t at = 0; at < text.size(); at += 4096) text[at] = static_cast<char>(at >> 12);
  const auto stored = put(*store, "k", text);
  ASSERT_TRUE(stored.has_value()) << stored.error().message;
  EXPECT_EQ(stored->sha256, to_hex(sha256(text)));
  std::string got;
  const auto read = store->read("k", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(got, text);
}

TEST_F(S3TlsTest, RefusesAServerWhoseSignerNobodyKnows) {
  const auto stored = put(*store_at(server_->tls_endpoint(), ""), "k", "x");
  ASSERT_FALSE(stored.has_value());
  EXPECT_THAT(stored.error().message, ::testing::HasSubstr("certificate"));
}

TEST_F(S3TlsTest, RefusesACertificateForAnotherName) {
  std::string elsewhere = server_->tls_endpoint();
  elsewhere.replace(elsewhere.find("127.0.0.1"), 9, "localhost");
  const auto stored = put(*store_at(elsewhere, server_->ca_file()), "k", "x");
  ASSERT_FALSE(stored.has_value());
  EXPECT_THAT(stored.error().message, ::testing::HasSubstr("localhost"));
}

// ---- Memory: this program starts itself again, so that nothing but the transfer is counted ----

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;
constexpr std::uint64_t kGrowthMax = std::uint64_t{64} << 20;

// A line of /proc/self/status, in bytes.
std::uint64_t memory(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::byte> counted_block(std::uint64_t number) {
  std::vector<std::byte> block(std::size_t{1} << 20, static_cast<std::byte>(number * 37 + 1));
  return block;
}

void write_gibibyte(ObjectStore& store) {
  auto writer = store.create("big", {}, 0);
  ASSERT_TRUE(writer.has_value());
  for (std::uint64_t number = 0; number < 1024; ++number) {
    ASSERT_TRUE((*writer)->write(counted_block(number)).has_value());
  }
  const auto stored = (*writer)->finish();
  ASSERT_TRUE(stored.has_value()) << stored.error().message;
  EXPECT_EQ(stored->size, kGibibyte);
}

void read_gibibyte(ObjectStore& store) {
  Sha256 got;
  const auto info = store.read("big", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    got.update(bytes);
    return true;
  });
  ASSERT_TRUE(info.has_value()) << info.error().message;
  Sha256 wanted;
  for (std::uint64_t number = 0; number < 1024; ++number) wanted.update(counted_block(number));
  EXPECT_EQ(to_hex(got.finish()), to_hex(wanted.finish()));
}

TEST(S3Memory, DISABLED_InAProcessOfItsOwn) {
  const auto endpoint = s3::parse_endpoint(environment("CHAPPE_TEST_ENDPOINT"));
  ASSERT_TRUE(endpoint.has_value());
  const auto store = make_s3_object_store(
      {.bucket = environment("CHAPPE_TEST_BUCKET")}, {.endpoint = *endpoint, .style = s3::AddressStyle::kPath},
      testing::keys(environment("CHAPPE_TEST_KEY"), environment("CHAPPE_TEST_SECRET")));
  ASSERT_FALSE(store->head("big").has_value());  // Connected, libraries loaded: what grows now is the transfer's.
  const std::uint64_t before = memory("VmRSS:");
  ASSERT_GT(before, 0U);
  write_gibibyte(*store);
  const std::uint64_t after_write = memory("VmHWM:");
  read_gibibyte(*store);
  const std::uint64_t after_read = memory("VmHWM:");
  std::printf("resident growth: %llu KiB writing, %llu KiB with reading\n",
              static_cast<unsigned long long>((after_write - before) >> 10),
              static_cast<unsigned long long>((after_read - before) >> 10));
  EXPECT_LT(after_write - before, kGrowthMax);
  EXPECT_LT(after_read - before, kGrowthMax);
  EXPECT_TRUE(store->remove("big").has_value());
}

TEST(S3Memory, StaysUnder64MiBForOneGibibyteBothWays) {
  testing::S3Server* server = testing::server_of(Backend::kCeph);
  if (server == nullptr) GTEST_SKIP() << "no Ceph on this machine";
  ::setenv("CHAPPE_TEST_ENDPOINT", server->endpoint().c_str(), 1);
  ::setenv("CHAPPE_TEST_BUCKET", testing::make_bucket(*server).c_str(), 1);
  ::setenv("CHAPPE_TEST_KEY", server->access_key().c_str(), 1);
  ::setenv("CHAPPE_TEST_SECRET", server->secret_key().c_str(), 1);
  std::array<std::string, 3> words{"/proc/self/exe", "--gtest_filter=S3Memory.DISABLED_InAProcessOfItsOwn",
                                   "--gtest_also_run_disabled_tests"};
  std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = -1;
  ASSERT_EQ(::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ), 0);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, S3Test, ::testing::Values(Backend::kCeph, Backend::kSwift),
                         [](const auto& parameter) { return testing::name_of(parameter.param); });

}  // namespace
}  // namespace chappe
