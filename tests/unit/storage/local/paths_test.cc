#include "storage/local/paths.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "storage/local/upload.h"

namespace chappe::local {
namespace {

// The key that a path stands for, put together as the walk through the folders does.
std::string key_of_path(std::string_view path) {
  std::string key;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view name = path.substr(start, end - start);
    key += text_of_name(name);
    if (end < path.size() && !goes_on(name)) key += '/';
    start = end + 1;
  }
  return key;
}

TEST(LocalPaths, StayReadable) {
  EXPECT_EQ(path_of_key("runs/a b+c/day=1/é"), "runs/a b+c/day=1/é");
  EXPECT_EQ(path_of_key("100%/x"), "100%25/x");
}

TEST(LocalPaths, LeadBackToTheKey) {
  for (const std::string& key :
       {std::string("a/b"), std::string("%"), std::string("%25"), std::string("a%/b%2"), std::string(900, 'k'),
        std::string(900, '%'), std::string(249, 'k') + "%%/x", std::string(248, 'k') + "%z/" + std::string(600, 'y')}) {
    EXPECT_EQ(key_of_path(path_of_key(key)), key);
  }
}

TEST(LocalPaths, HaveNoNameOfDotsAlone) {
  for (const std::string& key : {std::string(250, 'k') + ".", std::string(250, 'k') + "..", std::string(252, '.')}) {
    const std::string path = path_of_key(key);
    EXPECT_FALSE(path.ends_with("/.") || path.ends_with("/..")) << path;
    EXPECT_EQ(key_of_path(path), key);
  }
}

TEST(LocalPaths, HaveNoNameThatIsTooLong) {
  for (const std::string& key : {std::string(900, 'k'), std::string(900, '%'), std::string(251, 'k')}) {
    const std::string path = path_of_key(key);
    for (std::size_t start = 0; start < path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      EXPECT_LE(end - start, 255U);
      start = end + 1;
    }
  }
}

TEST(LocalUpload, ReadsBackWhatItWrote) {
  const Upload upload{"00ff", 12, -3, 1'000, true, "models/a b"};
  const auto read = parse_upload(to_text(upload));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, upload);
}

}  // namespace
}  // namespace chappe::local
