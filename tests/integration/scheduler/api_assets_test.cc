// The routes about assets, lineage and aliases, over a real metadata store.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "scheduler/api/lineage.h"
#include "tests/support/api/api_world.h"

namespace chappe::api {
namespace {

constexpr WallTime kTime{1'790'000'001'000'000};
constexpr const char* kDag = R"(
name: model
params: {rate: {type: number, default: 0.5}}
tasks: [{id: ingest, noop: true}, {id: train, noop: true}, {id: predict, noop: true}]
)";

/// raw (asset 1) <- ingest; train reads raw and writes features (artifact) and the model (asset 2); predict reads the
/// model and writes predictions (asset 3).
class ApiAssets : public ApiWorld {
 protected:
  void SetUp() override {
    ApiWorld::SetUp();
    run_ = add_run(kDag);
    for (std::uint32_t task = 0; task < 3; ++task) add_attempt(task);
    publish(1, 0, "data/raw.tsv", "raw");
    read(1, "key/1", 1, 0);
    write(1, "key/features", "features");
    publish(2, 1, "models/m.bin", "m");
    read(2, "key/2", 2, 1);
    publish(3, 2, "data/predictions.tsv", "");
    changes_.aliases.push_back({.model = "m", .alias = "champion", .version = {2}, .by = "run x", .at = kTime});
    changes_.values.push_back({{run_.seq, 1}, {101}, {.name = "auc", .value = 0.9, .metric = true}, kTime});
    commit(changes_);
  }

  void add_attempt(std::uint32_t task) {
    changes_.tasks.push_back({.row = {.key = {run_.seq, task},
                                      .state = TaskState::kSuccess,
                                      .attempt = {100 + task},
                                      .attempt_no = 1,
                                      .end = {.started_at = kTime, .ended_at = kTime}}});
  }

  OutputObject object(const std::string& key, const std::string& name) {
    return {.name = name, .key = key, .size = 10, .sha256 = std::string(64, 'a')};
  }

  void publish(std::uint64_t id, std::uint32_t task, const std::string& uri, const std::string& name) {
    const std::string key = fmt::format("key/{}", id);
    changes_.asset_versions.push_back({.id = {id},
                                       .uri = uri,
                                       .name = name,
                                       .key = key,
                                       .size = 10,
                                       .sha256 = std::string(64, 'a'),
                                       .producer = {run_.seq, task},
                                       .attempt = {100 + task},
                                       .artifact = "out",
                                       .created_at = kTime});
    OutputObject out = object(key, "out");
    out.asset_uri = uri;
    changes_.artifacts.push_back({{run_.seq, task}, {100 + task}, out, {id}});
    changes_.published.push_back({{id}, kTime, "", ""});
  }

  void write(std::uint32_t task, const std::string& key, const std::string& name) {
    changes_.artifacts.push_back({{run_.seq, task}, {100 + task}, object(key, name), {}});
  }

  void read(std::uint32_t task, const std::string& key, std::uint64_t asset, std::uint32_t producer) {
    changes_.inputs.push_back({{run_.seq, task},
                               {100 + task},
                               {.name = "in",
                                .path = "in",
                                .key = key,
                                .size = 10,
                                .sha256 = std::string(64, 'a'),
                                .asset = {asset},
                                .producer = {run_.seq, producer},
                                .producer_attempt = {100 + producer}}});
  }

  /// What is in a lineage graph, by the word that tells it best.
  std::set<std::string> nodes(const std::string& path) {
    std::set<std::string> out;
    const Value graph = get(path).json();
    for (const Value& node : *graph.find("nodes")->as_list()) {
      const Value* word = node.find("task");
      if (word == nullptr) word = node.find("uri");
      out.insert(to_text(word != nullptr ? *word : *node.find("name")));
    }
    return out;
  }

  RunRow run_;
  Persist changes_;
};

TEST_F(ApiAssets, FindsAVersionByIdNameUriAndAlias) {
  for (const char* name : {"2", "m", "models%2Fm.bin", "m@champion"}) {
    const Value asset = get(std::string("/api/v1/assets/") + name).json();
    EXPECT_EQ(*asset.find("id"), Value(2)) << name;
    EXPECT_EQ(*asset.find("run"), Value(run_.id.text()));
  }
  for (const char* name : {"99", "n", "m@loser"})
    EXPECT_EQ(get(std::string("/api/v1/assets/") + name).status, 404) << name;
}

TEST_F(ApiAssets, ListsAssets) {
  EXPECT_EQ(get("/api/v1/assets").json().find("items")->as_list()->size(), 3U);
  EXPECT_EQ(get("/api/v1/assets?asset=m&all_versions=1").json().find("items")->as_list()->size(), 1U);
}

TEST_F(ApiAssets, WalksLineageUpAndDown) {
  EXPECT_EQ(nodes("/api/v1/assets/m@champion/lineage?direction=up"),
            (std::set<std::string>{"models/m.bin", "train", "data/raw.tsv", "ingest"}));
  EXPECT_EQ(nodes("/api/v1/assets/m@champion/lineage?direction=down"),
            (std::set<std::string>{"models/m.bin", "predict", "data/predictions.tsv"}));
  EXPECT_EQ(nodes("/api/v1/assets/raw/lineage"),
            (std::set<std::string>{"ingest", "data/raw.tsv", "train", "features", "models/m.bin", "predict",
                                   "data/predictions.tsv"}));
  EXPECT_EQ(nodes("/api/v1/assets/raw/lineage?direction=down&depth=1"),
            (std::set<std::string>{"data/raw.tsv", "train", "features", "models/m.bin"}));
}

TEST_F(ApiAssets, TellsWithEachAttemptWhatItTakesToRepeatIt) {
  const Value graph = get("/api/v1/assets/m@champion/lineage?direction=up").json();
  const ValueList& nodes = *graph.find("nodes")->as_list();
  const auto train = std::ranges::find_if(nodes, [](const Value& node) {
    const Value* task = node.find("task");
    return task != nullptr && *task == Value("train");
  });
  ASSERT_NE(train, nodes.end());
  EXPECT_EQ(*train->find("run"), Value(run_.id.text()));
  EXPECT_EQ(*train->find("dag_version"), Value(run_.dag_version));
  EXPECT_EQ(*train->find("params"), Value(ValueMap{{"rate", 0.5}}));
  EXPECT_EQ(*train->find("values"), Value(ValueMap{{"auc", 0.9}}));
  const Value& root = nodes.front();
  EXPECT_EQ(*root.find("id"), *graph.find("root"));
  EXPECT_EQ(*root.find("aliases"), Value(ValueList{"m@champion"}));
}

TEST_F(ApiAssets, DrawsEdgesTheWayTheDataWent) {
  const Value graph = get("/api/v1/assets/m/lineage?direction=up").json();
  EXPECT_EQ(to_json(*graph.find("edges")->as_list()->front().find("to")), to_json(*graph.find("root")));
  EXPECT_EQ(*graph.find("truncated"), Value(false));
}

/// ingest declares db://source, train db://shared on both sides, predict db://mart.
class ApiDatasets : public ApiAssets {
 protected:
  void SetUp() override {
    ApiAssets::SetUp();
    Persist more;
    const auto declare = [&](std::uint32_t task, bool written, const std::string& uri) {
      more.datasets.push_back({{run_.seq, task}, {100 + task}, written, uri});
    };
    declare(0, false, "db://source");
    declare(1, false, "db://shared");
    declare(1, true, "db://shared");
    declare(2, true, "db://mart");
    commit(more);
  }
};

TEST_F(ApiDatasets, StandAtTheEndsOfAnAssetsLineage) {
  EXPECT_EQ(nodes("/api/v1/assets/m@champion/lineage?direction=up"),
            (std::set<std::string>{"models/m.bin", "train", "db://shared", "data/raw.tsv", "ingest", "db://source"}));
  EXPECT_EQ(nodes("/api/v1/assets/m@champion/lineage?direction=down"),
            (std::set<std::string>{"models/m.bin", "predict", "data/predictions.tsv", "db://mart"}));
}

TEST_F(ApiDatasets, HaveALineageOfTheirOwn) {
  EXPECT_EQ(nodes("/api/v1/assets/db:%2F%2Fmart/lineage"),
            (std::set<std::string>{"db://mart", "predict", "models/m.bin", "train", "db://shared", "data/raw.tsv",
                                   "ingest", "db://source"}));
  EXPECT_EQ(nodes("/api/v1/assets/db:%2F%2Fmart/lineage?direction=down"), std::set<std::string>{"db://mart"});
  EXPECT_EQ(nodes("/api/v1/assets/db:%2F%2Fsource/lineage?direction=down&depth=1"),
            (std::set<std::string>{"db://source", "ingest", "data/raw.tsv"}));
  EXPECT_EQ(nodes("/api/v1/assets/db:%2F%2Fsource/lineage?direction=down&depth=2"),
            (std::set<std::string>{"db://source", "ingest", "data/raw.tsv", "train", "db://shared", "features",
                                   "models/m.bin"}));
  const Value graph = get("/api/v1/assets/db:%2F%2Fshared/lineage?direction=up").json();
  EXPECT_EQ(*graph.find("root"), Value("dataset db://shared"));
  EXPECT_EQ(to_json(graph.find("nodes")->as_list()->front()),
            R"({"id":"dataset db://shared","kind":"dataset","uri":"db://shared"})");
  EXPECT_EQ(get("/api/v1/assets/db:%2F%2Fnone/lineage").status, 404);
}

TEST_F(ApiDatasets, ShowSoManyUsesAndNoMore) {
  Persist more;
  for (std::uint64_t i = 0; i <= kDatasetUsesMax; ++i)
    more.datasets.push_back({{run_.seq, 1}, {101}, false, "db://busy"});
  more.datasets.pop_back();
  commit(more);
  EXPECT_EQ(*get("/api/v1/assets/db:%2F%2Fbusy/lineage").json().find("truncated"), Value(false));
  Persist one;
  one.datasets.push_back({{run_.seq, 1}, {101}, false, "db://busy"});
  commit(one);
  EXPECT_EQ(*get("/api/v1/assets/db:%2F%2Fbusy/lineage").json().find("truncated"), Value(true));
}

TEST_F(ApiAssets, RefusesOtherDirections) {
  EXPECT_EQ(get("/api/v1/assets/m/lineage?direction=left").status, 400);
  EXPECT_EQ(get("/api/v1/assets/m/lineage?depth=0").status, 400);
}

TEST_F(ApiAssets, ShowsWhereAliasesStandAndStood) {
  EXPECT_EQ(get("/api/v1/aliases").json().find("items")->as_list()->size(), 1U);
  EXPECT_EQ(get("/api/v1/aliases?model=other").json().find("items")->as_list()->size(), 0U);
  const Value alias = get("/api/v1/aliases/m/champion").json();
  EXPECT_EQ(*alias.find("version"), Value(2));
  EXPECT_EQ(alias.find("history")->as_list()->size(), 1U);
  EXPECT_EQ(get("/api/v1/aliases/m/loser").status, 404);
}

TEST_F(ApiAssets, MovesAnAliasToAKnownVersion) {
  EXPECT_EQ(call("PUT", "/api/v1/aliases/m/champion", R"({"version":2})").status, 200);
  EXPECT_EQ(call("PUT", "/api/v1/aliases/m/shadow", R"({"version":"m@champion"})").status, 200);
  EXPECT_EQ(call("DELETE", "/api/v1/aliases/m/champion").status, 200);
  const auto requests = backend_->requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(std::get<AliasMoveRequested>(requests[0]).version->id, AssetVersionId{2});
  EXPECT_EQ(std::get<AliasMoveRequested>(requests[1]).version->id, AssetVersionId{2});
  EXPECT_EQ(std::get<AliasMoveRequested>(requests[2]).version, std::nullopt);
  EXPECT_EQ(call("PUT", "/api/v1/aliases/m/champion", R"({"version":99})").status, 404);
  EXPECT_EQ(call("PUT", "/api/v1/aliases/m/champion", "{}").status, 400);
}

TEST_F(ApiAssets, MovesNoAliasToAVersionOfSomethingElse) {
  const Reply reply = call("PUT", "/api/v1/aliases/m/champion", R"({"version":1})");
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(*reply.json().find("detail"), Value("version 1 is of raw, not of m"));
  EXPECT_TRUE(backend_->requests().empty());
}

TEST_F(ApiAssets, TellsWhatARunLeftBehind) {
  const Value outputs = get("/api/v1/runs/latest/outputs").json();
  EXPECT_EQ(outputs.find("artifacts")->as_list()->size(), 4U);
  EXPECT_EQ(*outputs.find("values")->as_list()->front().find("task_name"), Value("train"));
}

}  // namespace
}  // namespace chappe::api
