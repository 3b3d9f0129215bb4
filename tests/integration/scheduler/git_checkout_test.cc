// What a checkout says of itself in its files: written here as git writes them.
#include "scheduler/app/git_checkout.h"

#include <gtest/gtest.h>

#include <fstream>

namespace chappe {
namespace {

namespace fs = std::filesystem;

const std::string kFirst(40, 'a');
const std::string kSecond(64, 'b');

class GitCheckoutTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::path(testing::TempDir()) / "checkout-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = fs::canonical(name);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string commit_of(const std::string& folder) const {
    const auto checkout = find_git_checkout(root_ / folder);
    return checkout ? checkout->commit() : "no checkout";
  }

  fs::path root_;
};

TEST_F(GitCheckoutTest, IsThatOfTheFolderOrOneAboveIt) {
  write("team/dags/a.yaml", "");
  EXPECT_EQ(commit_of("team/dags"), "no checkout");
  write(".git/HEAD", kFirst + "\n");
  EXPECT_EQ(commit_of("team/dags"), kFirst);
  EXPECT_EQ(commit_of("absent"), "no checkout");
}

TEST_F(GitCheckoutTest, HasTheCommitOfItsBranch) {
  write(".git/HEAD", "ref: refs/heads/team/main\n");
  EXPECT_EQ(commit_of(""), "") << "a branch without a commit";
  write(".git/packed-refs", "# pack-refs with: peeled fully-peeled sorted\n" + std::string(40, 'c') +
                                " refs/heads/main\n" + kSecond + " refs/heads/team/main\n^" + kFirst + "\n");
  EXPECT_EQ(commit_of(""), kSecond);
  write(".git/refs/heads/team/main", kFirst + "\n");
  EXPECT_EQ(commit_of(""), kFirst) << "newer than what is packed";
}

TEST_F(GitCheckoutTest, OfAWorktreeHasItsOwnHeadAndTheSharedBranches) {
  write("repository/.git/HEAD", "ref: refs/heads/main\n");
  write("repository/.git/refs/heads/main", kFirst);
  write("repository/.git/refs/heads/other", kSecond);
  write("repository/.git/worktrees/tree/HEAD", "ref: refs/heads/other\n");
  write("repository/.git/worktrees/tree/commondir", "../..\n");
  write("tree/.git", "gitdir: " + (root_ / "repository/.git/worktrees/tree").string() + "\n");
  EXPECT_EQ(commit_of("tree"), kSecond);
  write("beside/.git", "gitdir: ../repository/.git/worktrees/tree\n");
  EXPECT_EQ(commit_of("beside"), kSecond);
  const auto folders = find_git_checkout(root_ / "beside")->folders();
  EXPECT_EQ(folders.size(), 3U);
}

TEST_F(GitCheckoutTest, HasNoCommitWhereItsFilesMakeNoSense) {
  for (const std::string head :
       {"ref: refs/heads/../../etc/passwd", "ref: HEAD", "ref: refs/heads/main", "no commit", ""}) {
    write(".git/HEAD", head);
    EXPECT_EQ(commit_of(""), "") << head;
  }
  write(".git/HEAD", "ref: refs/heads/round");
  write(".git/refs/heads/round", "ref: refs/heads/round");
  EXPECT_EQ(commit_of(""), "") << "a circle ends";
  write("odd/.git", "something else");
  EXPECT_EQ(commit_of("odd"), "no checkout");
}

TEST_F(GitCheckoutTest, IsChangingWhileItsIndexIsLocked) {
  write(".git/HEAD", kFirst);
  EXPECT_FALSE(find_git_checkout(root_)->is_changing());
  write(".git/index.lock", "");
  EXPECT_TRUE(find_git_checkout(root_)->is_changing());
}

TEST_F(GitCheckoutTest, FoldersOfLinksAreThoseThatALinkOnTheWayStandsIn) {
  write("sync/rev/1/dags/a.yaml", "");
  fs::create_directory_symlink("rev/1", root_ / "sync/current");
  fs::create_directory_symlink(root_ / "sync/current", root_ / "here");
  const fs::path way = root_ / "here/dags";
  EXPECT_EQ(folders_of_links(way), (std::vector<fs::path>{root_, root_ / "sync"}));
  EXPECT_TRUE(folders_of_links(root_ / "sync/rev/1/dags").empty());
  fs::create_directory_symlink("round", root_ / "round");
  EXPECT_FALSE(folders_of_links(root_ / "round").empty()) << "a circle ends";
}

}  // namespace
}  // namespace chappe
