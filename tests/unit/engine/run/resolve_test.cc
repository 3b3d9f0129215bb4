#include "engine/run/resolve.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

std::vector<ResolvedInput> inputs_of(std::size_t objects, std::size_t key_bytes) {
  ResolvedInput input{.name = "all", .path = "in"};
  input.objects.assign(objects, {.name = "", .path = "", .key = std::string(key_bytes, 'k')});
  return {input};
}

TEST(Resolve, TakesAsManyInputsAsAWorkerCanBeToldOf) {
  constexpr std::size_t kObjects = 28 << 10;  // A KiB each is the bound.
  EXPECT_TRUE(check_fits(inputs_of(kObjects, 1024 - 64)));
  const auto one_more = check_fits(inputs_of(kObjects, 1025 - 64));
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(one_more.error().message.find("28672 input objects"), std::string::npos) << one_more.error().message;
}

}  // namespace
}  // namespace chappe
