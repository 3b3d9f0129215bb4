#include "proto/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chappe::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, AreTextThatPrometheusReads) {
  Registry registry;
  registry.counter("a_total", "What a counts.", {{"by", "x"}}).add(3);
  registry.gauge("b", "What b is.").set(-1.5);
  registry.seconds("c_seconds", "How long c takes.").observe(0.02);
  const std::string text = registry.text();
  EXPECT_THAT(text, HasSubstr("# HELP a_total What a counts.\n# TYPE a_total counter\na_total{by=\"x\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE b gauge\nb -1.5\n"));
  EXPECT_THAT(text, HasSubstr("c_seconds_bucket{le=\"0.01\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("c_seconds_bucket{le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("c_seconds_count 1\n"));
}

TEST(Metrics, OfTheSameNameAndLabelsAreTheSame) {
  Registry registry;
  registry.counter("a_total", "A.", {{"by", "x"}}).add();
  registry.counter("a_total", "A.", {{"by", "x"}}).add();
  registry.counter("a_total", "A.", {{"by", "y"}}).add();
  EXPECT_THAT(registry.text(), HasSubstr("a_total{by=\"x\"} 2\n"));
  EXPECT_THAT(registry.text(), HasSubstr("a_total{by=\"y\"} 1\n"));
}

TEST(Metrics, EscapeWhatALabelHolds) {
  Registry registry;
  registry.counter("a_total", "A.", {{"by", "a\"b\\c\nd"}}).add();
  EXPECT_THAT(registry.text(), HasSubstr(R"(a_total{by="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, TellWhatTheProcessUses) {
  const Registry registry;
  const std::string text = registry.text();
  for (const char* name : {"process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds ",
                           "process_start_time_seconds "}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name));
  }
  EXPECT_THAT(text, Not(HasSubstr("process_open_fds 0\n")));
}

TEST(Metrics, AreNotServedWhereNobodyCanListen) {
  const Registry registry;
  EXPECT_FALSE(Exposer::start("203.0.113.1:1", registry).has_value());
}

}  // namespace
}  // namespace chappe::metrics
