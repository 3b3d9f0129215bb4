// Where threads of the scheduler meet: many of them at once, at what they share. What is wrong there ThreadSanitizer
// says, beneath which this program is made; the expectations are that nothing gets lost.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "scheduler/api/log_hub.h"
#include "scheduler/app/mailbox.h"
#include "scheduler/app/publisher.h"
#include "scheduler/app/result_lookups.h"

namespace chappe {
namespace {

using namespace std::chrono_literals;

constexpr int kEach = 200;  ///< Things that each thread does.
constexpr std::uint64_t kWriters = 4;

/// Objects in memory; each third removal says that the store is out of reach.
class FewObjects final : public ObjectStore {
 public:
  void put(const std::string& key) {
    const std::lock_guard lock(mutex_);
    keys_.insert(key);
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return keys_.size();
  }
  Result<std::unique_ptr<ObjectWriter>> create(const std::string&, const PutOptions&, std::uint64_t) override {
    return fail(ErrorCode::kUnsupported, "create");
  }
  Result<ObjectInfo> read(const std::string& key, std::uint64_t, std::optional<std::uint64_t>,
                          const std::function<bool(std::span<const std::byte>)>&) override {
    return head(key);
  }
  Result<ObjectInfo> head(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    if (!keys_.contains(key)) return fail(ErrorCode::kNotFound, key);
    return ObjectInfo{.key = key};
  }
  Result<void> remove(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    if (++removals_ % 3 == 0) return fail(ErrorCode::kUnavailable, "a bad day");
    keys_.erase(key);
    return {};
  }
  Result<void> list(const std::string&, const std::function<bool(const ObjectInfo&)>&) override { return {}; }
  Result<std::string> stage(const std::string& key, std::uint64_t, const std::string&, const PutOptions&) override {
    return key;
  }
  Result<std::string> restage(const std::string&, const std::string& key, PutOptions) override { return key; }
  Result<ObjectInfo> complete(const std::string& upload) override { return head(upload); }
  Result<void> abort(const std::string&) override { return {}; }
  std::string locate(const std::string& uri) const override { return uri; }
  std::string locate_object(const std::string& key) const override { return key; }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> keys_;
  std::uint64_t removals_ = 0;
};

/// As the loop: takes mail until it has so many events.
std::vector<Event> take_events(Mailbox& mailbox, std::size_t count) {
  std::vector<Event> events;
  while (events.size() < count) {
    pollfd fd{mailbox.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&fd, 1, 30'000), 1);
    for (Mail& mail : mailbox.take()) {
      if (auto* event = std::get_if<Event>(&mail)) events.push_back(std::move(*event));
      if (auto* request = std::get_if<Request>(&mail)) request->done(Value(1));
    }
    if (::testing::Test::HasFailure()) break;
  }
  return events;
}

TEST(Threads, MailOfManyIsTakenOnceAndRequestsAreAnswered) {
  Mailbox mailbox;
  std::atomic<int> answers = 0;
  std::vector<std::jthread> writers;
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        Mail request = Request{DagRemoved{.dag = "d"}, [&](const Result<Value>&) { ++answers; }};
        while (!mailbox.post(std::move(request))) std::this_thread::yield();
        EXPECT_TRUE(mailbox.post(Mail(Event(ObjectsRemoved{}))));
      }
    });
  }
  EXPECT_EQ(take_events(mailbox, kWriters * kEach).size(), kWriters * kEach);
  writers.clear();
  for (Mail& mail : mailbox.take()) std::get<Request>(mail).done(Value(1));
  EXPECT_EQ(answers, kWriters * kEach);
}

TEST(Threads, ErrandsAreReportedOnceThoughTheStoreIsOutOfReachNowAndThen) {
  FewObjects objects;
  Mailbox mailbox;
  {
    Publisher publisher(objects, [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
    for (std::uint64_t i = 0; i < kEach; ++i) {
      const std::string key = "runs/" + std::to_string(i);
      objects.put(key);
      PublishAssets work{.key = {.run = {1}, .index = 1}, .attempt = {i + 1}, .uploads = {}, .values = {}};
      OutputObject object{.name = "out", .key = key, .asset_uri = key};
      object.upload = key;
      work.uploads.push_back({{i + 1}, object});
      publisher.publish(std::move(work));
    }
    std::set<AttemptId> published;
    for (const Event& event : take_events(mailbox, kEach)) published.insert(std::get<AssetsPublished>(event).attempt);
    EXPECT_EQ(published.size(), static_cast<std::size_t>(kEach));
    publisher.remove({{"runs/1", "runs/2", "runs/3", "runs/4"}});
    EXPECT_EQ(take_events(mailbox, 1).size(), 1U);
    publisher.drop({});
  }
  EXPECT_EQ(objects.size(), static_cast<std::size_t>(kEach) - 4);
}

TEST(Threads, EachLookupIsAnsweredOnceSoonOrLater) {
  FewObjects objects;
  Mailbox mailbox;
  std::atomic<int> opened = 0;
  ResultLookups lookups(
      objects,
      [&]() -> Result<std::unique_ptr<MetaReader>> {
        ++opened;
        return fail(ErrorCode::kUnavailable, "no store");
      },
      [&](Event event) { (void)mailbox.post(Mail(std::move(event))); });
  std::set<std::uint64_t> answered;
  const auto note = [&](const Event& event) {
    EXPECT_TRUE(answered.insert(std::get<CacheLooked>(event).serial).second);
  };
  std::uint64_t serial = 0;
  for (int round = 0; round < kEach; ++round) {
    std::vector<CacheLookup> some;
    for (int i = 0; i < 4; ++i) some.push_back({{{1}, 0}, ++serial, {}, "t", ""});
    if (round % 2 == 0) {
      lookups.look_up(std::move(some));
    } else {
      for (const Event& event : lookups.look_up_soon(std::move(some), 100us)) note(event);
    }
  }
  for (const Event& event : take_events(mailbox, serial - answered.size())) note(event);
  EXPECT_EQ(answered.size(), serial);
  EXPECT_EQ(opened, static_cast<int>(serial));
}

TEST(Threads, ALogIsReadWhileItIsWritten) {
  api::LogHub logs(64 * 1024);
  std::atomic<std::uint64_t> writing = kWriters;
  std::vector<std::jthread> writers;
  for (std::uint64_t writer = 1; writer <= kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const std::string line(100, 'x');
      for (std::uint64_t i = 0; i < kEach; ++i) logs.append({writer}, i * line.size(), line, WallTime{1});
      logs.finish({writer});
      --writing;
    });
  }
  for (bool last = false; !last;) {
    last = writing == 0;
    for (std::uint64_t writer = 1; writer <= kWriters; ++writer) {
      const auto piece = logs.read({writer}, 0);
      const std::string data = piece ? piece->data : "";
      EXPECT_EQ(data, std::string(data.size(), 'x'));
    }
  }
  EXPECT_LE(logs.total_bytes(), 64U * 1024);
}

}  // namespace
}  // namespace chappe
