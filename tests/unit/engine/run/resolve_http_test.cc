#include "engine/run/resolve_http.h"

#include <gtest/gtest.h>

namespace chappe {
namespace {

class Params : public expr::Scope {
 public:
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] != "params") return std::nullopt;
    return Value(ValueMap{{"text", "a\"b"}, {"list", ValueList{1, "x"}}, {"long", std::string(kHttpBodyMax, 'x')}});
  }
};

HttpPiece piece(std::string_view text, HttpPiece::Form form = HttpPiece::Form::kPlain) {
  return {*expr::Template::parse(text), "", form};
}

Result<ResolvedHttp> resolved(HttpSpec spec) {
  return resolve_http(spec, Params(), [](const expr::Template&, Error error) { return error; });
}

TEST(ResolveHttp, JoinsWhatItKnowsAndLeavesSecretsOut) {
  HttpSpec spec{.url = {piece("https://h/"), piece("${{ params.text }}"), {{}, "KEY"}, piece("/end")}};
  const auto http = resolved(spec);
  ASSERT_TRUE(http.has_value());
  EXPECT_EQ(http->url, (ResolvedHttpText{{"https://h/a\"b", "", false}, {"", "KEY", false}, {"/end", "", false}}));
}

TEST(ResolveHttp, WritesJsonByTheFormOfEachPiece) {
  using enum HttpPiece::Form;
  HttpSpec spec{.body = {piece("{\"a\":"),
                         piece("${{ params.list }}", kJson),
                         piece(",\"b\":\""),
                         piece("${{ params.text }}", kInJson),
                         {{}, "KEY", kInJson},
                         piece("\"}")}};
  const auto http = resolved(spec);
  ASSERT_TRUE(http.has_value());
  EXPECT_EQ(http->body,
            (ResolvedHttpText{{R"({"a":[1,"x"],"b":"a\"b)", "", false}, {"", "KEY", true}, {"\"}", "", false}}));
}

TEST(ResolveHttp, HasBounds) {
  HttpSpec body{.body = {piece("${{ params.long }}")}};
  EXPECT_TRUE(resolved(body).has_value());
  body.body.push_back(piece("x"));
  EXPECT_EQ(resolved(body).error().message, "http: body has over 1048576 bytes");
  HttpSpec url{.url = {piece("${{ params.long }}")}};
  EXPECT_EQ(resolved(url).error().message, "http: url has over 8192 bytes");
  HttpSpec header{.headers = {{"x", {piece("${{ params.long }}")}}}};
  EXPECT_EQ(resolved(header).error().message, "http: header 'x' has over 16384 bytes");
}

TEST(ResolveHttp, SaysWhichTextHasNoValue) {
  const auto http = resolved({.url = {piece("${{ params.none }}")}});
  EXPECT_EQ(http.error().message, "http: url: params.none is absent");
}

}  // namespace
}  // namespace chappe
