// What engine/ports/object_store.h promises, on every store that we have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <future>

#include "storage/digest/digest.h"
#include "tests/integration/object_store/backends.h"

namespace chappe {
namespace {

using testing::Backend;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

std::string patterned(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 42;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

class ObjectStoreTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    store_ = testing::make_store(GetParam());
    if (store_ == nullptr) GTEST_SKIP() << "no " << testing::name_of(GetParam()) << " on this machine";
  }

  Result<StoredObject> put(const std::string& key, std::string_view text, const PutOptions& options = {},
                           std::size_t piece = 1 << 20) {
    auto writer = store_->create(key, options, 0);
    if (!writer) return fail(writer.error());
    for (std::size_t at = 0; at < text.size(); at += piece) {
      if (auto done = (*writer)->write(std::as_bytes(std::span(text.substr(at, piece)))); !done)
        return fail(done.error());
    }
    return (*writer)->finish();
  }

  std::string get(const std::string& key, std::uint64_t offset = 0, std::optional<std::uint64_t> length = {}) {
    std::string text;
    const auto info = store_->read(key, offset, length, [&](std::span<const std::byte> bytes) {
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    });
    return info ? text : "error: " + info.error().message;
  }

  std::vector<std::string> keys_under(const std::string& prefix) {
    std::vector<std::string> keys;
    const auto done = store_->list(prefix, [&](const ObjectInfo& info) {
      keys.push_back(info.key);
      return true;
    });
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return keys;
  }

  std::string stage(const std::string& key, std::uint64_t size, const std::string& uri, bool if_absent = false) {
    auto upload = store_->stage(key, size, uri, {.if_absent = if_absent});
    EXPECT_TRUE(upload.has_value()) << upload.error().message;
    return upload.value_or("");
  }

  std::string stage_immutable(const std::string& key, std::string_view text, const std::string& uri) {
    auto upload = store_->stage(key, text.size(), uri, {.if_absent = true, .sha256 = to_hex(sha256(text))});
    EXPECT_TRUE(upload.has_value()) << upload.error().message;
    return upload.value_or("");
  }

  bool has_conditional_writes() const { return GetParam() != Backend::kSwift; }

  std::unique_ptr<ObjectStore> store_;
};

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? ErrorCode::kCorrupt : result.error().code;
}

TEST_P(ObjectStoreTest, GivesBackWhatItWasGivenUnderAnyKey) {
  for (const std::string key : {"plain", "with space/and more", "a+b", "100%", "%41", "day=2026-11-20/x",
                                "été/日本語 🗼", "a&b?c#d", "quote'\"<x>", "~(*)!@:,;$", "back\\slash"}) {
    const auto stored = put(key, "text of " + key);
    ASSERT_TRUE(stored.has_value()) << key << ": " << stored.error().message;
    EXPECT_EQ(stored->sha256, to_hex(sha256("text of " + key)));
    EXPECT_EQ(get(key), "text of " + key);
    EXPECT_THAT(keys_under(key), ElementsAre(key));
    EXPECT_TRUE(store_->remove(key).has_value());
    EXPECT_EQ(code_of(store_->head(key)), ErrorCode::kNotFound) << key;
  }
}

TEST_P(ObjectStoreTest, TakesKeysOfTheGreatestLength) {
  const std::string flat(800, 'k');
  const std::string with_marks = std::string(248, 'm') + "%%%%" + std::string(300, 'n') + "/leaf";
  for (const std::string& key : {flat, with_marks}) {
    const auto stored = put(key, "x");
    ASSERT_TRUE(stored.has_value()) << stored.error().message;
    EXPECT_EQ(get(key), "x");
    EXPECT_THAT(keys_under(key.substr(0, 100)), ElementsAre(key));
  }
}

TEST_P(ObjectStoreTest, RefusesKeysThatAreNone) {
  for (const std::string& key :
       {std::string(), std::string(901, 'k'), std::string("a//b"), std::string("../b"), std::string("a/./b"),
        std::string("/a"), std::string("a/"), std::string("a\0b", 3), std::string("\xff")}) {
    EXPECT_EQ(code_of(put(key, "x")), ErrorCode::kInvalidInput);
    EXPECT_EQ(code_of(store_->head(key)), ErrorCode::kInvalidInput);
  }
}

TEST_P(ObjectStoreTest, StoresEverySizeAroundThePartSizes) {
  const std::string all = patterned(17 * kMebibyte + 3);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, 5 * kMebibyte - 1, 5 * kMebibyte, 5 * kMebibyte + 1,
                                 8 * kMebibyte, 8 * kMebibyte + 1, 16 * kMebibyte, all.size()}) {
    const std::string_view text = std::string_view(all).substr(0, size);
    const auto stored = put("sized", text, {}, 777'777);
    ASSERT_TRUE(stored.has_value()) << size << ": " << stored.error().message;
    EXPECT_EQ(stored->size, size);
    EXPECT_EQ(stored->sha256, to_hex(sha256(text)));
    const auto info = store_->head("sized");
    ASSERT_TRUE(info.has_value()) << info.error().message;
    EXPECT_EQ(info->size, size);
    EXPECT_TRUE(get("sized") == text) << size;
  }
}

TEST_P(ObjectStoreTest, ReadsAnyRange) {
  const std::string text = patterned(20 * kMebibyte);
  ASSERT_TRUE(put("ranged", text).has_value());
  EXPECT_EQ(get("ranged", 0, 5), text.substr(0, 5));
  EXPECT_EQ(get("ranged", 12'345'678, 10), text.substr(12'345'678, 10));
  EXPECT_TRUE(get("ranged", 3, 19 * kMebibyte) == text.substr(3, 19 * kMebibyte));
  EXPECT_EQ(get("ranged", text.size() - 3), text.substr(text.size() - 3));
  EXPECT_EQ(get("ranged", text.size() - 3, 100), text.substr(text.size() - 3));
  EXPECT_EQ(get("ranged", text.size()), "");
  EXPECT_EQ(get("ranged", 7, 0), "");
}

TEST_P(ObjectStoreTest, StopsReadingWhenTheSinkHasEnough) {
  ASSERT_TRUE(put("long", patterned(20 * kMebibyte)).has_value());
  std::size_t taken = 0;
  const auto info = store_->read("long", 0, std::nullopt, [&](std::span<const std::byte> bytes) {
    taken += bytes.size();
    return taken < 9 * kMebibyte;
  });
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(info->size, 20 * kMebibyte);
  EXPECT_LT(taken, 12 * kMebibyte);
}

TEST_P(ObjectStoreTest, ListsInTheOrderOfBytesOverManyPages) {
  std::vector<std::string> keys = {"a-b", "a/1", "a/2/x", "a/2/y", "a0", "b", "ba", "c/d e", "c/d+e", "z%"};
  for (const std::string& key : keys) ASSERT_TRUE(put(key, key).has_value());
  std::sort(keys.begin(), keys.end());
  EXPECT_THAT(keys_under(""), ElementsAreArray(keys));
  EXPECT_THAT(keys_under("a/"), ElementsAre("a/1", "a/2/x", "a/2/y"));
  EXPECT_THAT(keys_under("a/2"), ElementsAre("a/2/x", "a/2/y"));
  EXPECT_THAT(keys_under("b"), ElementsAre("b", "ba"));
  EXPECT_TRUE(keys_under("nothing/here").empty());
  std::size_t seen = 0;
  ASSERT_TRUE(store_->list("", [&](const ObjectInfo&) { return ++seen < 5; }).has_value());
  EXPECT_EQ(seen, 5U);
}

TEST_P(ObjectStoreTest, KeepsMetadata) {
  ASSERT_TRUE(put("with", "x", {.metadata = {{"attempt", "17"}}}).has_value());
  const auto info = store_->head("with");
  ASSERT_TRUE(info.has_value());
  EXPECT_THAT(info->metadata, ::testing::Contains(::testing::Pair("attempt", "17")));
  EXPECT_THAT(info->metadata, ::testing::Contains(::testing::Pair("sha256", to_hex(sha256("x")))));
}

TEST_P(ObjectStoreTest, ReplacesAnObjectWhole) {
  ASSERT_TRUE(put("k", "the first, longer one").has_value());
  ASSERT_TRUE(put("k", "second").has_value());
  EXPECT_EQ(get("k"), "second");
}

TEST_P(ObjectStoreTest, ShowsNothingOfAWriterThatDidNotFinish) {
  for (const std::size_t size : {std::size_t{10}, 9 * kMebibyte}) {
    auto writer = store_->create("half", {}, 0);
    ASSERT_TRUE(writer.has_value());
    const std::string text = patterned(size);
    ASSERT_TRUE((*writer)->write(std::as_bytes(std::span(text))).has_value());
    EXPECT_EQ(code_of(store_->head("half")), ErrorCode::kNotFound);
    writer->reset();
    EXPECT_EQ(code_of(store_->head("half")), ErrorCode::kNotFound);
  }
}

TEST_P(ObjectStoreTest, RemovingWhatIsNotThereIsNoError) { EXPECT_TRUE(store_->remove("never/was").has_value()); }

TEST_P(ObjectStoreTest, WritesOnlyWhereNothingIsWhenAsked) {
  if (!has_conditional_writes()) {
    EXPECT_EQ(code_of(put("once", "x", {.if_absent = true})), ErrorCode::kUnsupported);
    return;
  }
  EXPECT_TRUE(put("once", "first", {.if_absent = true}).has_value());
  EXPECT_EQ(code_of(put("once", "second", {.if_absent = true})), ErrorCode::kConflict);
  EXPECT_EQ(code_of(put("once", patterned(9 * kMebibyte), {.if_absent = true})), ErrorCode::kConflict);
  EXPECT_EQ(get("once"), "first");
}

TEST_P(ObjectStoreTest, LetsExactlyOneOfManyConditionalWritersWin) {
  if (!has_conditional_writes()) GTEST_SKIP() << "no conditional writes here";
  for (int round = 0; round < 3; ++round) {
    const std::string key = "race/" + std::to_string(round);
    std::vector<std::future<Result<StoredObject>>> writers;
    for (int writer = 0; writer < 4; ++writer) {
      writers.push_back(std::async(
          std::launch::async, [&, writer] { return put(key, "by " + std::to_string(writer), {.if_absent = true}); }));
    }
    int won = 0;
    for (auto& writer : writers) {
      const auto stored = writer.get();
      if (stored) ++won;
      EXPECT_TRUE(stored || stored.error().code == ErrorCode::kConflict);
    }
    EXPECT_EQ(won, 1);
  }
}

// ---- Publishing ----

TEST_P(ObjectStoreTest, ShowsAStagedUploadOnlyWhenItIsCompleted) {
  ASSERT_TRUE(put("runs/1/model", "weights").has_value());
  const std::string upload = stage("runs/1/model", 7, "models/a b+c.bin");
  EXPECT_THAT(keys_under(""), ElementsAre("runs/1/model"));
  const auto shown = store_->complete(upload);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  EXPECT_EQ(shown->size, 7U);
  EXPECT_THAT(store_->locate("models/a b+c.bin"), ::testing::EndsWith("assets/models/a b+c.bin"));
}

TEST_P(ObjectStoreTest, CompletesAsOftenAsItIsAsked) {
  ASSERT_TRUE(put("k", "weights").has_value());
  const std::string upload = stage("k", 7, "model");
  const auto first = store_->complete(upload);
  const auto second = store_->complete(upload);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(first->size, second->size);
  EXPECT_EQ(first->etag, second->etag);
  EXPECT_TRUE(store_->abort(upload).has_value());  // Too late, and without effect.
  EXPECT_TRUE(store_->complete(upload).has_value());
}

TEST_P(ObjectStoreTest, AbortsAsOftenAsItIsAskedAndForGood) {
  ASSERT_TRUE(put("k", "weights").has_value());
  const std::string upload = stage("k", 7, "model");
  EXPECT_TRUE(store_->abort(upload).has_value());
  EXPECT_TRUE(store_->abort(upload).has_value());
  const auto late = store_->complete(upload);
  EXPECT_EQ(code_of(late), ErrorCode::kNotFound) << late.error().message;
}

TEST_P(ObjectStoreTest, PublishesTheNewestCompletedVersion) {
  ASSERT_TRUE(put("one", "1").has_value());
  ASSERT_TRUE(put("two", "22").has_value());
  const std::string first = stage("one", 1, "model");
  const std::string second = stage("two", 2, "model");
  EXPECT_TRUE(store_->complete(second).has_value());
  const auto shown = store_->complete(first);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  EXPECT_EQ(shown->size, 1U);
}

TEST_P(ObjectStoreTest, PublishesEmptyAndLargeObjects) {
  for (const std::size_t size : {std::size_t{0}, 9 * kMebibyte}) {
    ASSERT_TRUE(put("k", patterned(size)).has_value());
    const auto shown = store_->complete(stage("k", size, "sized"));
    ASSERT_TRUE(shown.has_value()) << size << ": " << shown.error().message;
    EXPECT_EQ(shown->size, size);
  }
}

TEST_P(ObjectStoreTest, RefusesToStageWhatIsNotThereOrNotThatLong) {
  EXPECT_EQ(code_of(store_->stage("nothing", 1, "model", {})), ErrorCode::kNotFound);
  ASSERT_TRUE(put("k", "weights").has_value());
  EXPECT_EQ(code_of(store_->stage("k", 8, "model", {})), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(store_->stage("k", 7, "../model", {})), ErrorCode::kInvalidInput);
}

TEST_P(ObjectStoreTest, KeepsAnImmutableAsset) {
  ASSERT_TRUE(put("one", "1").has_value());
  ASSERT_TRUE(put("two", "22").has_value());
  const std::string first = stage("one", 1, "fixed", true);
  const std::string second = stage("two", 2, "fixed", true);
  const auto shown = store_->complete(first);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;  // Also where the server has no conditional writes.
  EXPECT_EQ(code_of(store_->complete(second)), ErrorCode::kConflict);
  const auto again = store_->complete(first);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(again->size, 1U);
}

TEST_P(ObjectStoreTest, TakesEqualBytesForAnImmutableAsset) {
  for (const std::string key : {"one", "two"}) ASSERT_TRUE(put(key, "same").has_value());
  ASSERT_TRUE(put("three", "else").has_value());
  const std::string first = stage_immutable("one", "same", "fixed");
  const std::string second = stage_immutable("two", "same", "fixed");
  const std::string third = stage_immutable("three", "else", "fixed");
  ASSERT_TRUE(store_->complete(first).has_value());
  for (int times = 0; times < 2; ++times) {  // A repetition knows its own work, too.
    const auto shown = store_->complete(second);
    ASSERT_TRUE(shown.has_value()) << shown.error().message;
    EXPECT_EQ(shown->size, 4U);
  }
  EXPECT_EQ(code_of(store_->complete(third)), ErrorCode::kConflict);  // As long, but other bytes.
}

TEST_P(ObjectStoreTest, ReadsWhatHasNoHashToTellEqualBytes) {
  for (const std::string key : {"one", "two"}) ASSERT_TRUE(put(key, "same").has_value());
  ASSERT_TRUE(put("three", "else").has_value());
  ASSERT_TRUE(store_->complete(stage("one", 4, "fixed")).has_value());
  EXPECT_EQ(code_of(store_->complete(stage_immutable("three", "else", "fixed"))), ErrorCode::kConflict);
  const auto shown = store_->complete(stage_immutable("two", "same", "fixed"));
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
}

TEST_P(ObjectStoreTest, StagesAnewWhatIsGoneUnderTheSameCondition) {
  ASSERT_TRUE(put("one", "first").has_value());
  ASSERT_TRUE(put("two", "other").has_value());
  const std::string first = stage_immutable("one", "first", "fixed");
  const std::string second = stage_immutable("two", "other", "fixed");
  for (const std::string& upload : {first, second}) {
    ASSERT_TRUE(store_->abort(upload).has_value());
    EXPECT_EQ(code_of(store_->complete(upload)), ErrorCode::kNotFound);
  }
  const auto again = store_->restage(first, "one", {.sha256 = to_hex(sha256("first"))});
  ASSERT_TRUE(again.has_value()) << again.error().message;
  const auto shown = store_->complete(*again);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  EXPECT_EQ(shown->size, 5U);
  const auto other = store_->restage(second, "two", {.sha256 = to_hex(sha256("other"))});
  ASSERT_TRUE(other.has_value()) << other.error().message;
  EXPECT_EQ(code_of(store_->complete(*other)), ErrorCode::kConflict);
  EXPECT_EQ(code_of(store_->restage(first, "nothing", {})), ErrorCode::kNotFound);
}

TEST_P(ObjectStoreTest, RecognisesWhatAnUploadStagedAgainHasShown) {
  ASSERT_TRUE(put("one", "first").has_value());
  const std::string upload = store_->stage("one", 5, "data/moving", {}).value();
  ASSERT_TRUE(store_->abort(upload).has_value());
  const std::string again = store_->restage(upload, "one", {}).value();
  const auto shown = store_->complete(again);
  ASSERT_TRUE(shown.has_value()) << shown.error().message;
  // Whoever remembers the first upload only must not show the bytes a second time.
  const auto known = store_->complete(upload);
  ASSERT_TRUE(known.has_value()) << known.error().message;
  EXPECT_EQ(known->etag, shown->etag);
}

TEST_P(ObjectStoreTest, RefusesUploadsThatItDidNotWrite) {
  for (const std::string text : {"", "local1", "s3-1 a b", "local1 ../../etc 1 1 1 0 passwd", "hello world"}) {
    EXPECT_EQ(code_of(store_->complete(text)), ErrorCode::kInvalidInput) << text;
    EXPECT_EQ(code_of(store_->abort(text)), ErrorCode::kInvalidInput) << text;
    EXPECT_EQ(code_of(store_->restage(text, "k", {})), ErrorCode::kInvalidInput) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ObjectStoreTest, ::testing::Values(Backend::kLocal, Backend::kCeph, Backend::kSwift),
                         [](const auto& parameter) { return testing::name_of(parameter.param); });

}  // namespace
}  // namespace chappe
