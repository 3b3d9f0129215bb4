// The object store over whole bad days of an S3 server: what is published shows once and is right, what cannot be told
// is not guessed, and a store that is away is neither stormed nor given up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "storage/s3/bucket.h"
#include "storage/s3/ranged_reader.h"
#include "storage/s3/s3_object_store.h"
#include "tests/support/servers/chaos_proxy.h"
#include "tests/support/servers/fake_s3.h"

namespace chappe::s3 {
namespace {

using std::chrono::milliseconds;
using testing::Chaos;
using testing::ChaosProxy;
using ::testing::ElementsAre;
using testing::FakeS3;
using testing::LoopbackHttp;
using testing::Received;
using testing::reply;
using testing::Reply;
using testing::s3_error;
using testing::S3Request;

using Serve = std::function<Reply()>;

const Reply kSlowDown = reply("503 Slow Down", s3_error("SlowDown"), "Retry-After: 0\r\n");
const Reply kNothing{"", true};  ///< The connection ends without an answer.
constexpr std::size_t kPart = std::size_t{8} << 20;

Environment keys() {
  return [](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "x";
    return std::nullopt;
  };
}

std::unique_ptr<ObjectStore> store_at(const std::string& url, const Environment& environment = keys(),
                                      std::uint32_t tries_max = 4) {
  const ClientConfig config{
      .endpoint = *parse_endpoint(url),
      .style = AddressStyle::kPath,
      .retry = {.tries_max = tries_max, .backoff_min = milliseconds(1), .backoff_max = milliseconds(2)},
      .stall_timeout = std::chrono::seconds(1)};
  return make_s3_object_store({.bucket = "b"}, config, std::make_shared<CredentialSource>(environment));
}

Result<StoredObject> put(ObjectStore& store, const std::string& key, const std::string& text, PutOptions options = {}) {
  auto writer = store.create(key, options, text.size());
  if (!writer) return fail(writer.error());
  if (auto written = (*writer)->write(std::as_bytes(std::span(text))); !written) return fail(written.error());
  return (*writer)->finish();
}

Result<std::string> get(ObjectStore& store, const std::string& key) {
  std::string text;
  const auto read = store.read(key, 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  if (!read) return fail(read.error());
  return text;
}

/// A bad day that goes wrong at the first so many requests of that kind, and is a good one otherwise.
FakeS3::BadDay first(int count, std::string what, std::function<Reply(const Serve&)> wrong) {
  return
      [count, what = std::move(what), wrong = std::move(wrong)](const S3Request& request, const Serve& serve) mutable {
        return request.what() == what && count-- > 0 ? wrong(serve) : serve();
      };
}

Reply lost(const Serve& serve) {
  (void)serve();
  return kNothing;
}
Reply unavailable(const Serve&) { return kSlowDown; }

FakeS3::BadDay both(FakeS3::BadDay one, FakeS3::BadDay other) {
  return [one = std::move(one), other = std::move(other)](const S3Request& request, const Serve& serve) {
    return one(request, [&] { return other(request, serve); });
  };
}

class S3BadDays : public ::testing::Test {
 protected:
  /// An upload that waits to be completed.
  std::string staged(const std::string& text, bool immutable = false) {
    EXPECT_TRUE(put(*store_, "k", text));
    auto upload = store_->stage("k", text.size(), "asset", {.if_absent = immutable});
    EXPECT_TRUE(upload) << upload.error().message;
    return upload.value_or("");
  }
  std::vector<std::string> published() const { return server_.versions("assets/asset"); }

  FakeS3 server_;
  std::unique_ptr<ObjectStore> store_ = store_at(server_.url());
};

// ---- What is not known is not guessed -----------------------------------------------------------------------------

TEST_F(S3BadDays, ALostAnswerToACompletionIsNotPublishedASecondTime) {
  const std::string upload = staged("text");
  server_.set_bad_day(first(1, "POST complete", lost));
  EXPECT_TRUE(store_->complete(upload));
  EXPECT_THAT(published(), ElementsAre("text"));
}

TEST_F(S3BadDays, AnUploadIsNotGoneWhileNobodyCanTell) {
  const std::string upload = staged("text");
  server_.set_bad_day(both(first(1, "POST complete", lost), first(100, "HEAD", unavailable)));
  const auto shown = store_->complete(upload);
  ASSERT_FALSE(shown);
  EXPECT_EQ(shown.error().code, ErrorCode::kUnavailable) << "staging it again would publish it twice";
  server_.set_bad_day(nullptr);
  EXPECT_TRUE(store_->complete(upload));
  EXPECT_THAT(published(), ElementsAre("text"));
}

TEST_F(S3BadDays, AnImmutableAssetIsNotOverwrittenBecauseNobodyCouldLook) {
  ASSERT_TRUE(store_->complete(staged("first", true)));
  const std::string upload = staged("other", true);
  // A server that knows no condition on completing, and cannot be looked at for a while.
  const auto blind = [looks = 0](const S3Request& request, const Serve& serve) mutable {
    if (request.what() == "HEAD" && looks++ < 4) return kSlowDown;
    return request.what() == "POST complete" && request.headers.contains("if-none-match")
               ? reply("501 Not Implemented", s3_error("NotImplemented"))
               : serve();
  };
  server_.set_bad_day(blind);
  const auto shown = store_->complete(upload);
  ASSERT_FALSE(shown);
  EXPECT_EQ(shown.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store_->complete(upload).error().code, ErrorCode::kConflict);
  EXPECT_THAT(published(), ElementsAre("first"));
}

TEST_F(S3BadDays, AWriteOfOurOwnIsNotTakenForAnothers) {
  server_.set_bad_day(both(first(1, "PUT", lost), first(100, "HEAD", unavailable)));
  const auto stored = put(*store_, "k", "text", {.if_absent = true});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, ErrorCode::kUnavailable) << "not a conflict: nobody can tell whose it is";
}

TEST_F(S3BadDays, PartsThatTheServerDoesNotKnowAreStagedAgain) {
  server_.set_bad_day(first(1, "COPY part", [](const Serve& serve) {
    (void)serve();
    return reply("200 OK", "<CopyPartResult><ETag>\"wrong\"</ETag></CopyPartResult>");
  }));
  const std::string upload = staged("text");
  EXPECT_EQ(store_->complete(upload).error().code, ErrorCode::kNotFound);
  const auto again = store_->restage(upload, "k", {});
  ASSERT_TRUE(again);
  EXPECT_TRUE(store_->complete(*again));
  EXPECT_THAT(published(), ElementsAre("text"));
}

TEST_F(S3BadDays, ACopyThatAnswers200WithAnErrorIsRepeated) {
  server_.set_bad_day(first(2, "COPY part", [](const Serve&) { return reply("200 OK", s3_error("InternalError")); }));
  EXPECT_TRUE(store_->complete(staged("text")));
  EXPECT_THAT(published(), ElementsAre("text"));
}

// ---- Reading ------------------------------------------------------------------------------------------------------

/// Cuts the body of an answer short, and the connection with it.
Reply cut(const Serve& serve) {
  Reply whole = serve();
  whole.bytes.resize(whole.bytes.size() - 3);
  whole.close = true;
  return whole;
}

TEST_F(S3BadDays, TwoVersionsAreNotReadAsOne) {
  ASSERT_TRUE(put(*store_, "k", "old old old"));
  const auto writer = store_at(server_.url());
  server_.set_bad_day(first(1, "GET", cut));
  std::string text;
  const auto read = store_->read("k", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    const bool is_written = !text.empty() || put(*writer, "k", "new new new").has_value();
    EXPECT_TRUE(is_written);
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  ASSERT_FALSE(read) << text;
  EXPECT_EQ(read.error().code, ErrorCode::kConflict);
  EXPECT_EQ(text, "old old ");
}

TEST_F(S3BadDays, AStaleAnswerToTheRestOfAReadIsNoticed) {
  ASSERT_TRUE(put(*store_, "k", "0123456789"));
  int gets = 0;
  server_.set_bad_day([&](const S3Request& request, const Serve& serve) {
    if (request.what() != "GET") return serve();
    if (++gets == 1) return cut(serve);
    return reply("206 Partial Content", "xyz", "ETag: \"another\"\r\nContent-Range: bytes 7-9/10\r\n");
  });
  std::string text;
  const auto read = store_->read("k", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kConflict);
  EXPECT_EQ(text, "0123456") << "nothing of the other version";
}

TEST_F(S3BadDays, AnAnswerThatAnnouncesTooLittleIsReadOn) {
  ASSERT_TRUE(put(*store_, "k", "0123456789"));
  server_.set_bad_day(first(1, "GET", [](const Serve&) {
    return reply("206 Partial Content", "0123", "ETag: \"e1\"\r\nContent-Range: bytes 0-9/10\r\n");
  }));
  EXPECT_EQ(get(*store_, "k").value_or("nothing"), "0123456789");
}

// ---- Credentials and clocks ---------------------------------------------------------------------------------------

TEST_F(S3BadDays, CredentialsThatExpireWithinAnUploadAreRenewedAndThePartsKept) {
  int handed_out = 0;
  LoopbackHttp endpoint([&](const Received&) {
    return reply("200 OK", R"({"AccessKeyId":"key)" + std::to_string(++handed_out) +
                               R"(","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"})");
  });
  int parts = 0;
  server_.set_bad_day([&](const S3Request& request, const Serve& serve) {
    parts += request.what() == "PUT part" ? 1 : 0;
    const bool is_old = request.headers.at("authorization").find("Credential=key1/") != std::string::npos;
    return parts >= 2 && is_old ? reply("400 Bad Request", s3_error("ExpiredToken")) : serve();
  });
  const auto store = store_at(server_.url(), [&](const std::string& name) -> std::optional<std::string> {
    if (name == "AWS_CONTAINER_CREDENTIALS_FULL_URI") return endpoint.url();
    return std::nullopt;
  });
  const std::string text = std::string(kPart, 'a') + std::string(kPart, 'b') + "c";
  ASSERT_TRUE(put(*store, "k", text));
  EXPECT_THAT(server_.versions("objects/k"), ElementsAre(text));
  EXPECT_GE(handed_out, 2);
  const auto asked = server_.asked();
  EXPECT_EQ(std::count(asked.begin(), asked.end(), "POST uploads"), 1) << "the upload was not begun anew";
}

TEST_F(S3BadDays, AHeadThatIsRefusedForTheClockIsAskedAgainByTheServersClock) {
  ASSERT_TRUE(put(*store_, "k", "text"));
  server_.set_bad_day(first(
      1, "HEAD", [](const Serve&) { return reply("403 Forbidden", "", "Date: Sun, 20 Jan 2030 00:00:00 GMT\r\n"); }));
  EXPECT_TRUE(store_->head("k"));
}

TEST_F(S3BadDays, AHeadThatIsRefusedForOldCredentialsIsAskedAgainWithNewOnes) {
  ASSERT_TRUE(put(*store_, "k", "text"));
  server_.set_bad_day(first(1, "HEAD", [](const Serve&) { return reply("400 Bad Request"); }));
  EXPECT_TRUE(store_->head("k"));
}

// ---- Networks -----------------------------------------------------------------------------------------------------

class S3OverABadNetwork : public S3BadDays {
 protected:
  ChaosProxy proxy_{server_.port()};
  std::unique_ptr<ObjectStore> far_ = store_at(proxy_.url());
  const std::string text_ = std::string(300'000, 'x') + "end";
};

TEST_F(S3OverABadNetwork, AResetInTheMiddleOfAWriteLeavesNothingHalf) {
  proxy_.set(ChaosProxy::Way::kToServer, {.pass = 100'000, .then = Chaos::Then::kReset});
  EXPECT_EQ(put(*far_, "k", text_).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(server_.versions("objects/k").empty());
  proxy_.heal();
  EXPECT_TRUE(put(*far_, "k", text_));
  EXPECT_THAT(server_.versions("objects/k"), ElementsAre(text_));
}

TEST_F(S3OverABadNetwork, AReadGoesOnAfterEachReset) {
  ASSERT_TRUE(put(*store_, "k", text_));
  proxy_.set(ChaosProxy::Way::kToClient, {.pass = 100'000, .then = Chaos::Then::kReset});
  EXPECT_EQ(get(*far_, "k").value_or("nothing"), text_);
  EXPECT_GT(proxy_.connections(), 3);
}

TEST_F(S3OverABadNetwork, ATrickleIsBrokenOffAndTriedAnew) {
  ASSERT_TRUE(put(*store_, "k", text_));
  proxy_.set(ChaosProxy::Way::kToClient, {.rate = 200});
  const auto slow = get(*store_at(proxy_.url(), keys(), 1), "k");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, ErrorCode::kUnavailable);
  proxy_.heal();
  EXPECT_EQ(get(*far_, "k").value_or("nothing"), text_);
}

TEST_F(S3OverABadNetwork, AServerThatFallsSilentIsNotWaitedForForEver) {
  ASSERT_TRUE(put(*store_, "k", text_));
  proxy_.set(ChaosProxy::Way::kToClient, {.pass = 0, .then = Chaos::Then::kSilence});
  const auto silent = store_at(proxy_.url(), keys(), 1)->head("k");
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::kUnavailable);
}

TEST_F(S3OverABadNetwork, AStoreThatIsAwayIsNotStormed) {
  proxy_.cut_off();
  for (int call = 0; call < 200; ++call) EXPECT_EQ(far_->head("k").error().code, ErrorCode::kUnavailable);
  // 50 repeats to begin with, and then one for ten requests.
  EXPECT_LE(proxy_.connections(), 200 + 50 + 30);
  proxy_.heal();
  EXPECT_TRUE(put(*far_, "k", "back"));
}

// ---- All of it at once --------------------------------------------------------------------------------------------

/// Each request goes wrong with a probability of a quarter, in one of the ways that leave the truth open.
FakeS3::BadDay any_of_it(unsigned seed) {
  return [random = std::mt19937(seed)](const S3Request& request, const Serve& serve) mutable -> Reply {
    switch (random() % 16) {
      case 0:
        return kSlowDown;
      case 1:
        return kNothing;
      case 2:
        return lost(serve);
      case 3:
        return request.what() == "POST complete" || request.what() == "COPY part"
                   ? reply("200 OK", "\n\n" + s3_error("InternalError"))
                   : reply("500 Oops");
      default:
        return serve();
    }
  };
}

/// What the worker and the publisher do with an answer that may pass.
template <typename Try>
auto until_it_passes(Try once) {
  auto result = once();
  for (int tries = 1; !result && result.error().code == ErrorCode::kUnavailable && tries < 50; ++tries) result = once();
  return result;
}

TEST(S3AnyDay, WhatIsPublishedShowsOnceAndIsRight) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    FakeS3 server(any_of_it(seed));
    const auto store = store_at(server.url());
    const bool immutable = seed % 2 == 0;
    ASSERT_TRUE(until_it_passes([&] { return put(*store, "k", "text"); }));
    const auto upload = until_it_passes([&] { return store->stage("k", 4, "asset", {.if_absent = immutable}); });
    ASSERT_TRUE(upload) << upload.error().message;
    const auto shown = until_it_passes([&] { return store->complete(*upload); });
    ASSERT_TRUE(shown) << shown.error().message;
    EXPECT_THAT(server.versions("assets/asset"), ElementsAre("text"));
    EXPECT_EQ(until_it_passes([&] { return get(*store, "k"); }).value_or("nothing"), "text");
  }
}

}  // namespace
}  // namespace chappe::s3
