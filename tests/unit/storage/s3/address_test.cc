#include "storage/s3/address.h"

#include <gtest/gtest.h>

namespace chappe::s3 {
namespace {

TEST(Address, ReadsEndpoints) {
  EXPECT_EQ(*parse_endpoint("https://s3.example.org"), (Endpoint{"https", "s3.example.org", ""}));
  EXPECT_EQ(*parse_endpoint("http://127.0.0.1:7480/"), (Endpoint{"http", "127.0.0.1:7480", ""}));
  EXPECT_EQ(*parse_endpoint("https://gate/s3/"), (Endpoint{"https", "gate", "/s3"}));
}

TEST(Address, LeavesOutThePortThatTheHostHeaderLeavesOut) {
  EXPECT_EQ(parse_endpoint("https://s3.example.org:443")->host, "s3.example.org");
  EXPECT_EQ(parse_endpoint("http://s3.example.org:80")->host, "s3.example.org");
  EXPECT_EQ(parse_endpoint("http://s3.example.org:443")->host, "s3.example.org:443");
}

TEST(Address, RefusesWhatIsNoEndpoint) {
  for (const std::string_view url : {"", "s3.example.org", "ftp://x", "https://", "https://user@x", "https://x/?a"}) {
    const auto endpoint = parse_endpoint(url);
    ASSERT_FALSE(endpoint.has_value()) << url;
    EXPECT_EQ(endpoint.error().code, ErrorCode::kInvalidInput);
  }
}

TEST(Address, PutsTheBucketInPathOrHost) {
  const Endpoint endpoint = aws_endpoint("eu-west-3");
  const Address by_path = address_of(endpoint, AddressStyle::kPath, "bucket", "a b/ü+%");
  EXPECT_EQ(url_of(endpoint, by_path, ""), "https://s3.eu-west-3.amazonaws.com/bucket/a%20b/%C3%BC%2B%25");
  const Address by_host = address_of(endpoint, AddressStyle::kVirtualHost, "bucket", "k");
  EXPECT_EQ(url_of(endpoint, by_host, "a=1"), "https://bucket.s3.eu-west-3.amazonaws.com/k?a=1");
}

TEST(Address, AddressesTheBucketItself) {
  const Endpoint endpoint{"http", "h:1", ""};
  EXPECT_EQ(address_of(endpoint, AddressStyle::kPath, "b", "").path, "/b");
  EXPECT_EQ(address_of(endpoint, AddressStyle::kVirtualHost, "b", "").path, "/");
}

TEST(Address, KeepsBucketsWithDotsOutOfTheHostName) {
  EXPECT_EQ(address_of(aws_endpoint("us-east-1"), AddressStyle::kVirtualHost, "my.bucket", "k").path, "/my.bucket/k");
}

TEST(Address, KnowsChinasDomain) { EXPECT_EQ(aws_endpoint("cn-north-1").host, "s3.cn-north-1.amazonaws.com.cn"); }

}  // namespace
}  // namespace chappe::s3
