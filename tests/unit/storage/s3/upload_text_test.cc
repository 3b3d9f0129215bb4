#include "storage/s3/upload_text.h"

#include <gtest/gtest.h>

#include "storage/s3/profile_files.h"
#include "storage/s3/s3_object_store.h"

namespace chappe::s3 {
namespace {

TEST(UploadText, ReadsBackWhatItWrote) {
  const OpenUpload upload{{"bucket", "a b/%é, c"}, "2~id/+ =", {"e1", "e2-3"}, 5'000'000'000, "00ff", true};
  const auto read = parse_upload(to_text(upload));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->at.bucket, upload.at.bucket);
  EXPECT_EQ(read->at.key, upload.at.key);
  EXPECT_EQ(read->id, upload.id);
  EXPECT_EQ(read->part_etags, upload.part_etags);
  EXPECT_EQ(read->size, upload.size);
  EXPECT_EQ(read->mark, upload.mark);
  EXPECT_TRUE(read->if_absent);
}

TEST(UploadText, RefusesTextOfOthers) {
  for (const std::string_view text :
       {"", "s3-1", "s3-1 b k id 1 m 0 ", "s3-1 b k id x m 0 e", "s3-2 b k id 1 m 0 e", "s3-1 b %zz id 1 m 0 e",
        "s3-1  k id 1 m 0 e", "s3-1 b k id 1 m 0 e,,e", "local1 b k id 1 m 0 e"}) {
    EXPECT_FALSE(parse_upload(text).has_value()) << text;
  }
}

TEST(ProfileFiles, FindTheSettingOfTheProfile) {
  const std::string text =
      "# comment\n[default]\naws_access_key_id = A\r\n; aws_secret_access_key = no\n"
      "s3 =\n  region = nested\n\n[profile dev]\nregion=eu-west-3\naws_access_key_id=B=C\n";
  EXPECT_EQ(setting_of(text, "default", "aws_access_key_id"), "A");
  EXPECT_EQ(setting_of(text, "default", "aws_secret_access_key"), std::nullopt);
  EXPECT_EQ(setting_of(text, "default", "region"), std::nullopt);
  EXPECT_EQ(setting_of(text, "dev", "region"), "eu-west-3");
  EXPECT_EQ(setting_of(text, "dev", "aws_access_key_id"), "B=C");
  EXPECT_EQ(setting_of(text, "other", "region"), std::nullopt);
}

Environment environment_of(Pairs variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    for (const auto& [variable, value] : variables) {
      if (variable == name) return value;
    }
    return std::nullopt;
  };
}

TEST(S3Uri, ReadsBucketAndPrefix) {
  EXPECT_EQ(parse_s3_uri("s3://bucket")->prefix, "");
  EXPECT_EQ(parse_s3_uri("s3://bucket/")->prefix, "");
  EXPECT_EQ(parse_s3_uri("s3://bucket/a/b/")->prefix, "a/b");
  EXPECT_EQ(parse_s3_uri("s3://bucket/a")->bucket, "bucket");
  for (const std::string uri : {"s3://", "s3:///a", "s3://b//a", "s3://b/../a", "bucket", "s3://b@c"}) {
    EXPECT_FALSE(parse_s3_uri(uri).has_value()) << uri;
  }
}

TEST(S3Config, TakesTheMoreParticularVariable) {
  const auto config = s3_config_of(environment_of({{"AWS_REGION", "eu-west-3"},
                                                   {"AWS_DEFAULT_REGION", "us-west-1"},
                                                   {"AWS_ENDPOINT_URL", "https://all.example"},
                                                   {"AWS_ENDPOINT_URL_S3", "https://s3.example"},
                                                   {"AWS_CA_BUNDLE", "/ca.pem"}}));
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->region, "eu-west-3");
  EXPECT_EQ(config->endpoint->host, "s3.example");
  EXPECT_EQ(config->style, AddressStyle::kPath);
  EXPECT_EQ(config->ca_file, "/ca.pem");
}

TEST(S3Config, AddressesAwsByHostUnlessToldOtherwise) {
  EXPECT_EQ(s3_config_of(environment_of({}))->style, AddressStyle::kVirtualHost);
  EXPECT_EQ(s3_config_of(environment_of({{"CHAPPE_S3_ADDRESSING", "path"}}))->style, AddressStyle::kPath);
  EXPECT_FALSE(s3_config_of(environment_of({{"CHAPPE_S3_ADDRESSING", "odd"}})).has_value());
}

}  // namespace
}  // namespace chappe::s3
