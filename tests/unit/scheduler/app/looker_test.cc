#include "scheduler/app/looker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace chappe {
namespace {

using namespace std::chrono_literals;

/// What is looked at, and what is told of it.
class World {
 public:
  LookReported look(const LookTarget& target) {
    const std::lock_guard lock(mutex_);
    ++looks_[target.name];
    changed_.notify_all();
    return {.target = target, .what = what_, .found = {}, .message = message_, .objects = objects_};
  }
  void report(Event event) {
    const std::lock_guard lock(mutex_);
    reports_.push_back(std::get<LookReported>(std::move(event)));
    changed_.notify_all();
  }
  void become(LookReported::What what, std::string message) {
    const std::lock_guard lock(mutex_);
    what_ = what;
    message_ = std::move(message);
  }
  void list(std::vector<SeenObject> objects) {
    const std::lock_guard lock(mutex_);
    what_ = LookReported::What::kListed;
    message_.clear();
    objects_ = std::move(objects);
  }
  bool looked(const std::string& name, int times) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return looks_[name] >= times; });
  }
  bool reported(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return reports_.size() >= count; });
  }
  std::vector<LookReported> reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }
  int looks(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return looks_[name];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> looks_;
  std::vector<LookReported> reports_;
  LookReported::What what_ = LookReported::What::kNotYet;
  std::string message_ = "not there";
  std::vector<SeenObject> objects_;
};

const LookTarget kKey{LookTarget::Kind::kObject, "in/a", 0};
const LookTarget kOther{LookTarget::Kind::kObject, "in/b", 0};

struct LookerTest : testing::Test {
  World world;
  Looker looker{[this](const LookTarget& target) { return world.look(target); },
                [this](Event event) { world.report(std::move(event)); }};
};

TEST_F(LookerTest, TellsOnceWhySomethingIsNotThereAndLooksOn) {
  looker.order({kKey, 1ms});
  ASSERT_TRUE(world.looked("in/a", 5));
  EXPECT_EQ(world.reports().size(), 1U);
  world.become(LookReported::What::kNotYet, "the store is away");
  ASSERT_TRUE(world.reported(2));
  EXPECT_EQ(world.reports()[1].message, "the store is away");
}

TEST_F(LookerTest, LooksNoMoreOnceItIsThere) {
  world.become(LookReported::What::kThere, "");
  looker.order({kKey, 1ms});
  ASSERT_TRUE(world.reported(1));
  looker.order({kOther, 1ms});
  ASSERT_TRUE(world.reported(2));
  EXPECT_EQ(world.looks("in/a"), 1);
}

TEST_F(LookerTest, AnotherOrderForTheSameTargetTakesThePlaceOfTheFirst) {
  looker.order({kKey, std::chrono::hours(1)});
  looker.order({kKey, 1ms});
  EXPECT_TRUE(world.looked("in/a", 3));
}

TEST_F(LookerTest, LooksNoMoreWhenItIsToldSo) {
  looker.order({kKey, 1ms});
  ASSERT_TRUE(world.looked("in/a", 1));
  looker.order({kKey, std::nullopt});
  world.become(LookReported::What::kThere, "");
  looker.order({kOther, 1ms});
  ASSERT_TRUE(world.looked("in/b", 1));
  for (const LookReported& report : world.reports()) {
    EXPECT_FALSE(report.target == kKey && report.what == LookReported::What::kThere);
  }
}

TEST_F(LookerTest, TellsAListingWheneverItChangesAndAgainToWhomeverOrdersItAnew) {
  const LookTarget listing{LookTarget::Kind::kListing, "in/", 0};
  SeenObject object{.key = "in/a", .uri = "", .etag = "1", .version = "", .modified_at = {}};
  world.list({object});
  looker.order({listing, 1ms});
  ASSERT_TRUE(world.looked("in/", 3));
  EXPECT_EQ(world.reports().size(), 1U);
  object.etag = "2";
  world.list({object});
  ASSERT_TRUE(world.reported(2));
  EXPECT_EQ(world.reports()[1].objects, std::vector{object});
  world.become(LookReported::What::kNotYet, "the store is away");
  ASSERT_TRUE(world.reported(3));
  world.list({object});
  ASSERT_TRUE(world.reported(4)) << "it is told that the store is back";
  looker.order({listing, 1ms});
  ASSERT_TRUE(world.reported(5));
}

TEST(Looker, OneKindThatHangsHoldsUpNoOther) {
  std::atomic<bool> open{false};
  World world;
  {
    Looker looker(
        [&](const LookTarget& target) {
          while (target.kind == LookTarget::Kind::kHttp && !open) std::this_thread::yield();
          return world.look(target);
        },
        [&](Event event) { world.report(std::move(event)); });
    for (int i = 0; i < 8; ++i) looker.order({{LookTarget::Kind::kHttp, "http://" + std::to_string(i), 200}, 1ms});
    looker.order({kKey, 1ms});
    EXPECT_TRUE(world.looked("in/a", 2));
    open = true;
  }
}

}  // namespace
}  // namespace chappe
