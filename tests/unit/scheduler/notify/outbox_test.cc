// When which notification goes out.
#include "scheduler/notify/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::notify {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

NotificationRow row_of(std::uint64_t id) { return {.id = id, .dag = "nightly", .text = "it failed"}; }
Now at(Duration time) { return {{1'000'000'000 + time.count()}, {1'000'000 + time.count()}}; }

std::vector<std::uint64_t> ids(const std::optional<Letter>& letter) {
  std::vector<std::uint64_t> out;
  if (!letter) return out;
  for (const NotificationRow& row : letter->about) out.push_back(row.id);
  return out;
}

/// Takes what is due and says that it was sent.
std::vector<std::uint64_t> send_one(Outbox& outbox, Now now) {
  const auto letter = outbox.take(now.mono);
  if (letter) (void)outbox.sent(*letter, now.wall);
  return ids(letter);
}

TEST(Outbox, SendsInOrderOneAtATimeForEachChannel) {
  Outbox outbox;
  outbox.add("a", row_of(1));
  outbox.add("a", row_of(2));
  outbox.add("b", row_of(3));
  const auto first = outbox.take(at(seconds(0)).mono);
  EXPECT_THAT(ids(first), ElementsAre(1));
  EXPECT_THAT(send_one(outbox, at(seconds(0))), ElementsAre(3)) << "a is under way";
  EXPECT_THAT(send_one(outbox, at(seconds(0))), IsEmpty());
  const NotificationChange sent{
      .id = 1, .state = NotificationState::kSent, .tries = 1, .ended_at = at(seconds(1)).wall};
  EXPECT_THAT(outbox.sent(*first, at(seconds(1)).wall), ElementsAre(sent));
  EXPECT_THAT(send_one(outbox, at(seconds(1))), ElementsAre(2));
}

TEST(Outbox, RestsLongerAfterEachFailureAndGivesUpInTheEnd) {
  Outbox outbox;
  outbox.add("a", row_of(1));
  Duration now{};
  std::vector<NotificationChange> changes;
  for (std::uint32_t tries = 1; tries <= kTriesMax; ++tries) {
    auto letter = outbox.take(at(now).mono);
    ASSERT_TRUE(letter) << tries;
    changes = outbox.failed(std::move(*letter), "nobody there", false, at(now));
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].tries, tries);
    EXPECT_EQ(changes[0].state, tries < kTriesMax ? NotificationState::kPending : NotificationState::kGivenUp);
    if (tries == kTriesMax) break;
    const auto next = outbox.wake_at();
    ASSERT_TRUE(next);
    EXPECT_GT(*next, at(now).mono);
    EXPECT_FALSE(outbox.take(at(now).mono)) << "it rests";
    now += *next - at(now).mono;
  }
  EXPECT_GT(now, hours(2));
  EXPECT_EQ(changes[0].told, "nobody there");
  EXPECT_EQ(outbox.waiting(), 0U);
  EXPECT_FALSE(outbox.wake_at());
}

TEST(Outbox, TriesNothingAgainThatWouldComeToTheSame) {
  Outbox outbox;
  outbox.add("a", row_of(1));
  const auto changes = outbox.failed(*outbox.take(at(seconds(0)).mono), "no such address", true, at(seconds(0)));
  EXPECT_THAT(changes, ElementsAre(NotificationChange{1, NotificationState::kGivenUp, 1, at(seconds(0)).wall,
                                                      "no such address"}));
  EXPECT_EQ(outbox.waiting(), 0U);
}

TEST(Outbox, GoesOnWithTheTriesThatTheStoreKnows) {
  Outbox outbox;
  NotificationRow row = row_of(1);
  row.tries = kTriesMax - 1;
  outbox.add("a", row);
  EXPECT_EQ(outbox.failed(*outbox.take(at(seconds(0)).mono), "", false, at(seconds(0)))[0].state,
            NotificationState::kGivenUp);
}

TEST(Outbox, TellsOfWhatComesTooFastInOneSummary) {
  Outbox outbox;
  for (std::uint64_t id = 1; id <= kLettersMax + 5; ++id) outbox.add("a", row_of(id));
  for (std::uint64_t id = 1; id <= kLettersMax; ++id) EXPECT_THAT(send_one(outbox, at(seconds(1))), ElementsAre(id));
  EXPECT_THAT(send_one(outbox, at(seconds(1))), IsEmpty());
  outbox.add("b", row_of(100));
  EXPECT_THAT(send_one(outbox, at(seconds(1))), ElementsAre(100)) << "another channel has its own bound";
  EXPECT_EQ(outbox.wake_at(), at(seconds(1) + kWindow).mono);
  const Now later = at(seconds(1) + kWindow);
  auto summary = outbox.take(later.mono);
  EXPECT_THAT(ids(summary), ElementsAre(11, 12, 13, 14, 15));
  const auto failed = outbox.failed(std::move(*summary), "busy", false, later);
  EXPECT_EQ(failed.size(), 5U);
  const Now again{later.wall, *outbox.wake_at()};
  summary = outbox.take(again.mono);
  EXPECT_THAT(ids(summary), ElementsAre(11, 12, 13, 14, 15)) << "once more as a summary";
  for (const NotificationChange& change : outbox.sent(*summary, again.wall)) {
    EXPECT_EQ(change.state, NotificationState::kSummarised);
    EXPECT_EQ(change.tries, 2U);
  }
}

TEST(Outbox, ASummaryHasABound) {
  Outbox outbox;
  for (std::uint64_t id = 1; id <= kLettersMax + kSummaryMax + 1; ++id) outbox.add("a", row_of(id));
  for (std::size_t i = 0; i < kLettersMax; ++i) (void)send_one(outbox, at(seconds(0)));
  EXPECT_FALSE(outbox.take(at(seconds(0)).mono));
  EXPECT_EQ(send_one(outbox, at(kWindow)).size(), kSummaryMax);
  EXPECT_EQ(send_one(outbox, at(kWindow)).size(), 1U);
}

}  // namespace
}  // namespace chappe::notify
