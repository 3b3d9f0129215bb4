#include "proto/transport/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/integration/proto/wire_test.h"

namespace chappe::transport {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class KeysTest : public testing::Test {
 protected:
  KeysTest() {
    std::string pattern = (fs::temp_directory_path() / "chappe-keys-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~KeysTest() override { fs::remove_all(directory_); }

  fs::path write(const std::string& name, const std::string& text, fs::perms mode = fs::perms::owner_read) {
    const fs::path file = directory_ / name;
    std::ofstream(file) << text;
    fs::permissions(file, mode);
    return file;
  }

  fs::path directory_;
};

TEST_F(KeysTest, MakesAPairOnceAndReadsItAfterwards) {
  const auto made = load_or_make_keys(directory_ / "keys", "scheduler");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto read = load_or_make_keys(directory_ / "keys", "scheduler");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->secret_key, made->secret_key);
  EXPECT_EQ(read->public_key, made->public_key);
  EXPECT_EQ(load_public_key(directory_ / "keys/scheduler.pub").value(), made->public_key);
  EXPECT_EQ(load_keys(directory_ / "keys/scheduler.key")->public_key, made->public_key);
}

TEST_F(KeysTest, DerivesAPairForEachPurposeAndMakesItAgain) {
  const KeyPair keys = new_keys();
  const KeyPair one = derive_keys(keys, "pod 1");
  EXPECT_EQ(derive_keys(keys, "pod 1").secret_key, one.secret_key);
  EXPECT_EQ(pair_of(one.secret_key)->public_key, one.public_key);
  EXPECT_NE(derive_keys(keys, "pod 2").secret_key, one.secret_key);
  EXPECT_NE(derive_keys(new_keys(), "pod 1").secret_key, one.secret_key);
}

TEST_F(KeysTest, WritesKeysInHexAndReadsThem) {
  const std::string key = new_keys().public_key;
  EXPECT_EQ(to_hex_key(key).size(), 64U);
  EXPECT_EQ(from_hex_key(to_hex_key(key)).value(), key);
  for (const char* wrong : {"", "12", "zz"}) EXPECT_FALSE(from_hex_key(wrong).has_value());
  EXPECT_FALSE(from_hex_key(std::string(64, '+')).has_value());
  EXPECT_FALSE(pair_of("short").has_value());
}

TEST_F(KeysTest, KeepsTheSecretToItsOwner) {
  ASSERT_TRUE(load_or_make_keys(directory_, "worker").has_value());
  EXPECT_EQ(fs::status(directory_ / "worker.key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(KeysTest, RefusesASecretThatOthersCanRead) {
  const fs::path file = write("open.key", new_keys().secret_key, fs::perms::owner_read | fs::perms::group_read);
  const auto keys = load_keys(file);
  ASSERT_FALSE(keys.has_value());
  EXPECT_EQ(keys.error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(keys.error().message, HasSubstr("chmod 600"));
}

TEST_F(KeysTest, NamesWhatIsMissingOrWrong) {
  EXPECT_EQ(load_keys(directory_ / "none.key").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_public_key(directory_ / "none.pub").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_keys(write("bad.key", "not a key")).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(load_public_key(write("bad.pub", "not a key")).error().code, ErrorCode::kInvalidInput);
}

TEST_F(KeysTest, DoesNotReplaceASecretThatWasLost) {
  write("scheduler.pub", new_keys().public_key);
  const auto keys = load_or_make_keys(directory_, "scheduler");
  ASSERT_FALSE(keys.has_value());
  EXPECT_THAT(keys.error().message, HasSubstr("restore the secret key"));
}

TEST_F(KeysTest, ProcessesThatStartTogetherAgreeOnOnePair) {
  std::vector<std::string> secrets(8);
  std::vector<std::thread> threads;
  for (std::string& secret : secrets) {
    threads.emplace_back([&] { secret = load_or_make_keys(directory_, "scheduler").value().secret_key; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(secrets, testing::Each(secrets.front()));
}

TEST_F(KeysTest, ReadsTheListOfWorkersWithNamesAndComments) {
  const std::string one = new_keys().public_key;
  const std::string two = new_keys().public_key;
  const fs::path file =
      write("authorized_workers", "# all of them\n\n" + one + "  gpu-1 # in the cellar\n" + two + "\n  #" + two + "\n");
  const auto keys = load_authorized_workers(file);
  ASSERT_TRUE(keys.has_value()) << keys.error().message;
  EXPECT_THAT(*keys, testing::UnorderedElementsAre(one, two));
}

TEST_F(KeysTest, TellsTheLineThatIsNoKey) {
  const auto keys = load_authorized_workers(write("authorized_workers", "# list\nnonsense\n"));
  ASSERT_FALSE(keys.has_value());
  EXPECT_THAT(keys.error().message, HasSubstr("authorized_workers:2: no CURVE public key"));
}

}  // namespace
}  // namespace chappe::transport
