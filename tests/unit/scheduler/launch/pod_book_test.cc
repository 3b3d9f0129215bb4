#include "scheduler/launch/pod_book.h"

#include <gmock/gmock.h>

#include "tests/support/pods_of.h"

namespace chappe::launch {
namespace {

using namespace std::chrono_literals;
using Did = PodRequest::What;
using Came = PodOutcome::What;
using Seen = PodSeen::What;

constexpr std::string_view kRunning =
    R"({"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]})";
constexpr std::string_view kDone =
    R"({"phase": "Succeeded", "containerStatuses": [{"name": "task", "state": {"terminated": {"exitCode": 0}}}]})";

class PodBookTest : public testing::Test {
 protected:
  void want(bool joined = false) {
    order_.joined = joined;
    book_.want(order_, "key", now_);
  }
  /// The next request, and what comes of it.
  void expect(Did did, PodOutcome outcome) {
    const auto request = book_.next(now_);
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(static_cast<int>(request->what), static_cast<int>(did));
    EXPECT_EQ(request->pod, order_.pod);
    book_.take(*request, outcome, now_);
  }
  void expect_nothing() { EXPECT_FALSE(book_.next(now_).has_value()); }
  PodOutcome made(const std::string& uid = "u1") { return {.what = Came::kShown, .pod = shown(order_, uid)}; }
  void expect_news(std::vector<Seen> expected) {
    std::vector<Seen> told;
    for (const PodSeen& each : book_.take_news()) told.push_back(each.what);
    EXPECT_EQ(told, expected);
  }
  void pass(Duration time) { now_ = now_ + time; }
  ValueList only(const std::string& uid, std::string_view status = "{}") { return {shown(order_, uid, status)}; }

  PodOrder order_ = order_of(some_task());
  MonoTime now_{1'000'000};
  PodBook book_{"0123456789abcdef"};
};

TEST_F(PodBookTest, MakesWhatIsWantedAndRemovesItAfterwards) {
  want();
  expect(Did::kMake, made());
  expect_nothing();
  book_.shown(shown(order_, "u1", kRunning), now_);
  expect_news({Seen::kWaiting, Seen::kStarted});
  book_.release(order_.pod, now_);
  const auto removal = book_.next(now_);
  ASSERT_TRUE(removal.has_value());
  EXPECT_EQ(removal->uid, "u1");
  book_.take(*removal, {.what = Came::kAbsent}, now_);
  EXPECT_EQ(book_.size(), 0U);
}

constexpr std::string_view kRunningIn = R"({"phase": "Running", "containerStatuses": [
    {"name": "task", "imageID": "ml@sha256:12", "state": {"running": {}}}]})";

TEST_F(PodBookTest, TellsTheImageOnce) {
  want();
  expect(Did::kMake, made());
  book_.shown(shown(order_, "u1", kRunning), now_);
  book_.shown(shown(order_, "u0", kRunningIn), now_);  // Another one that had the name.
  expect_news({Seen::kWaiting, Seen::kStarted});
  book_.shown(shown(order_, "u1", kRunningIn), now_);
  book_.shown(shown(order_, "u1", kRunningIn), now_);
  const auto news = book_.take_news();
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0], (PodSeen{.attempt = order_.what.attempt, .what = Seen::kImage, .message = "ml@sha256:12"}));
}

TEST_F(PodBookTest, TellsTheImageOfAPodThatHasGoneBefore) {
  want();
  expect(Did::kMake, made());
  book_.release(order_.pod, now_);
  expect(Did::kRemove, {.what = Came::kAbsent});
  EXPECT_EQ(book_.size(), 0U);
  (void)book_.take_news();
  book_.deleted(shown(order_, "u1", kRunningIn), now_);
  expect_news({Seen::kImage});
  EXPECT_EQ(book_.size(), 0U);
  Value other = shown(order_, "u2", kRunningIn);
  put(object(*member(*other.as_map(), "metadata").as_map(), "labels"), kInstallationLabel, "another");
  book_.deleted(other, now_);
  expect_news({});
}

TEST_F(PodBookTest, AdoptsWhatItMadeWithoutHearingOfIt) {
  want();
  expect(Did::kMake, {.what = Came::kLater, .message = "the connection broke"});
  expect_news({Seen::kWaiting});
  expect_nothing();
  pass(1s);
  expect(Did::kMake, {.what = Came::kExists});
  expect(Did::kLook, {.what = Came::kShown, .pod = shown(order_, "u1", kRunning)});
  expect_news({Seen::kStarted});
  expect_nothing();
}

TEST_F(PodBookTest, TakesNoOtherPodForItsOwn) {
  want();
  expect(Did::kMake, {.what = Came::kExists});
  PodOrder other = order_;
  auto run = std::make_shared<RunContext>();
  run->id.bytes[0] = 7;
  other.run = run;
  expect(Did::kLook, {.what = Came::kShown, .pod = shown(other, "u0", kRunning)});
  const auto news = book_.take_news();
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].message, "another pod has the name " + order_.pod);
  pass(2s);
  expect(Did::kMake, made());
}

TEST_F(PodBookTest, RemovesWhatNobodyWants) {
  book_.listed(only("u9", kRunning), now_, now_);
  expect(Did::kRemove, {.what = Came::kAbsent});
  EXPECT_EQ(book_.size(), 0U);
  expect_news({});
}

TEST_F(PodBookTest, LeavesPodsOfOthersAlone) {
  Value other = shown(order_, "u1");
  put(object(*member(*other.as_map(), "metadata").as_map(), "labels"), kInstallationLabel, "another");
  book_.listed({other}, now_, now_);
  expect_nothing();
}

TEST_F(PodBookTest, ForgetsWhatWasNeverMade) {
  want();
  book_.release(order_.pod, now_);
  EXPECT_EQ(book_.size(), 0U);
}

TEST_F(PodBookTest, RemovesWhatIsReleasedWhileItIsBeingMade) {
  want();
  const auto request = book_.next(now_);
  book_.release(order_.pod, now_);
  expect_nothing();
  book_.take(*request, made(), now_);
  expect(Did::kRemove, {.what = Came::kAbsent});
  EXPECT_EQ(book_.size(), 0U);
}

TEST_F(PodBookTest, AListThatLacksAPodIsNoProof) {
  want();
  expect(Did::kMake, made());
  const MonoTime began = now_;
  pass(1s);
  book_.listed({}, began, now_);
  expect_nothing();  // The list began before the pod was there.
  pass(1s);
  book_.listed({}, now_, now_);
  expect(Did::kLook, {.what = Came::kShown, .pod = shown(order_, "u1", kRunning)});
  expect_news({Seen::kWaiting, Seen::kStarted});
  pass(1s);
  book_.listed({}, now_, now_);
  expect(Did::kLook, {.what = Came::kAbsent});
  expect_news({Seen::kGone});
  expect_nothing();  // The engine decides what follows.
  book_.release(order_.pod, now_);
  EXPECT_EQ(book_.size(), 0U);
}

TEST_F(PodBookTest, IsNotLedAstrayByLateAndRepeatedNews) {
  want();
  expect(Did::kMake, made());
  book_.shown(shown(order_, "u1", kRunning), now_);
  book_.shown(shown(order_, "u1"), now_);  // Late.
  book_.shown(shown(order_, "u1", kRunning), now_);
  book_.shown(shown(order_, "u0", kDone), now_);  // Of one that had the name before.
  book_.deleted(shown(order_, "u0", kDone), now_);
  expect_news({Seen::kWaiting, Seen::kStarted});
  book_.shown(shown(order_, "u1", kDone), now_);
  book_.shown(shown(order_, "u1", kRunning), now_);
  book_.deleted(shown(order_, "u1", kDone), now_);
  expect_news({Seen::kEnded});
}

TEST_F(PodBookTest, TheAnswerToItsMakingMayComeAfterNewerNews) {
  want();
  const auto request = book_.next(now_);
  book_.shown(shown(order_, "u1", R"({"phase": "Pending", "containerStatuses": [
      {"name": "task", "state": {"waiting": {"reason": "ErrImagePull"}}}]})"),
              now_);
  book_.take(*request, made(), now_);
  const auto news = book_.take_news();
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].message, "ErrImagePull (container task)");
  expect_nothing();
}

TEST_F(PodBookTest, TellsWhatWasDeletedByHand) {
  want();
  expect(Did::kMake, made());
  book_.deleted(shown(order_, "u1", kRunning), now_);
  expect_news({Seen::kWaiting, Seen::kGone});
  expect_nothing();
}

TEST_F(PodBookTest, LooksForAPodWhoseWorkerHasJoinedAndDoesNotMakeIt) {
  want(true);
  expect(Did::kLook, {.what = Came::kAbsent});
  expect_news({Seen::kGone});
  expect_nothing();
}

TEST_F(PodBookTest, DoesNotRepeatWhatIsRefused) {
  want();
  expect(Did::kMake, {.what = Came::kRefused, .message = "no such volume"});
  expect_news({Seen::kRefused});
  pass(1h);
  expect_nothing();
}

TEST_F(PodBookTest, RestsAsLongAsTheServerSays) {
  want();
  expect(Did::kMake, {.what = Came::kLater, .message = "too many", .after = 20s});
  pass(19s);
  expect_nothing();
  pass(2s);
  expect(Did::kMake, made());
}

TEST_F(PodBookTest, RemovesUntilItHasAnAnswer) {
  want();
  expect(Did::kMake, made());
  book_.release(order_.pod, now_);
  for (int i = 0; i < 5; ++i) {
    expect(Did::kRemove, {.what = Came::kLater, .message = "not well"});
    pass(1min);
  }
  expect(Did::kRemove, {.what = Came::kAbsent});
  EXPECT_EQ(book_.size(), 0U);
}

}  // namespace
}  // namespace chappe::launch
