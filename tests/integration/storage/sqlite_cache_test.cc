// Results that may be used again, on a real SQLite file.
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SqliteCache : public SqliteStoreTest {
 protected:
  static CacheEntryRow entry(const std::string& sha256, std::int64_t used_at = 5) {
    return {.cache = {.scope = "dag nightly", .sha256 = sha256, .parts = {{"command", "0a"}, {"env.\"X\"", "0b"}}},
            .task = "fit",
            .map_key = "a[1]",
            .run = run_id(1),
            .producer = {{1}, 2},
            .attempt = {7},
            .made_at = {4},
            .used_at = {used_at}};
  }
  static CacheUseRow use(std::uint64_t attempt, const std::string& told = "") {
    return {.key = {{1}, 0}, .attempt = {attempt}, .cache = entry("s1").cache, .from = {}, .told = told};
  }
};

TEST_F(SqliteCache, KeepsEveryFieldAndFindsByHashAndByItem) {
  open();
  commit({.cache_entries = {entry("s1"), entry("s2", 9)}});
  const auto read = reader();
  EXPECT_EQ(*read->cache_entry(entry("s1").cache), entry("s1"));
  EXPECT_EQ(*read->cache_entry(entry("s3").cache), std::nullopt);
  EXPECT_THAT(*read->cache_entries("dag nightly", "fit", "a[1]", 10), ElementsAre(entry("s2", 9), entry("s1")));
  EXPECT_THAT(*read->cache_entries("dag nightly", "fit", "another", 1), ElementsAre(entry("s2", 9)));
  EXPECT_THAT(*read->cache_entries("dag nightly", "other", "", 10), IsEmpty());
  commit({.cache_entries = {entry("s1", 20)}});
  EXPECT_EQ(*read->cache_entry(entry("s1").cache), entry("s1", 20));
}

TEST_F(SqliteCache, KeepsWhatWasToldUntilThereIsNews) {
  open();
  commit({.cache_uses = {use(0, "it is gone")}});
  commit({.cache_uses = {use(3)}});
  EXPECT_THAT(*reader()->cache_uses({1}, 0), ElementsAre(use(3, "it is gone")));
  commit({.cache_uses = {use(4, "used again")}});
  EXPECT_THAT(*reader()->cache_uses({1}, std::nullopt), ElementsAre(use(4, "used again")));
}

TEST_F(SqliteCache, HandsTheEngineWhatAttemptsUnderWayAreMadeOf) {
  open();
  Persist changes = first_changes();
  changes.workers = {{.seq = {1}, .incarnation = "i1"}};
  changes.tasks = {insertion(some_task())};
  CacheUseRow made = use(some_task().attempt.value, "no result of it is kept");
  changes.cache_uses = {made};
  commit(changes);
  EXPECT_THAT(load().runs.at(0).cached, ElementsAre(made));
  TaskRow done = some_task();
  done.state = TaskState::kSuccess;
  commit({.tasks = {change(some_task(), done)}});
  EXPECT_THAT(load().runs.at(0).cached, IsEmpty());
}

TEST_F(SqliteCache, ForgetsWhatAPersonRunsAgainAndWhatIsGone) {
  open();
  commit({.cache_uses = {use(3)}, .cache_entries = {entry("s1"), entry("s2")}});
  CacheEntryRow newer = entry("s2");
  newer.attempt = {8};
  commit({.cache_forgets = {{{1}, 0}, {{1}, 5}}, .cache_drops = {newer}});
  EXPECT_EQ(*reader()->cache_entry(entry("s1").cache), std::nullopt);
  EXPECT_EQ(*reader()->cache_entry(entry("s2").cache), entry("s2")) << "that of another attempt stays";
  commit({.cache_drops = {entry("s2")}});
  EXPECT_EQ(*reader()->cache_entry(entry("s2").cache), std::nullopt);
}

TEST_F(SqliteCache, OfATaskThoseThatWereUsedLongestAgoGo) {
  open();
  Persist changes;
  for (std::size_t i = 0; i < kCacheEntriesMax; ++i) {
    changes.cache_entries.push_back(entry("s" + std::to_string(i), static_cast<std::int64_t>(1'000 + i)));
  }
  CacheEntryRow other = entry("other", 1);
  other.task = "report";
  changes.cache_entries.push_back(other);
  commit(changes);
  EXPECT_EQ(*reader()->cache_entry(entry("s0").cache), entry("s0", 1'000)) << "so many fit";
  commit({.cache_entries = {entry("s0", 99'999), entry("more", 99'999)}});
  const auto read = reader();
  EXPECT_EQ(*read->cache_entry(entry("s1").cache), std::nullopt);
  EXPECT_TRUE(read->cache_entry(entry("s0").cache)->has_value()) << "it was used again";
  EXPECT_TRUE(read->cache_entry(entry("s2").cache)->has_value());
  EXPECT_EQ(*read->cache_entry(other.cache), other);
}

}  // namespace
}  // namespace chappe
