#include "worker/request/answer.h"

#include <gtest/gtest.h>

namespace chappe::request {
namespace {

http::Response response(int status, std::string body, http::Headers headers = {}) {
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

Value json_answer(const std::string& body) {
  return answer_value(response(200, body, {{"content-type", "application/json; charset=utf-8"}}));
}

TEST(Answer, HoldsStatusHeadersAndTheBodyAsText) {
  const Value answer = answer_value(response(404, "{}", {{"set-cookie", "a"}, {"date", "now"}, {"set-cookie", "b"}}));
  EXPECT_EQ(to_json(answer), R"({"status":404,"headers":{"set-cookie":"a, b","date":"now"},"body":"{}"})");
}

TEST(Answer, HoldsTheValueOfABodyThatSaysItIsJson) {
  EXPECT_EQ(to_json(*json_answer(R"({"a": [1, null]})").find("body")), R"({"a":[1,null]})");
  const Value problem = answer_value(response(500, "[1]", {{"content-type", "application/problem+json"}}));
  EXPECT_EQ(to_json(*problem.find("body")), "[1]");
}

TEST(Answer, KeepsTheTextOfABodyThatIsNoJsonAfterAll) {
  EXPECT_EQ(to_json(*json_answer("{oops").find("body")), R"("{oops")");
  EXPECT_EQ(to_json(*json_answer("").find("body")), R"("")");
}

TEST(Answer, IsASuccessFrom200To299WithoutACondition) {
  EXPECT_EQ(refusal_of("", answer_value(response(200, ""))), std::nullopt);
  EXPECT_EQ(refusal_of("", answer_value(response(299, ""))), std::nullopt);
  EXPECT_EQ(refusal_of("", answer_value(response(301, ""))), "the status is not from 200 to 299");
  EXPECT_EQ(refusal_of("", answer_value(response(199, ""))), "the status is not from 200 to 299");
}

TEST(Answer, IsJudgedByItsCondition) {
  EXPECT_EQ(refusal_of("response.status == 404", answer_value(response(404, ""))), std::nullopt);
  const Value answer = json_answer(R"({"state": "done"})");
  EXPECT_EQ(refusal_of("response.body.state == 'done' && response.headers['content-type'] != ''", answer),
            std::nullopt);
  EXPECT_EQ(refusal_of("response.body.state == 'new'", answer), "not so: response.body.state == 'new'");
}

TEST(Answer, IsRefusedWhereTheConditionHasNoValue) {
  EXPECT_EQ(refusal_of("response.body.count > 0", json_answer("{}")), "success: response.body.count is absent");
  EXPECT_EQ(refusal_of("response.status", json_answer("{}"))->substr(0, 9), "success: ");
  EXPECT_EQ(refusal_of("response.status ==", json_answer("{}"))->substr(0, 9), "success: ");
}

TEST(Answer, IsToldByItsFirstLine) {
  EXPECT_EQ(first_line("no\r\nsuch"), "no");
  EXPECT_EQ(first_line("a\x1b[1mb"), "a [1mb");
  EXPECT_EQ(first_line(std::string(300, 'x')).size(), 200U);
}

}  // namespace
}  // namespace chappe::request
