// What the loader makes of a request, and of what a task declares to read and write outside.
#include <gtest/gtest.h>

#include "dags/loader/loader.h"

namespace chappe {
namespace {

LoadedDag load(const std::string& tasks) {
  return load_dag(
      "name: d\nparams: {year: {type: integer, default: 1}}\nsecrets: {A: {env: A}, B: {env: B}}\ntasks:\n" + tasks,
      "d.yaml");
}

/// "text", "<secret>", "{json}" and "(in json)", piece by piece.
std::string shown(const HttpText& text) {
  std::string out;
  for (const HttpPiece& piece : text) {
    const std::string what = !piece.secret.empty()     ? "<" + piece.secret + ">"
                             : piece.text.is_literal() ? piece.text.literal_text()
                                                       : piece.text.text();
    const bool json = piece.form == HttpPiece::Form::kJson, inside = piece.form == HttpPiece::Form::kInJson;
    out += json ? "{" + what + "}" : inside ? "(" + what + ")" : what;
  }
  return out;
}

TEST(Http, IsReadInPieces) {
  const LoadedDag loaded = load(R"(
  - id: call
    http:
      url: https://h/${{ secrets.A }}/${{ params.year }}
      method: PUT
      headers: {X-Key: "k ${{secrets.A}}"}
      json: {"q\"": ["${{ params.year }}", "in ${{ params.year }}", "${{ secrets.A }}", 1.5, null, "a\"b"]}
      success: ${{ response.status == 200 }}
      max_redirects: 0
    timeout: 5s
)");
  ASSERT_NE(loaded.dag, nullptr) << loaded.diagnostics.at(0).text();
  const Task& task = loaded.dag->tasks[0];
  EXPECT_EQ(task.kind, TaskKind::kHttp);
  const HttpSpec& http = *task.work->http;
  EXPECT_EQ(http.method, "PUT");
  EXPECT_EQ(shown(http.url), "https://h/<A>/${{params.year}}");
  ASSERT_EQ(http.headers.size(), 2U);
  EXPECT_EQ(http.headers[0].first, "x-key");
  EXPECT_EQ(shown(http.headers[0].second), "k <A>");
  EXPECT_EQ(http.headers[1].first, "content-type");
  EXPECT_EQ(shown(http.body),
            R"json({"q\"":[{${{params.year}}},"in (${{params.year}})","(<A>)",1.5,null,"a\"b"]})json");
  EXPECT_EQ(http.success.text(), "response.status == 200");
  EXPECT_EQ(http.redirects_max, 0);
  EXPECT_EQ(task.work->timeout, Duration(std::chrono::seconds(5)));
}

TEST(Http, HasATimeoutTheValuesOfItsAnswerAndNoSecretsButItsOwn) {
  const LoadedDag loaded = load("  - {id: call, http: {url: 'https://h/', headers: {k: '${{ secrets.B }}'}}}\n");
  ASSERT_NE(loaded.dag, nullptr) << loaded.diagnostics.at(0).text();
  const WorkSpec& work = *loaded.dag->tasks[0].work;
  EXPECT_EQ(work.timeout, kHttpTimeoutDefault);
  ASSERT_EQ(work.values.size(), 3U);
  EXPECT_EQ(work.values[1].name, "body");
  EXPECT_EQ(work.values[1].file, kHttpAnswerFile);
  EXPECT_EQ(work.values[1].json_path, "$.body");
  ASSERT_EQ(work.secrets.size(), 1U);
  EXPECT_EQ(work.secrets[0].name, "B");
}

TEST(Http, HasAtMost64Headers) {
  const auto headers = [](std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += "h" + std::to_string(i) + ": a, ";
    return load("  - {id: call, http: {url: 'https://h/', headers: {" + all + "}}}\n");
  };
  EXPECT_NE(headers(kHttpHeadersMax).dag, nullptr);
  EXPECT_EQ(headers(kHttpHeadersMax + 1).dag, nullptr);
}

TEST(Lineage, IsReadAsTemplates) {
  const LoadedDag loaded =
      load("  - {id: a, run: x, lineage: {inputs: ['db://in'], outputs: ['db://${{ params.year }}']}}\n");
  ASSERT_NE(loaded.dag, nullptr) << loaded.diagnostics.at(0).text();
  const LineageSpec& lineage = *loaded.dag->tasks[0].lineage;
  EXPECT_EQ(lineage.inputs.at(0).text(), "db://in");
  EXPECT_EQ(lineage.outputs.at(0).text(), "db://${{ params.year }}");
}

TEST(Lineage, HasAtMost100Datasets) {
  const auto datasets = [](std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += "'db://" + std::to_string(i) + "', ";
    return load("  - {id: a, run: x, lineage: {inputs: [" + all + "]}}\n");
  };
  EXPECT_NE(datasets(kDatasetsMax).dag, nullptr);
  EXPECT_EQ(datasets(kDatasetsMax + 1).dag, nullptr);
}

}  // namespace
}  // namespace chappe
