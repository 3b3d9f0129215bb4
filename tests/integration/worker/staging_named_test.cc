// Inputs that name an object which Chappe need not have made: what is read, and what is told of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <utility>

#include "storage/digest/digest.h"
#include "storage/local/local_object_store.h"
#include "worker/artifacts/staging.h"

namespace chappe::artifacts {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NamedObjectsDesk {
 public:
  NamedObjectsDesk() {
    std::string pattern = (fs::temp_directory_path() / "chappe-named-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    store_ = *open_local_object_store((root_ / "store").string());
    fs::create_directories(root_ / "work");
  }
  ~NamedObjectsDesk() { fs::remove_all(root_); }

  void put(const std::string& key, std::string_view text) {
    auto writer = store_->create(key, {}, 0);
    ASSERT_TRUE(writer.has_value());
    ASSERT_TRUE((*writer)->write(std::as_bytes(std::span(text))).has_value());
    ASSERT_TRUE((*writer)->finish().has_value());
  }
  Staged<StagedIn> read(const std::string& name, const std::function<void(ResolvedInput&)>& change = {}) {
    ResolvedInput input{.name = "raw", .path = "in/raw"};
    InputObject object{.name = "raw", .path = "in/raw"};
    object.s3 = name;
    input.objects.push_back(std::move(object));
    if (change) change(input);
    StagingPlace place{*store_, (root_ / "work").string(), stop_, {.total = std::chrono::milliseconds(0)}};
    place.find = [&](const std::string& wanted) -> Result<ObjectPlace> {
      ++finds;
      if (wanted.starts_with("s3://")) return fail(ErrorCode::kUnsupported, "no S3 here");
      return ObjectPlace{store_.get(), wanted};
    };
    return stage_in(place, {input});
  }
  std::string placed() const {
    std::ifstream in(root_ / "work/in/raw");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  fs::path work() const { return root_ / "work"; }
  fs::path file_of(const std::string& key) const { return root_ / "store/objects" / key; }

  int finds = 0;

 private:
  fs::path root_;
  std::unique_ptr<ObjectStore> store_;
  std::atomic<bool> stop_ = false;
};

TEST(StagingByName, PlacesWhatIsThereAndTellsWhatItWas) {
  NamedObjectsDesk desk;
  desk.put("drop/a.csv", "one\n");
  const auto staged = desk.read("drop/a.csv");
  ASSERT_TRUE(staged.has_value()) << staged.error().message;
  EXPECT_EQ(desk.placed(), "one\n");
  EXPECT_EQ(staged->bytes, 4U);
  ASSERT_EQ(staged->read.size(), 1U);
  const InputObject& read = staged->read[0];
  EXPECT_EQ(read.name, "raw");
  EXPECT_EQ(read.size, 4U);
  EXPECT_EQ(read.sha256, to_hex(sha256("one\n")));
  EXPECT_EQ(read.s3, desk.file_of("drop/a.csv").string());
}

TEST(StagingByName, FailsWhereThereIsNothingUnlessThatMayBe) {
  NamedObjectsDesk desk;
  const auto staged = desk.read("drop/none");
  ASSERT_FALSE(staged.has_value());
  EXPECT_EQ(staged.error().reason, Reason::kArtifactIo);
  EXPECT_THAT(staged.error().message, HasSubstr("fetch input 'raw': read 'drop/none'"));
  fs::remove_all(desk.work() / "in");
  const auto absent = desk.read("drop/none", [](ResolvedInput& input) { input.objects[0].may_be_absent = true; });
  ASSERT_TRUE(absent.has_value()) << absent.error().message;
  EXPECT_TRUE(absent->read.empty());
  EXPECT_FALSE(fs::exists(desk.work() / "in/raw"));
}

TEST(StagingByName, GivesTheFileItsMode) {
  NamedObjectsDesk desk;
  desk.put("tool", "x");
  ASSERT_TRUE(desk.read("tool", [](ResolvedInput& input) { input.mode = 0700; }).has_value());
  EXPECT_EQ(fs::status(desk.work() / "in/raw").permissions(), fs::perms(0700));
}

TEST(StagingByName, TakesNothingForAnArchiveThatIsNone) {
  NamedObjectsDesk desk;
  desk.put("a.tar.zst", "no archive");
  const auto staged = desk.read("a.tar.zst", [](ResolvedInput& input) {
    input.unpack = Unpack::kAlways;
    input.objects[0].packed = true;
  });
  EXPECT_FALSE(staged.has_value());
}

TEST(StagingByName, SaysWhatCannotBeFound) {
  NamedObjectsDesk desk;
  const auto staged = desk.read("s3://bucket/key");
  ASSERT_FALSE(staged.has_value());
  EXPECT_THAT(staged.error().message, HasSubstr("no S3 here"));
}

/// A store whose object is written anew while it is read, so many times.
class RestlessStore final : public ObjectStore {
 public:
  explicit RestlessStore(int times) : left_(times) {}
  Result<ObjectInfo> read(const std::string& key, std::uint64_t, std::optional<std::uint64_t>,
                          const std::function<bool(std::span<const std::byte>)>& sink) override {
    const std::string text = left_ > 0 ? "half of " : "the new one";
    (void)sink(std::as_bytes(std::span(text)));
    if (left_-- > 0) return fail(ErrorCode::kConflict, "it was overwritten meanwhile");
    return ObjectInfo{.key = key, .size = text.size(), .etag = "e2", .store_version = "v2"};
  }
  Result<std::unique_ptr<ObjectWriter>> create(const std::string&, const PutOptions&, std::uint64_t) override {
    return no();
  }
  Result<ObjectInfo> head(const std::string&) override { return no(); }
  Result<void> remove(const std::string&) override { return no(); }
  Result<void> list(const std::string&, const std::function<bool(const ObjectInfo&)>&) override { return no(); }
  Result<std::string> stage(const std::string&, std::uint64_t, const std::string&, const PutOptions&) override {
    return no();
  }
  Result<std::string> restage(const std::string&, const std::string&, PutOptions) override { return no(); }
  Result<ObjectInfo> complete(const std::string&) override { return no(); }
  Result<void> abort(const std::string&) override { return no(); }
  std::string locate(const std::string& uri) const override { return uri; }
  std::string locate_object(const std::string& key) const override { return "s3://bucket/" + key; }

 private:
  static Failure no() { return fail(ErrorCode::kUnsupported, "not here"); }
  int left_;
};

Staged<StagedIn> read_restless(int times, const fs::path& work) {
  RestlessStore store(times);
  const std::atomic<bool> stop = false;
  StagingPlace place{store, work.string(), stop};
  place.find = [&](const std::string&) { return Result<ObjectPlace>(ObjectPlace{&store, "k"}); };
  ResolvedInput input{.name = "raw", .path = "raw"};
  InputObject object{.name = "raw", .path = "raw"};
  object.s3 = "s3://bucket/k";
  input.objects.push_back(std::move(object));
  return stage_in(place, {input});
}

TEST(StagingByName, ReadsOneVersionFromEndToEndSomeTimesAnew) {
  const NamedObjectsDesk desk;
  const auto staged = read_restless(kOverwrittenMax, desk.work());
  ASSERT_TRUE(staged.has_value()) << staged.error().message;
  std::ifstream in(desk.work() / "raw");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "the new one");
  ASSERT_EQ(staged->read.size(), 1U);
  EXPECT_EQ(staged->read[0].sha256, to_hex(sha256("the new one")));
  EXPECT_EQ(staged->read[0].etag, "e2");
  EXPECT_EQ(staged->read[0].store_version, "v2");
  EXPECT_EQ(staged->read[0].s3, "s3://bucket/k");
}

TEST(StagingByName, GivesUpOnWhatNeverStandsStill) {
  const NamedObjectsDesk desk;
  const auto staged = read_restless(kOverwrittenMax + 1, desk.work());
  ASSERT_FALSE(staged.has_value());
  EXPECT_THAT(staged.error().message, HasSubstr("overwritten"));
}

}  // namespace
}  // namespace chappe::artifacts
