// What a directory has to look like, and what may not lead out of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "storage/open/object_stores.h"
#include "tests/integration/object_store/backends.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;

class LocalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "chappe-local-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    root_ = path;
    auto store = open_object_store("file://" + path + "/store");
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  void TearDown() override { fs::remove_all(root_); }

  Result<StoredObject> put(const std::string& key, std::string_view text) {
    auto writer = store_->create(key, {}, text.size());
    if (!writer) return fail(writer.error());
    if (auto done = (*writer)->write(std::as_bytes(std::span(text))); !done) return fail(done.error());
    return (*writer)->finish();
  }

  std::string text_of(const fs::path& path) const {
    std::ifstream file(root_ / "store" / path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::size_t files_in_staging() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(root_ / "store/staging"), {}));
  }

  fs::path root_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(LocalTest, ShowsObjectsAndAssetsAsFiles) {
  ASSERT_TRUE(put("runs/d/r/model", "weights").has_value());
  ASSERT_TRUE(store_->complete(*store_->stage("runs/d/r/model", 7, "models/ape.bin", {})).has_value());
  EXPECT_EQ(text_of("objects/runs/d/r/model"), "weights");
  EXPECT_EQ(text_of("assets/models/ape.bin"), "weights");
  EXPECT_EQ(store_->locate("models/ape.bin"), (root_ / "store/assets/models/ape.bin").string());
}

TEST_F(LocalTest, SharesTheBytesOfAnAssetWithItsObjectAndProtectsThem) {
  ASSERT_TRUE(put("k", "weights").has_value());
  ASSERT_TRUE(store_->complete(*store_->stage("k", 7, "model", {})).has_value());
  struct stat object {};
  struct stat asset {};
  ASSERT_EQ(::stat((root_ / "store/objects/k").c_str(), &object), 0);
  ASSERT_EQ(::stat((root_ / "store/assets/model").c_str(), &asset), 0);
  EXPECT_EQ(object.st_ino, asset.st_ino);
  EXPECT_EQ(object.st_mode & 0777U, 0444U);
}

TEST_F(LocalTest, LeavesNothingInStaging) {
  ASSERT_TRUE(put("k", "weights").has_value());
  ASSERT_TRUE(store_->create("given/up", {}, 0).has_value());
  const std::string first = *store_->stage("k", 7, "model", {});
  const std::string second = *store_->stage("k", 7, "model", {});  // The same file once more.
  EXPECT_EQ(files_in_staging(), 2U);
  ASSERT_TRUE(store_->complete(first).has_value());
  ASSERT_TRUE(store_->complete(second).has_value());
  ASSERT_TRUE(store_->abort(*store_->stage("k", 7, "model", {})).has_value());
  EXPECT_EQ(files_in_staging(), 0U);
}

TEST_F(LocalTest, PublishesWhereOthersPublishAtTheSameTime) {
  ASSERT_TRUE(put("k", "weights").has_value());
  const auto publish_often = [&](int& failed) {
    for (int i = 0; i < 300; ++i) {
      const auto upload = store_->stage("k", 7, "model", {});
      if (!upload || !store_->complete(*upload)) ++failed;
    }
  };
  int failed_here = 0;
  int failed_there = 0;
  std::thread other([&] { publish_often(failed_there); });
  publish_often(failed_here);
  other.join();
  EXPECT_EQ(failed_here + failed_there, 0);
}

TEST_F(LocalTest, RemovesFoldersThatAreEmpty) {
  ASSERT_TRUE(put("a/b/c/one", "1").has_value());
  ASSERT_TRUE(put("a/two", "2").has_value());
  ASSERT_TRUE(store_->remove("a/b/c/one").has_value());
  EXPECT_FALSE(fs::exists(root_ / "store/objects/a/b"));
  EXPECT_TRUE(fs::exists(root_ / "store/objects/a/two"));
}

TEST_F(LocalTest, FollowsNoLinkOutOfTheStore) {
  fs::create_directory(root_ / "outside");
  std::ofstream(root_ / "outside/secret") << "secret";
  fs::create_directory_symlink(root_ / "outside", root_ / "store/objects/way");
  fs::create_symlink(root_ / "outside/secret", root_ / "store/objects/file");
  EXPECT_FALSE(store_->head("way/secret").has_value());
  EXPECT_FALSE(store_->head("file").has_value());
  EXPECT_FALSE(put("way/in", "x").has_value());
  EXPECT_FALSE(fs::exists(root_ / "outside/in"));
}

TEST_F(LocalTest, SaysThatAnObjectStandsInTheWay) {
  ASSERT_TRUE(put("a", "x").has_value());
  const auto below = put("a/b", "y");
  EXPECT_EQ(below.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(below.error().message, ::testing::HasSubstr("another object is stored where this one needs a folder"));
  ASSERT_TRUE(put("c/d", "x").has_value());
  EXPECT_EQ(put("c", "y").error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(store_->head("c").error().code, ErrorCode::kNotFound);
}

TEST_F(LocalTest, PublishesToNoOtherStore) {
  ASSERT_TRUE(put("k", "x").has_value());
  EXPECT_EQ(store_->stage("k", 1, "s3://bucket/k", {}).error().code, ErrorCode::kUnsupported);
}

TEST_F(LocalTest, IsFoundAgainByAnotherProcessesStore) {
  ASSERT_TRUE(put("k", "weights").has_value());
  const std::string upload = *store_->stage("k", 7, "model", {});
  store_ = std::move(*open_object_store((root_ / "store").string()));
  ASSERT_TRUE(store_->complete(upload).has_value());
  EXPECT_EQ(text_of("assets/model"), "weights");
}

TEST(OpenObjectStore, RefusesWhatIsNoStore) {
  for (const std::string uri :
       {"", "relative/path", "file://host/x", "s3://", "gs://bucket", "file:///proc/nothing/x"}) {
    EXPECT_FALSE(open_object_store(uri).has_value()) << uri;
  }
}

}  // namespace
}  // namespace chappe
