#include "worker/exec/oom_counter.h"

#include <gtest/gtest.h>

namespace chappe::exec {
namespace {

TEST(OomCounter, ReadsTheKillsOfBothVersions) {
  EXPECT_EQ(OomCounter::parse("low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n"), 3U);
  EXPECT_EQ(OomCounter::parse("oom_kill_disable 0\nunder_oom 0\noom_kill 12\n"), 12U);
  EXPECT_EQ(OomCounter::parse("something else\n"), 0U);
  EXPECT_EQ(OomCounter::parse(""), 0U);
}

constexpr char kVersion1[] = "9:name=systemd:/\n4:memory:/pod/a\n1:cpu:/\n0::/\n";
constexpr char kVersion2[] = "0::/system.slice/chappe.service\n";

bool anywhere(const std::string&) { return true; }
bool nowhere(const std::string&) { return false; }
bool at_the_root(const std::string& file) {
  return file == "/sys/fs/cgroup/memory/memory.oom_control" || file == "/sys/fs/cgroup/memory.events";
}

TEST(OomCounter, LooksIntoItsOwnGroup) {
  EXPECT_EQ(OomCounter::file_for(kVersion1, anywhere), "/sys/fs/cgroup/memory/pod/a/memory.oom_control");
  EXPECT_EQ(OomCounter::file_for(kVersion2, anywhere), "/sys/fs/cgroup/system.slice/chappe.service/memory.events");
}

TEST(OomCounter, LooksAtTheRootWhereAContainerShowsItsGroupThere) {
  EXPECT_EQ(OomCounter::file_for(kVersion1, at_the_root), "/sys/fs/cgroup/memory/memory.oom_control");
  EXPECT_EQ(OomCounter::file_for(kVersion2, at_the_root), "/sys/fs/cgroup/memory.events");
}

TEST(OomCounter, FallsBackToTheWholeMachine) {
  EXPECT_EQ(OomCounter::file_for(kVersion2, nowhere), "/proc/vmstat");
  EXPECT_EQ(OomCounter::file_for("", anywhere), "/proc/vmstat");
}

}  // namespace
}  // namespace chappe::exec
