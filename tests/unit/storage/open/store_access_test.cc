#include "storage/open/store_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace chappe {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Pair;

using Values = std::map<std::string, std::string>;

Values variables_of(Values environment) {
  environment.insert({{"AWS_ACCESS_KEY_ID", "ours"}, {"AWS_SECRET_ACCESS_KEY", "hush"}, {"AWS_REGION", "north"}});
  const auto access =
      StoreAccess::open("s3://bucket", [environment](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional(found->second);
      });
  EXPECT_TRUE(access.has_value());
  EXPECT_TRUE((*access)->refresh().has_value());
  Values found;
  for (const VariableGroup& group : (*access)->variables()->groups)
    found.insert(group.variables.begin(), group.variables.end());
  return found;
}

TEST(StoreAccess, HandsOnCredentialsAndRegion) {
  EXPECT_THAT(variables_of({}),
              testing::UnorderedElementsAre(Pair("AWS_ACCESS_KEY_ID", "ours"), Pair("AWS_SECRET_ACCESS_KEY", "hush"),
                                            Pair("AWS_REGION", "north"), Pair("AWS_DEFAULT_REGION", "north")));
  EXPECT_THAT(variables_of({{"AWS_SESSION_TOKEN", "t"}}), Contains(Pair("AWS_SESSION_TOKEN", "t")));
}

TEST(StoreAccess, SaysMoreOfServersThatAreNotAwss) {
  EXPECT_THAT(variables_of({{"AWS_ENDPOINT_URL", "http://s3.office:7480/base"}}),
              IsSupersetOf({Pair("AWS_ENDPOINT_URL", "http://s3.office:7480/base"),
                            Pair("AWS_ENDPOINT_URL_S3", "http://s3.office:7480/base"),
                            Pair("AWS_S3_ENDPOINT", "s3.office:7480/base"), Pair("DUCKDB_S3_USE_SSL", "false"),
                            Pair("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
                            Pair("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")}));
}

TEST(StoreAccess, KnowsNothingOfOtherStores) {
  const auto access = StoreAccess::open("file:///srv/objects", [](const std::string&) { return std::nullopt; });
  ASSERT_TRUE(access.has_value());
  EXPECT_EQ(*access, nullptr);
}

}  // namespace
}  // namespace chappe
