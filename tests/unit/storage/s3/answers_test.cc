#include "storage/s3/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/s3/sts.h"

namespace chappe::s3 {
namespace {

TEST(Answers, ReadsAnErrorWithAnEmptyMessage) {
  const auto error = read_error("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message/></Error>");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "AccessDenied");
  EXPECT_EQ(error->message, "");
}

TEST(Answers, FindsAnErrorBehindKeepAliveBlanks) {
  const auto error = read_error(" \n \n<?xml version=\"1.0\"?>\n  <Error><Code>InternalError</Code></Error>");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "InternalError");
}

TEST(Answers, SeesNoErrorInOtherText) {
  for (const std::string_view text :
       {"", "   ", "<html><body>busy</body></html>", "<Error", "not xml", "<CompleteMultipartUploadResult/>"}) {
    EXPECT_FALSE(read_error(text).has_value()) << text;
  }
}

TEST(Answers, TakesACompletionOnlyByItsRoot) {
  const auto etag = read_etag(
      "\n<r:CompleteMultipartUploadResult xmlns:r='x'><r:ETag>\"e-1\"</r:ETag>"
      "</r:CompleteMultipartUploadResult>",
      "CompleteMultipartUploadResult");
  ASSERT_TRUE(etag.has_value());
  EXPECT_EQ(*etag, "e-1");
  EXPECT_EQ(read_etag("<Error/>", "CompleteMultipartUploadResult").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(read_etag("", "CompleteMultipartUploadResult").error().code, ErrorCode::kUnavailable);
}

TEST(Answers, DecodesKeysOfAList) {
  const auto page = read_list_page(
      "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>t/1</NextContinuationToken>"
      "<Contents><Key>a+b%2Bc%20d/%C3%A9</Key><Size>4294967296</Size><ETag>&quot;e&quot;</ETag></Contents>"
      "<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes></ListBucketResult>");
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->objects.size(), 1U);
  EXPECT_EQ(page->objects[0].key, "a b+c d/é");
  EXPECT_EQ(page->objects[0].size, 4'294'967'296U);
  EXPECT_EQ(page->objects[0].etag, "e");
  EXPECT_EQ(page->next, "t/1");
}

TEST(Answers, LeavesKeysAloneThatAreNotEncoded) {
  const auto page = read_list_page("<ListBucketResult><Contents><Key>100%+</Key></Contents></ListBucketResult>");
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->objects.at(0).key, "100%+");
  EXPECT_EQ(page->next, "");
}

TEST(Answers, RefusesAListThatIsNone) {
  EXPECT_EQ(read_list_page("<html/>").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(read_upload_id("<InitiateMultipartUploadResult/>").error().code, ErrorCode::kUnavailable);
}

TEST(Answers, NumbersThePartsFromOne) {
  EXPECT_THAT(complete_body({"x", "y"}),
              ::testing::HasSubstr("<Part><PartNumber>2</PartNumber><ETag>&quot;y&quot;</ETag></Part>"));
}

TEST(Answers, ReadsTheTokenServicesCredentials) {
  const auto keys = read_sts(200,
                             "<R xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><A><Credentials>"
                             "<AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t"
                             "</SessionToken><Expiration>2026-11-20T00:00:00Z</Expiration></Credentials></A></R>");
  ASSERT_TRUE(keys.has_value());
  EXPECT_EQ(keys->access_key, "a");
  EXPECT_EQ(keys->session_token, "t");
  EXPECT_EQ(keys->expires_at_seconds, 1'795'132'800);
}

TEST(Answers, ReportsTheTokenServicesRefusal) {
  const auto keys = read_sts(
      403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>");
  EXPECT_EQ(keys.error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(keys.error().message, ::testing::HasSubstr("AccessDenied not you"));
  EXPECT_EQ(read_sts(503, "").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(read_sts(200, "<R/>").error().code, ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace chappe::s3
