// Against AWS's published figures: the SigV4 test suite (aws-sig-v4-test-suite) and the worked examples of the S3 API
// reference, "Signature Calculations for the Authorization Header" and "Using Query Parameters".
#include "storage/s3/signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::s3 {
namespace {

using ::testing::EndsWith;

// ---- The suite: service "service", 2015-08-30T12:36:00Z ----

const Credentials kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", 0};
const Scope kSuiteScope{"us-east-1", "service", 1'440'938'160};

Signable suite_request(std::string method, Pairs query = {}, Pairs headers = {}) {
  headers.emplace_back("x-amz-date", "20150830T123600Z");
  return {std::move(method), "example.amazonaws.com", "/",
          std::move(query),  std::move(headers),      std::string(kEmptySha256)};
}

TEST(Signer, SignsTheSuitesVanillaRequests) {
  EXPECT_EQ(authorization(suite_request("GET"), kSuiteKeys, kSuiteScope),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_THAT(authorization(suite_request("POST"), kSuiteKeys, kSuiteScope),
              EndsWith("Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
}

TEST(Signer, SortsTheQuery) {
  EXPECT_THAT(
      authorization(suite_request("GET", {{"Param2", "value2"}, {"Param1", "value1"}}), kSuiteKeys, kSuiteScope),
      EndsWith("Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
}

TEST(Signer, JoinsRepeatedHeadersAndTrimsBlanks) {
  const Pairs repeated{{"my-header1", "value2"}, {"my-header1", "value2"}, {"my-header1", "value1"}};
  EXPECT_THAT(authorization(suite_request("GET", {}, repeated), kSuiteKeys, kSuiteScope),
              EndsWith("SignedHeaders=host;my-header1;x-amz-date, "
                       "Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"));
  const Pairs blanks{{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}};
  EXPECT_THAT(authorization(suite_request("GET", {}, blanks), kSuiteKeys, kSuiteScope),
              EndsWith("Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
}

// ---- S3's examples: 2013-05-24T00:00:00Z ----

const Credentials kExampleKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", 0};
const Scope kExampleScope{"us-east-1", "s3", 1'369'353'600};

Signable example_request(std::string path, Pairs query, Pairs headers) {
  headers.emplace_back("x-amz-date", "20130524T000000Z");
  headers.emplace_back("x-amz-content-sha256", kEmptySha256);
  return {"GET",
          "examplebucket.s3.amazonaws.com",
          std::move(path),
          std::move(query),
          std::move(headers),
          std::string(kEmptySha256)};
}

TEST(Signer, SignsS3sRangedRead) {
  EXPECT_THAT(authorization(example_request("/test.txt", {}, {{"range", "bytes=0-9"}}), kExampleKeys, kExampleScope),
              EndsWith("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                       "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

TEST(Signer, SignsS3sWrite) {
  const std::string hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  const Signable request{"PUT",
                         "examplebucket.s3.amazonaws.com",
                         "/test%24file.text",
                         {},
                         {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                          {"x-amz-content-sha256", hash},
                          {"x-amz-date", "20130524T000000Z"},
                          {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                         hash};
  EXPECT_THAT(authorization(request, kExampleKeys, kExampleScope),
              EndsWith("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(Signer, SignsS3sQueriesWithAndWithoutValues) {
  EXPECT_THAT(authorization(example_request("/", {{"lifecycle", ""}}, {}), kExampleKeys, kExampleScope),
              EndsWith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(
      authorization(example_request("/", {{"prefix", "J"}, {"max-keys", "2"}}, {}), kExampleKeys, kExampleScope),
      EndsWith("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(Signer, PresignsS3sExample) {
  const Signable request{"GET", "examplebucket.s3.amazonaws.com", "/test.txt", {}, {}, std::string(kUnsignedPayload)};
  EXPECT_EQ(presigned_query(request, kExampleKeys, kExampleScope, 86'400),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(Signer, EncodesQueriesByTheRfc) {
  EXPECT_EQ(canonical_query({{"prefix", "a/b c+d"}, {"é", "~"}, {"uploads", ""}}),
            "%C3%A9=~&prefix=a%2Fb%20c%2Bd&uploads=");
}

}  // namespace
}  // namespace chappe::s3
