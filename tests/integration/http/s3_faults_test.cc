// Answers that real servers give on their bad days, from a server that gives them on demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "storage/s3/bucket.h"
#include "storage/s3/ranged_reader.h"
#include "storage/s3/s3_object_store.h"
#include "tests/support/servers/loopback_http.h"

namespace chappe::s3 {
namespace {

using ::testing::HasSubstr;
using testing::LoopbackHttp;
using testing::Received;
using testing::reply;
using testing::Reply;
using ::testing::StartsWith;

std::string error_body(const std::string& code) { return "<Error><Code>" + code + "</Code><Message/></Error>"; }
const std::string kCompleted = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
const Location kAt{"b", "k"};

class S3FaultsTest : public ::testing::Test {
 protected:
  // Replies in order; a request too many is a 400.
  Reply next() {
    if (replies_.empty()) return reply("400 Bad Request", error_body("UnexpectedByTheTest"));
    Reply first = replies_.front();
    replies_.pop_front();
    return first;
  }

  S3Client client() {
    const RetryPolicy retry{
        .tries_max = 4, .backoff_min = std::chrono::milliseconds(1), .backoff_max = std::chrono::milliseconds(2)};
    const auto keys = std::make_shared<CredentialSource>([](const std::string& name) -> std::optional<std::string> {
      if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "x";
      return std::nullopt;
    });
    return S3Client({.endpoint = *parse_endpoint(server_.url()), .style = AddressStyle::kPath, .retry = retry}, keys);
  }

  std::deque<Reply> replies_;
  LoopbackHttp server_{[this](const Received&) { return next(); }};
};

TEST_F(S3FaultsTest, RepeatsWhatPasses) {
  replies_ = {reply("503 Slow Down", error_body("SlowDown"), "Retry-After: 0\r\n"), reply("500 Oops"),
              Reply{"HTTP/1.1 200 OK\r\nContent-Le", true}, reply("200 OK", "", "ETag: \"e\"\r\n")};
  S3Client s3 = client();
  const auto info = head_object(s3, kAt);
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(info->etag, "e");
}

TEST_F(S3FaultsTest, GivesUpAfterAsManyTriesAsThePolicySays) {
  for (int tries = 0; tries < 10; ++tries) replies_.push_back(reply("503 Slow Down"));
  S3Client s3 = client();
  EXPECT_EQ(head_object(s3, kAt).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(server_.received().size(), 4U);
}

TEST_F(S3FaultsTest, TakesA200WithAnErrorForAFailure) {
  replies_ = {reply("200 OK", "  \n" + error_body("InternalError")), reply("200 OK", "<ListPartsResult/>"),
              reply("200 OK", kCompleted), reply("200 OK", "", "ETag: \"e-1\"\r\n")};
  S3Client s3 = client();
  const auto info = complete_upload(s3, {.at = kAt, .id = "u", .part_etags = {"p"}, .size = 1, .mark = "m"});
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(info->etag, "e-1");
  EXPECT_EQ(server_.received().size(), 4U);
}

TEST_F(S3FaultsTest, FindsItsOwnWorkWhenTheAnswerToACompletionWasLost) {
  replies_ = {Reply{"", true}, reply("404 Not Found", error_body("NoSuchUpload")),
              reply("200 OK", "7777777", "x-amz-meta-chappe-write: m\r\nETag: \"e-1\"\r\n")};
  replies_.back().bytes.resize(replies_.back().bytes.size() - 7);  // To a HEAD.
  S3Client s3 = client();
  const auto info = complete_upload(s3, {.at = kAt, .id = "u", .part_etags = {"p"}, .size = 7, .mark = "m"});
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(info->etag, "e-1");
}

TEST_F(S3FaultsTest, DoesNotClaimTheWorkOfAnother) {
  replies_ = {reply("404 Not Found", error_body("NoSuchUpload")),
              reply("200 OK", "", "x-amz-meta-chappe-write: somebody\r\n")};
  S3Client s3 = client();
  const auto info = complete_upload(s3, {.at = kAt, .id = "u", .part_etags = {"p"}, .size = 0, .mark = "m"});
  EXPECT_EQ(info.error().code, ErrorCode::kNotFound);
}

TEST_F(S3FaultsTest, RepeatsAConditionalWriteThatMetAnother) {
  replies_ = {reply("409 Conflict", error_body("ConditionalRequestConflict")), reply("200 OK", "", "ETag: \"e\"\r\n")};
  S3Client s3 = client();
  const auto info = put_object(s3, kAt, {{}, std::string(kEmptySha256)}, {.if_absent = true});
  ASSERT_TRUE(info.has_value()) << info.error().message;
}

TEST_F(S3FaultsTest, LearnsTheServersClockAndSignsOnceMore) {
  replies_ = {reply("403 Forbidden", error_body("RequestTimeTooSkewed"), "Date: Sun, 20 Jan 2030 00:00:00 GMT\r\n"),
              reply("200 OK", "x")};
  S3Client s3 = client();
  const auto answer = s3.call({.method = "GET", .bucket = "b", .key = "k"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->is_ok());
  EXPECT_THAT(server_.received().at(1).head, HasSubstr("x-amz-date: 20300120T0000"));
}

TEST_F(S3FaultsTest, DoesNotLearnTheClockForEver) {
  for (int tries = 0; tries < 10; ++tries) {
    replies_.push_back(
        reply("403 Forbidden", error_body("RequestTimeTooSkewed"), "Date: Sun, 20 Jan 2030 00:00:00 GMT\r\n"));
  }
  S3Client s3 = client();
  const auto answer = s3.call({.method = "GET", .bucket = "b", .key = "k"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(server_.received().size(), 2U);
  EXPECT_EQ(error_of(*answer, "x").code, ErrorCode::kPermissionDenied);
}

TEST_F(S3FaultsTest, LearnsTheBucketsRegion) {
  replies_ = {reply("301 Moved", error_body("PermanentRedirect"), "x-amz-bucket-region: eu-west-3\r\n"),
              reply("200 OK", "x")};
  S3Client s3 = client();
  ASSERT_TRUE(s3.call({.method = "GET", .bucket = "b", .key = "k"})->is_ok());
  EXPECT_THAT(server_.received().at(1).head, HasSubstr("/eu-west-3/s3/aws4_request"));
}

TEST_F(S3FaultsTest, SignsWithNewKeysWhenTheOldOnesExpired) {
  replies_ = {reply("400 Bad Request", error_body("ExpiredToken")), reply("200 OK", "x")};
  S3Client s3 = client();
  EXPECT_TRUE(s3.call({.method = "GET", .bucket = "b", .key = "k"})->is_ok());
}

TEST_F(S3FaultsTest, GoesOnWhereAReadBrokeOff) {
  replies_ = {
      Reply{"HTTP/1.1 206 Partial\r\nContent-Length: 10\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/10\r\n\r\n0123",
            true},
      reply("206 Partial", "456789", "ETag: \"e\"\r\nContent-Range: bytes 4-9/10\r\n")};
  S3Client s3 = client();
  std::string text;
  const auto info = read_object(s3, kAt, 0, 10, [&](std::span<const std::byte> bytes) {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(text, "0123456789");
  EXPECT_THAT(server_.received().at(1).head, HasSubstr("range: bytes=4-9"));
}

TEST_F(S3FaultsTest, DeliversNothingOfAServerThatDoesNotKnowRanges) {
  replies_ = {reply("200 OK", "0123456789")};
  S3Client s3 = client();
  bool called = false;
  const auto info = read_object(s3, kAt, 4, 2, [&](std::span<const std::byte>) { return called = true; });
  EXPECT_EQ(info.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(called);
}

TEST_F(S3FaultsTest, SaysWhatTheServerCannotDo) {
  replies_ = {reply("501 Not Implemented", error_body("NotImplemented"))};
  S3Client s3 = client();
  EXPECT_EQ(put_object(s3, kAt, {{}, std::string(kEmptySha256)}, {.if_absent = true}).error().code,
            ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace chappe::s3
