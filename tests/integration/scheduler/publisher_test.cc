// Publishing rolls forward: against the store in a directory, with the faults that a store has on bad days.
#include "scheduler/app/publisher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "storage/digest/digest.h"
#include "storage/local/local_object_store.h"

namespace chappe {
namespace {

/// The store, but for completions and removals that answer what the test wants first.
class FaultyStore final : public ObjectStore {
 public:
  explicit FaultyStore(ObjectStore& inner) : inner_(inner) {}
  std::deque<ErrorCode> faults;  ///< One a completion; filled before the publisher works.
  int completions = 0;
  std::deque<ErrorCode> removal_faults;

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& key, const PutOptions& options,
                                               std::uint64_t size_hint) override {
    return inner_.create(key, options, size_hint);
  }
  Result<ObjectInfo> read(const std::string& key, std::uint64_t offset, std::optional<std::uint64_t> length,
                          const std::function<bool(std::span<const std::byte>)>& sink) override {
    return inner_.read(key, offset, length, sink);
  }
  Result<ObjectInfo> head(const std::string& key) override { return inner_.head(key); }
  Result<void> remove(const std::string& key) override {
    if (removal_faults.empty()) return inner_.remove(key);
    const ErrorCode fault = removal_faults.front();
    removal_faults.pop_front();
    return fail(fault, "a bad day");
  }
  Result<void> list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    return inner_.list(prefix, visit);
  }
  Result<std::string> stage(const std::string& key, std::uint64_t size, const std::string& uri,
                            const PutOptions& options) override {
    return inner_.stage(key, size, uri, options);
  }
  Result<std::string> restage(const std::string& upload, const std::string& key, PutOptions options) override {
    return inner_.restage(upload, key, std::move(options));
  }
  Result<ObjectInfo> complete(const std::string& upload) override {
    ++completions;
    if (faults.empty()) return inner_.complete(upload);
    const ErrorCode fault = faults.front();
    faults.pop_front();
    return fail(fault, "a bad day");
  }
  Result<void> abort(const std::string& upload) override { return inner_.abort(upload); }
  std::string locate(const std::string& uri) const override { return inner_.locate(uri); }
  std::string locate_object(const std::string& key) const override { return inner_.locate_object(key); }

 private:
  ObjectStore& inner_;
};

class PublisherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "chappe-publisher-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    auto store = open_local_object_store(folder_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
    faulty_ = std::make_unique<FaultyStore>(*store_);
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// An attempt's output, stored and staged.
  OutputObject staged(const std::string& key, const std::string& text, const std::string& uri, bool immutable = false) {
    OutputObject object{
        .name = "out", .key = key, .size = text.size(), .sha256 = to_hex(sha256(text)), .asset_uri = uri};
    auto writer = store_->create(key, {}, text.size());
    EXPECT_TRUE(writer && (*writer)->write(std::as_bytes(std::span(text))) && (*writer)->finish());
    auto upload = store_->stage(key, object.size, uri, {.if_absent = immutable, .sha256 = object.sha256});
    EXPECT_TRUE(upload.has_value()) << upload.error().message;
    object.upload = upload.value_or("");
    return object;
  }

  /// A value of an attempt that is too large to be told.
  OutputObject stored_value(const std::string& name, const std::string& json) {
    OutputObject object{
        .name = value_object_name(name), .key = name, .size = json.size(), .sha256 = to_hex(sha256(json))};
    auto writer = store_->create(object.key, {}, json.size());
    EXPECT_TRUE(writer && (*writer)->write(std::as_bytes(std::span(json))) && (*writer)->finish());
    return object;
  }

  /// What the publisher reports of one attempt with these outputs.
  Event publish(const std::vector<OutputObject>& objects, const std::vector<OutputObject>& values = {}) {
    PublishAssets work{.key = {.run = {}, .index = 3}, .attempt = {17}, .uploads = {}, .values = values};
    for (const OutputObject& object : objects) work.uploads.push_back({{work.uploads.size() + 1}, object});
    return report_of([&](Publisher& publisher) { publisher.publish(std::move(work)); });
  }

  Event report_of(const std::function<void(Publisher&)>& order) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Event> reports;
    Publisher publisher(*faulty_, [&](Event event) {
      const std::lock_guard lock(mutex);
      reports.push_back(std::move(event));
      changed.notify_one();
    });
    order(publisher);
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return !reports.empty(); }));
    EXPECT_EQ(reports.size(), 1U);
    return reports.empty() ? Event{} : reports.front();
  }

  static std::size_t published(const Event& event) {
    const auto* done = std::get_if<AssetsPublished>(&event);
    if (const auto* failed = std::get_if<PublishFailed>(&event)) ADD_FAILURE() << failed->message;
    return done == nullptr ? 0 : done->assets.size();
  }

  static std::string failure(const Event& event) {
    const auto* failed = std::get_if<PublishFailed>(&event);
    EXPECT_NE(failed, nullptr);
    return failed == nullptr ? "" : failed->message;
  }

  std::string shown(const std::string& uri) const {
    std::ifstream file(store_->locate(uri));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  bool has_staged_files() const { return !std::filesystem::is_empty(folder_ / "staging"); }

  std::filesystem::path folder_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<FaultyStore> faulty_;
};

TEST_F(PublisherTest, ShowsAllAssetsOfAnAttempt) {
  EXPECT_EQ(published(publish({staged("a", "one", "x/a"), staged("b", "two", "x/b")})), 2U);
  EXPECT_EQ(shown("x/a") + shown("x/b"), "onetwo");
}

TEST_F(PublisherTest, ReadsValuesThatAreInObjects) {
  const Event event = publish({staged("a", "one", "x/a")}, {stored_value("v", "[1,2]"), stored_value("w", "\"text\"")});
  EXPECT_EQ(published(event), 1U);
  EXPECT_EQ(std::get<AssetsPublished>(event).values,
            (std::vector<NamedValue>{{"v", ValueList{1, 2}, false}, {"w", "text", false}}));
}

TEST_F(PublisherTest, AValueThatIsNotWhatWasWrittenKeepsEverythingInvisible) {
  OutputObject changed = stored_value("v", "[1,2]");
  changed.sha256 = to_hex(sha256("[1,3]"));
  EXPECT_EQ(failure(publish({staged("a", "one", "x")}, {changed})),
            "read value 'v': object v is not what was recorded");
  EXPECT_EQ(shown("x"), "");
  EXPECT_FALSE(has_staged_files());
  OutputObject longer = stored_value("v", "[1,2]");
  longer.size = 4;
  EXPECT_NE(failure(publish({}, {longer})).find("is not what was recorded"), std::string::npos);
  EXPECT_NE(failure(publish({}, {stored_value("v", "[1,")})).find("object v: line 1"), std::string::npos);
  OutputObject gone = stored_value("v", "1");
  ASSERT_TRUE(store_->remove("v").has_value());
  EXPECT_NE(failure(publish({}, {gone})).find("read value 'v': "), std::string::npos);
}

TEST_F(PublisherTest, RemovesWhatNobodyRefersToAnyMore) {
  RemoveObjects work;
  for (int i = 0; i < 40; ++i) {
    work.keys.push_back(fmt::format("runs/{}", i));
    if (i % 2 == 0) (void)staged(work.keys.back(), "text", fmt::format("shown/{}", i));
  }
  const OutputObject other = staged("runs/other", "text", "shown/other");
  faulty_->removal_faults = {ErrorCode::kUnavailable, ErrorCode::kPermissionDenied};
  const Event event = report_of([&](Publisher& publisher) { publisher.remove(work); });
  const auto* removed = std::get_if<ObjectsRemoved>(&event);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->keys, work.keys);
  for (const std::string& key : work.keys) EXPECT_FALSE(store_->head(key)) << key;
  EXPECT_TRUE(store_->head(other.key));
}

TEST_F(PublisherTest, RemovesAllThatAPrunedRunLeftAndNothingElse) {
  for (int i = 0; i < 40; ++i) (void)staged(fmt::format("runs/d/one/{}/log", i), "text", fmt::format("shown/{}", i));
  (void)staged("runs/d/oneself/a", "text", "shown/a");
  faulty_->removal_faults = {ErrorCode::kUnavailable, ErrorCode::kPermissionDenied};
  const Event event = report_of([&](Publisher& publisher) { publisher.remove_run({{7}, "runs/d/one/"}); });
  const auto* removed = std::get_if<RunObjectsRemoved>(&event);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->run, RunSeq{7});
  for (int i = 0; i < 40; ++i) EXPECT_FALSE(store_->head(fmt::format("runs/d/one/{}/log", i))) << i;
  EXPECT_TRUE(store_->head("runs/d/oneself/a"));
}

TEST_F(PublisherTest, GoesOnPastAnObjectThatCannotBeRemoved) {
  (void)staged("runs/a", "text", "shown/a");
  (void)staged("runs/b", "text", "shown/b");
  faulty_->removal_faults = {ErrorCode::kInvalidInput};
  const Event event = report_of([&](Publisher& publisher) { publisher.remove({{"runs/a", "runs/b"}}); });
  EXPECT_NE(std::get_if<ObjectsRemoved>(&event), nullptr);
  EXPECT_TRUE(store_->head("runs/a"));
  EXPECT_FALSE(store_->head("runs/b"));
}

TEST_F(PublisherTest, TellsWhatTheStoreDoesNotLetGoAndRemovesTheRest) {
  constexpr std::size_t kTries = 6;  // Credentials may be being renewed.
  for (const char* key : {"runs/a", "runs/b", "runs/c"}) (void)staged(key, "text", key);
  faulty_->removal_faults = std::deque<ErrorCode>(kTries + 1, ErrorCode::kPermissionDenied);
  const Event event = report_of([&](Publisher& publisher) { publisher.remove({{"runs/a", "runs/b", "runs/c"}}); });
  const auto* removed = std::get_if<ObjectsRemoved>(&event);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->refused, (std::vector<std::string>{"runs/a", "runs/b"}));
  EXPECT_TRUE(store_->head("runs/a") && store_->head("runs/b"));
  EXPECT_FALSE(store_->head("runs/c"));
}

TEST_F(PublisherTest, StagesAgainWhatWasAborted) {
  const OutputObject object = staged("a", "one", "x/a");
  ASSERT_TRUE(store_->abort(object.upload).has_value());
  EXPECT_EQ(published(publish({object, staged("b", "two", "x/b")})), 2U);
  EXPECT_EQ(shown("x/a") + shown("x/b"), "onetwo");
  EXPECT_FALSE(has_staged_files());
}

TEST_F(PublisherTest, PublishesAgainWhatAnotherVersionReplaced) {
  const OutputObject object = staged("a", "one", "x");
  EXPECT_EQ(published(publish({object})), 1U);
  EXPECT_EQ(published(publish({staged("b", "newer", "x")})), 1U);
  EXPECT_EQ(published(publish({object})), 1U);  // As after a crash before the first report was durable.
  EXPECT_EQ(shown("x"), "one");
}

TEST_F(PublisherTest, StagesAgainOnlyOnce) {
  const OutputObject object = staged("a", "one", "x");
  faulty_->faults = {ErrorCode::kNotFound, ErrorCode::kNotFound};
  EXPECT_NE(failure(publish({object})).find("publish x: "), std::string::npos);
  EXPECT_EQ(faulty_->completions, 2);
  EXPECT_EQ(shown("x"), "");
}

TEST_F(PublisherTest, FailsWhereTheObjectItselfIsGone) {
  const OutputObject object = staged("a", "one", "x");
  ASSERT_TRUE(store_->abort(object.upload) && store_->remove("a"));
  EXPECT_NE(failure(publish({object})).find("\"a\""), std::string::npos);
}

TEST_F(PublisherTest, TriesAgainWhileTheStoreIsOutOfReach) {
  const OutputObject object = staged("a", "one", "x");
  faulty_->faults = {ErrorCode::kUnavailable, ErrorCode::kPermissionDenied};
  EXPECT_EQ(published(publish({object})), 1U);
  EXPECT_EQ(faulty_->completions, 3);
  EXPECT_EQ(shown("x"), "one");
}

TEST_F(PublisherTest, KeepsWhatItStagedAgainWhileTheStoreIsOutOfReach) {
  const OutputObject object = staged("a", "one", "x");
  ASSERT_TRUE(store_->abort(object.upload).has_value());
  faulty_->faults = {ErrorCode::kNotFound, ErrorCode::kUnavailable};
  EXPECT_EQ(published(publish({object})), 1U);
  EXPECT_EQ(faulty_->completions, 3);
  EXPECT_FALSE(has_staged_files());
}

TEST_F(PublisherTest, FailsWhereAnImmutableAssetHoldsOtherBytes) {
  EXPECT_EQ(published(publish({staged("a", "one", "x", true)})), 1U);
  const OutputObject other = staged("b", "two", "x", true);
  const OutputObject next = staged("c", "three", "y");
  EXPECT_NE(failure(publish({other, next})).find("publish x: "), std::string::npos);
  EXPECT_EQ(shown("x"), "one");
  EXPECT_EQ(shown("y"), "");
  EXPECT_FALSE(has_staged_files());
  EXPECT_NE(failure(publish({other})).find("publish x: "), std::string::npos);  // Staged again, and refused again.
}

TEST_F(PublisherTest, TakesEqualBytesForAnImmutableAsset) {
  EXPECT_EQ(published(publish({staged("a", "same", "x", true)})), 1U);
  EXPECT_EQ(published(publish({staged("b", "same", "x", true)})), 1U);
  EXPECT_EQ(shown("x"), "same");
  EXPECT_FALSE(has_staged_files());
}

}  // namespace
}  // namespace chappe
