// The launcher against the fake Kubernetes API server, which is written to what was seen of a real one.
#include "scheduler/launch/launcher.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/pods_of.h"
#include "tests/support/servers/fake_kubernetes.h"

namespace chappe::launch {
namespace {

using namespace std::chrono_literals;
using What = PodSeen::What;

class LauncherTest : public testing::Test {
 protected:
  void serve(const std::string& kubelet) {
    fake_.emplace(kubelet);
    begin_launcher();
  }
  void begin_launcher() {
    launcher_.emplace(ApiConfig{.url = fake_->url(), .namespace_name = "tasks"}, some_settings(), [this](Event event) {
      const std::lock_guard lock(mutex_);
      news_.push_back(std::get<PodSeen>(std::move(event)));
      told_[news_.back().what].insert(news_.back().attempt);
      changed_.notify_all();
    });
  }
  PodOrder order(std::uint64_t attempt) {
    PodOrder order = order_of(some_task(), attempt);
    launcher_->order(order, "key");
    return order;
  }
  /// Waits until so many attempts were told of so.
  void expect(What what, std::size_t count = 1) {
    std::unique_lock lock(mutex_);
    const auto seen = [&] { return told_[what].size() >= count; };
    EXPECT_TRUE(changed_.wait_for(lock, 60s, seen)) << fake_->ask("stats");
  }
  void expect_pods(std::int64_t count) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    Value stats;
    while (std::chrono::steady_clock::now() < end) {
      stats = json(fake_->ask("stats"));
      if (*stats.find("pods_now") == Value(count)) return;
      std::this_thread::sleep_for(5ms);
    }
    ADD_FAILURE() << to_json(stats);
  }
  void set_status(const PodOrder& order, const std::string& status) {
    fake_->ask("status", R"({"namespace": "tasks", "name": ")" + order.pod + R"(", "status": )" + status + "}");
  }
  std::vector<PodSeen> news() {
    const std::lock_guard lock(mutex_);
    return news_;
  }
  std::int64_t count(const char* verb) {
    const Value stats = json(fake_->ask("stats"));
    const Value* counted = find(&stats, "counts", verb);
    return counted == nullptr ? 0 : *counted->as_int();
  }

  static constexpr const char* kRunning =
      R"({"phase": "Running", "containerStatuses": [{"name": "task", "state": {"running": {}}}]})";
  static constexpr const char* kFailed =
      R"({"phase": "Failed", "containerStatuses": [{"name": "task", "state": {"terminated": {"exitCode": 75}}}]})";

  std::optional<support::FakeKubernetes> fake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PodSeen> news_;
  std::map<What, std::set<AttemptId>> told_;  // By what it was, of whom.
  std::optional<Launcher> launcher_;          // Last: its threads use all of the above.
};

TEST_F(LauncherTest, TakesAPodThroughItsLife) {
  serve("none");
  launcher_->begin();
  const PodOrder pod = order(1);
  expect_pods(1);
  set_status(pod, kRunning);
  expect(What::kStarted);
  set_status(pod, kFailed);
  expect(What::kEnded);
  launcher_->release(pod.pod);
  expect_pods(0);
}

TEST_F(LauncherTest, AThousandPodsLeaveNothingBehind) {
  constexpr std::uint64_t kPods = 1000;
  serve("steps");
  launcher_->begin();
  const auto began = std::chrono::steady_clock::now();
  std::vector<PodOrder> orders;
  for (std::uint64_t i = 1; i <= kPods; ++i) orders.push_back(order(i));
  expect(What::kEnded, kPods);
  for (const PodOrder& each : orders) launcher_->release(each.pod);
  expect_pods(0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  RecordProperty("pods_per_second", std::to_string(kPods / took.count()));
  std::printf("%.0f pods a second\n", kPods / took.count());
  EXPECT_EQ(count("pods"), static_cast<std::int64_t>(kPods)) << "each was made once";
}

TEST_F(LauncherTest, GetsThroughAServerThatIsNotWell) {
  serve("none");
  fake_->ask("fail", R"({"verb": "create", "status": 500, "count": 2})");
  fake_->ask("fail", R"({"verb": "create", "status": 429, "count": 1, "retry_after": 1})");
  fake_->ask("fail", R"({"verb": "create", "status": 201, "count": 1, "lost": true})");
  fake_->ask("fail", R"({"verb": "list", "status": 503, "count": 1})");
  fake_->ask("fail", R"({"verb": "delete", "status": 500, "count": 2})");
  launcher_->begin();
  const PodOrder pod = order(1);
  expect_pods(1);
  set_status(pod, kRunning);
  expect(What::kStarted);
  launcher_->release(pod.pod);
  expect_pods(0);
  EXPECT_EQ(count("pods"), 1) << "what it made without an answer it adopted";
}

TEST_F(LauncherTest, RestsAsLongAsABusyServerAsks) {
  serve("none");
  fake_->ask("fail", R"({"verb": "create", "status": 429, "count": 1, "retry_after": 2})");
  launcher_->begin();
  const auto began = std::chrono::steady_clock::now();
  order(1);
  expect_pods(1);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 2s) << "by itself it would have rested half a second";
}

TEST_F(LauncherTest, ListsAndWatchesNoSoonerThanABusyServerAsks) {
  serve("none");
  fake_->ask("fail", R"({"verb": "list", "status": 429, "count": 1, "retry_after": 2})");
  fake_->ask("fail", R"({"verb": "watch", "status": 429, "count": 1, "retry_after": 2})");
  const auto began = std::chrono::steady_clock::now();
  launcher_->begin();
  const PodOrder pod = order(1);
  expect_pods(1);
  set_status(pod, kRunning);
  expect(What::kStarted);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 2s) << "by itself it would have rested half a second";
}

TEST_F(LauncherTest, AsksSeldomWhereNoWatchEverGoesOn) {
  serve("none");
  fake_->ask("fail", R"({"verb": "watch", "status": 410, "count": 1000})");
  launcher_->begin();
  const auto began = std::chrono::steady_clock::now();
  while (count("list") < 3 && std::chrono::steady_clock::now() < began + 60s) std::this_thread::sleep_for(5ms);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 500ms + 1s) << "each rest is twice as long";
}

TEST_F(LauncherTest, TellsWhatTheServerRefuses) {
  serve("none");
  fake_->ask("fail", R"({"verb": "create", "status": 422, "count": 1, "message": "spec: Invalid value"})");
  launcher_->begin();
  order(1);
  expect(What::kRefused);
  EXPECT_EQ(news().back().message, "the Kubernetes API answers 422: spec: Invalid value");
}

TEST_F(LauncherTest, KeepsTryingWhatMayPass) {
  serve("none");
  fake_->ask("fail", R"({"verb": "create", "status": 403, "count": 1, "message": "exceeded quota"})");
  launcher_->begin();
  order(1);
  expect(What::kWaiting);
  EXPECT_EQ(news().front().message, "the Kubernetes API answers 403: exceeded quota");
  expect_pods(1);
}

TEST_F(LauncherTest, ListsAgainWhereAWatchCannotGoOn) {
  serve("none");
  launcher_->begin();
  const PodOrder pod = order(1);
  expect_pods(1);
  fake_->ask("break", "{}");
  set_status(pod, kRunning);
  fake_->ask("compact", "{}");  // What happened since the last version that it saw is forgotten.
  expect(What::kStarted);
  fake_->ask("slow", R"({"verb": "watch", "seconds": 1})");
  fake_->ask("break", "{}");
  set_status(pod, kFailed);
  fake_->ask("compact", R"({"form": "status"})");
  expect(What::kEnded);
}

TEST_F(LauncherTest, IsNotMisledByStaleListsAndDisorder) {
  serve("none");
  fake_->ask("disorder", R"({"on": true})");
  launcher_->begin();
  const PodOrder pod = order(1);
  expect_pods(1);
  fake_->ask("stale", R"({"lists": 1})");
  fake_->ask("fail", R"({"verb": "watch", "status": 410, "count": 1})");
  fake_->ask("break", "{}");
  for (int i = 0; i < 20; ++i) set_status(pod, kRunning);
  expect(What::kStarted);
  for (const PodSeen& each : news()) EXPECT_NE(static_cast<int>(each.what), static_cast<int>(What::kGone));
  fake_->ask("status", R"({"namespace": "tasks", "name": ")" + pod.pod + R"(", "delete": true})");
  expect(What::kGone);
}

TEST_F(LauncherTest, RemovesWhatAnEarlierLifeLeft) {
  serve("none");
  launcher_->begin();
  const PodOrder kept = order(1);
  order(2);
  expect_pods(2);
  launcher_.reset();
  begin_launcher();
  launcher_->order(kept, "key");
  launcher_->begin();
  expect_pods(1);
  launcher_->release(kept.pod);
  expect_pods(0);
}

TEST_F(LauncherTest, ReadsItsTokenForEachRequest) {
  const std::string file = testing::TempDir() + "launcher-token-" + std::to_string(getpid());
  std::ofstream(file) << "one\n";
  fake_.emplace("none", std::vector<std::string>{"--token-file", file});
  KubernetesApi api({.url = fake_->url(), .namespace_name = "tasks", .token_file = file});
  EXPECT_EQ(api.look("any")->status, 404);
  std::ofstream(file) << "two\n";
  EXPECT_EQ(api.look("any")->status, 404);
  KubernetesApi stranger({.url = fake_->url(), .namespace_name = "tasks"});
  EXPECT_EQ(stranger.look("any")->status, 401);
  unlink(file.c_str());
}

TEST_F(LauncherTest, ListsPageByPage) {
  serve("none");
  KubernetesApi api({.url = fake_->url(), .namespace_name = "tasks"});
  constexpr std::size_t kPods = kListPage + 3;
  for (std::size_t i = 0; i < kPods; ++i) {
    ASSERT_EQ(api.create(make_pod(some_settings(), order_of(some_task(), i + 1), "key").value())->status, 201);
  }
  const auto listed = api.list("chappe/installation=0123456789abcdef");
  ASSERT_TRUE(listed.has_value());
  EXPECT_EQ(listed->pods.size(), kPods);
  EXPECT_TRUE(api.list("chappe/installation=another")->pods.empty());
}

}  // namespace
}  // namespace chappe::launch
