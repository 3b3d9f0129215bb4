#include "worker/app/work_directory.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "worker/exec/fence.h"

namespace chappe::worker {
namespace {

using namespace std::chrono_literals;

class WorkDirectoryTest : public ::testing::Test {
 protected:
  ~WorkDirectoryTest() override { std::filesystem::remove_all(root_); }

  /// A folder that came back so unchanged that nobody looked before it was handed out again.
  AttemptFolder known_folder() {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < until) {
      AttemptFolder folder = directory_.acquire({1}).value();
      if (folder.stamped_until != MonoTime{}) return folder;
      EXPECT_FALSE(directory_.release(folder));
    }
    ADD_FAILURE() << "an empty folder is looked at again and again";
    return {};
  }

  static std::filesystem::path make_root() {
    std::string name = (std::filesystem::temp_directory_path() / "chappe-work-XXXXXX").string();
    return ::mkdtemp(name.data());
  }

  std::filesystem::path root_ = make_root();
  WorkDirectory directory_ = WorkDirectory::open(root_ / "work", false, 0s).value();
};

TEST_F(WorkDirectoryTest, WhatAnAttemptLeavesIsSeenThoughNobodyLookedBefore) {
  for (const std::string AttemptFolder::*inner : {&AttemptFolder::work, &AttemptFolder::tmp}) {
    AttemptFolder folder = known_folder();
    std::ofstream(folder.*inner + "/left") << "behind";
    EXPECT_TRUE(directory_.release(folder));
    WorkDirectory::remove(folder.root);
  }
}

TEST_F(WorkDirectoryTest, WhatCameBetweenTwoAttemptsIsSeenAfterTheSecond) {
  AttemptFolder folder = known_folder();
  const AttemptFolder same = folder;
  EXPECT_FALSE(directory_.release(folder));
  std::ofstream(same.work + "/late") << "a straggler's";
  AttemptFolder next = directory_.acquire({2}).value();
  ASSERT_EQ(next.root, same.root);
  EXPECT_TRUE(directory_.release(next));
}

TEST_F(WorkDirectoryTest, AnEmptyFolderIsLookedAtAgainWhenItsStampHasRunOut) {
  AttemptFolder folder = known_folder();
  const MonoTime before = exec::boot_time();
  EXPECT_FALSE(directory_.release(folder));
  const MonoTime after = exec::boot_time();
  folder = directory_.acquire({2}).value();
  EXPECT_GE(folder.stamped_until, before + kStampLasts);
  EXPECT_LE(folder.stamped_until, after + kStampLasts);

  const AttemptFolder known = folder;
  EXPECT_FALSE(directory_.release(folder));
  std::ofstream(known.work + "/late") << "a straggler's";
  const MonoTime runs_out = exec::boot_time() + kStampLasts;
  while (exec::boot_time() <= runs_out) std::this_thread::yield();
  EXPECT_NE(directory_.acquire({3}).value().root, known.root);
  EXPECT_FALSE(std::filesystem::exists(known.root));
}

TEST_F(WorkDirectoryTest, AFolderThatIsGoneIsNotTakenBack) {
  AttemptFolder folder = known_folder();
  std::filesystem::remove_all(folder.root);
  EXPECT_TRUE(directory_.release(folder));
  EXPECT_TRUE(std::filesystem::is_directory(directory_.acquire({2}).value().work));
}

}  // namespace
}  // namespace chappe::worker
