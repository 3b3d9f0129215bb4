// Looks at objects of a real store: a directory.
#include "scheduler/app/outside.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "storage/open/object_stores.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = LookReported::What;

class OutsideTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "chappe-outside-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    store_ = *open_object_store(path);
    outside_.emplace(*store_, std::vector<fs::path>{});
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& key, const std::string& text = "x") {
    const fs::path path = directory_ / "objects" / key;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  LookReported list(const std::string& name) { return outside_->look({LookTarget::Kind::kListing, name, 0}); }
  std::vector<std::string> keys(const std::string& name) {
    const LookReported report = list(name);
    EXPECT_EQ(report.what, What::kListed) << report.message;
    std::vector<std::string> out;
    for (const SeenObject& object : report.objects) out.push_back(object.key);
    return out;
  }

  fs::path directory_;
  std::unique_ptr<ObjectStore> store_;
  std::optional<Outside> outside_;
};

TEST_F(OutsideTest, ListsOneObjectOrAllBeneathAPrefixOrThoseOfAPattern) {
  for (const char* key : {"in/b.csv", "in/a.csv", "in/sub/c.csv", "in/d.txt", "inn"}) write(key);
  EXPECT_THAT(keys("in/b.csv"), ElementsAre("in/b.csv"));
  EXPECT_THAT(keys("in/none"), IsEmpty());
  EXPECT_THAT(keys("in/"), ElementsAre("in/a.csv", "in/b.csv", "in/d.txt", "in/sub/c.csv"));
  EXPECT_THAT(keys("in/*.csv"), ElementsAre("in/a.csv", "in/b.csv", "in/sub/c.csv"));
  EXPECT_THAT(keys("in/?.csv"), ElementsAre("in/a.csv", "in/b.csv"));
  EXPECT_THAT(keys("*.txt"), ElementsAre("in/d.txt"));
  EXPECT_THAT(keys("out/"), IsEmpty());
}

TEST_F(OutsideTest, AnObjectThatIsWrittenAnewIsAnotherVersion) {
  write("in/a", "1");
  const SeenObject before = list("in/").objects.at(0);
  EXPECT_EQ(before.size, 1U);
  EXPECT_EQ(before.uri, (directory_ / "objects/in/a").string());
  fs::last_write_time(directory_ / "objects/in/a", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_NE(list("in/").objects.at(0), before);
  EXPECT_EQ(list("in/").objects, list("in/a").objects);
}

TEST_F(OutsideTest, MoreObjectsThanMayBeSeenAreToldAndNoneIsNews) {
  for (std::size_t i = 0; i < kSightingsMax; ++i) write("many/" + std::to_string(i), "");
  EXPECT_EQ(list("many/").objects.size(), kSightingsMax);
  write("many/more", "");
  const LookReported report = list("many/");
  EXPECT_EQ(report.what, What::kNotYet) << "it is looked at again: there may be fewer";
  EXPECT_THAT(report.message, HasSubstr("more than 10000 objects"));
  EXPECT_THAT(report.objects, IsEmpty());
}

TEST_F(OutsideTest, ListsForAFanOutWhatIsThereNow) {
  for (const char* key : {"in/b.csv", "in/a.csv", "in/c.txt"}) write(key, key);
  LookReported report = outside_->look({LookTarget::Kind::kObjects, "in/*.csv", 0});
  ASSERT_EQ(report.what, What::kThere) << report.message;
  const Value found(std::move(report.found));
  const ValueList& objects = *found.find("objects")->as_list();
  ASSERT_EQ(objects.size(), 2U);
  EXPECT_EQ(to_text(*objects[0].find("key")), "in/a.csv");
  EXPECT_EQ(to_text(*objects[0].find("uri")), (directory_ / "objects/in/a.csv").string());
  EXPECT_EQ(to_text(*objects[1].find("size")), "8");
  EXPECT_EQ(outside_->look({LookTarget::Kind::kObjects, "none/", 0}).what, What::kThere);
  EXPECT_EQ(outside_->look({LookTarget::Kind::kObjects, "s3://bucket", 0}).what, What::kRefused);
}

TEST_F(OutsideTest, AFanOutIsOverAtMostSoManyObjects) {
  for (std::size_t i = 0; i < kSightingsMax; ++i) write("many/" + std::to_string(i), "");
  EXPECT_EQ(outside_->look({LookTarget::Kind::kObjects, "many/", 0}).what, What::kThere);
  write("many/more", "");
  const LookReported report = outside_->look({LookTarget::Kind::kObjects, "many/", 0});
  EXPECT_EQ(report.what, What::kRefused);
  EXPECT_THAT(report.message, HasSubstr("more than 10000 objects: a fan-out is over fewer"));
}

TEST_F(OutsideTest, WhatCannotBeLookedAtIsRefused) {
  EXPECT_EQ(list("s3://bucket").what, What::kRefused);
  EXPECT_EQ(list("s3://no bucket/in/").what, What::kRefused);
  EXPECT_EQ(list("in/../x").what, What::kRefused);
}

}  // namespace
}  // namespace chappe
