// Which names and links a task may use, by their text alone.
#include <gtest/gtest.h>

#include "worker/artifacts/beneath.h"
#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

TEST(PlainPath, IsRelativeAndGoesOnlyDown) {
  for (const char* path : {"a", "a/b", "a b/c+d", ".hidden", "..a", "a..", "...", "é"}) {
    EXPECT_TRUE(is_plain_path(path)) << path;
  }
  for (const char* path : {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"}) {
    EXPECT_FALSE(is_plain_path(path)) << path;
  }
  EXPECT_FALSE(is_plain_path(std::string_view("a\0b", 3)));
}

TEST(Link, MayLeadAnywhereBeneathTheRoot) {
  EXPECT_TRUE(stays_beneath("a", "b"));
  EXPECT_TRUE(stays_beneath("a/b", "../c"));
  EXPECT_TRUE(stays_beneath("a/b/c", "../../d/./e"));
  EXPECT_TRUE(stays_beneath("a/b", ".."));
}

TEST(Link, MayNotLeadOut) {
  EXPECT_FALSE(stays_beneath("a", "/b"));
  EXPECT_FALSE(stays_beneath("a", ".."));
  EXPECT_FALSE(stays_beneath("a", "../b"));
  EXPECT_FALSE(stays_beneath("a/b", "c/../../../d"));
  EXPECT_FALSE(stays_beneath("a", ""));
}

TEST(OutputKey, KeepsAnOutputCalledLogApartFromTheLog) {
  EXPECT_EQ(output_key("p/", "model"), "p/model");
  EXPECT_EQ(output_key("p/", "log"), "p/log.output");
}

}  // namespace
}  // namespace chappe::artifacts
