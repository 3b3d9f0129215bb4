#include "scheduler/launch/api_answer.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace chappe::launch {
namespace {

using namespace std::chrono_literals;

std::optional<Duration> rest_of(const std::string& header) {
  http::Response response{.status = 429};
  response.headers.emplace_back("retry-after", header);
  return answer_of(response).retry_after;
}

TEST(ApiAnswer, TellsHowLongToRest) {
  EXPECT_EQ(rest_of("7"), Duration(7s));
  EXPECT_EQ(rest_of("0"), Duration(0s));
  EXPECT_EQ(rest_of("86400"), Duration(2min)) << "no longer than that, whoever asks";
  EXPECT_EQ(rest_of("-1"), std::nullopt);
  EXPECT_EQ(rest_of("soon"), std::nullopt);
  EXPECT_EQ(answer_of(http::Response{.status = 429}).retry_after, std::nullopt);
}

TEST(ApiAnswer, SaysWhatTheServerSays) {
  const ApiAnswer answer = answer_of(http::Response{.status = 403, .body = R"({"message": "exceeded quota"})"});
  EXPECT_EQ(answer.message, "the Kubernetes API answers 403: exceeded quota");
  EXPECT_EQ(answer_of(http::Response{.status = 502, .body = "<html>"}).message, "the Kubernetes API answers 502");
}

class WatchReaderTest : public testing::Test {
 protected:
  std::string version = "5";
  std::vector<std::string> types;
  const std::function<void(const WatchEvent&)> note = [this](const WatchEvent& event) { types.push_back(event.type); };
  WatchReader reader{version, note};
};

TEST_F(WatchReaderTest, PutsEventsTogetherAndRemembersHowFarItCame) {
  EXPECT_TRUE(reader.add(R"({"type": "ADDED", "object": {"metadata": {"resourceVersion": "6"}}})"
                         "\n"
                         R"({"type": "BOO)"));
  EXPECT_EQ(version, "6");
  EXPECT_TRUE(reader.add(R"(KMARK", "object": {"metadata": {"resourceVersion": "9"}}})"
                         "\n\n"));
  EXPECT_EQ(version, "9");
  EXPECT_EQ(types, (std::vector<std::string>{"ADDED", "BOOKMARK"}));
  EXPECT_EQ(reader.end().value(), WatchEnd::kClosed);
}

TEST_F(WatchReaderTest, IsExpiredByAnErrorInAnAnswerThatBeganWell) {
  EXPECT_FALSE(reader.add(R"({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}})"
                          "\n"));
  EXPECT_EQ(reader.end().value(), WatchEnd::kExpired);
  EXPECT_EQ(version, "5");
}

TEST_F(WatchReaderTest, TellsOtherErrorsAndNonsense) {
  EXPECT_FALSE(reader.add(R"({"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}})"
                          "\n"));
  EXPECT_EQ(reader.end().error().message, "watch pods: the server says: etcd is away");
  WatchReader other(version, note);
  EXPECT_FALSE(other.add("nonsense\n"));
  EXPECT_FALSE(other.end());
}

TEST_F(WatchReaderTest, GivesUpAnEventWithoutEnd) {
  const std::string piece(kWatchLineMax, ' ');
  EXPECT_TRUE(reader.add(piece));
  EXPECT_FALSE(reader.add(" "));
  EXPECT_EQ(reader.end().error().message, "watch pods: an event has no end");
}

}  // namespace
}  // namespace chappe::launch
