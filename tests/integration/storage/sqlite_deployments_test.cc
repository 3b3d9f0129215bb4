// Deployed DAGs on a real SQLite file.
#include "tests/integration/storage/sqlite_fixture.h"

namespace chappe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SqliteDeployments : public SqliteStoreTest {
 protected:
  static DeploymentRow row(std::int64_t fired_to) {
    return {.dag = "nightly",
            .version = some_dag().version,
            .schedule = "@daily",
            .origin = "dags/demo.yaml",
            .paused = true,
            .fired_to = {fired_to},
            .next_at = {fired_to + 1},
            .deployed_by = "anna",
            .deployed_at = {3},
            .message = "it made no run"};
  }
};

TEST_F(SqliteDeployments, AreKeptWithTheTextOfTheirVersion) {
  open();
  commit({.dag_versions = {some_dag()}, .deployments = {row(10)}});
  commit({.deployments = {row(20)}});
  open();
  const auto stored = load().deployments;
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].row, row(20));
  EXPECT_EQ(stored[0].dag_source, some_dag().source);
  EXPECT_THAT(*reader()->deployments(""), ElementsAre(row(20)));
  EXPECT_THAT(*reader()->deployments("nightly"), ElementsAre(row(20)));
  EXPECT_THAT(*reader()->deployments("other"), IsEmpty());
}

TEST_F(SqliteDeployments, KeepTheirTimeWhenTheyAreRemovedAndNeverGoBack) {
  open();
  DeploymentRow removed = row(20);
  removed.removed = true;
  commit({.dag_versions = {some_dag()}, .deployments = {removed}});
  EXPECT_THAT(*reader()->deployments(""), IsEmpty());
  ASSERT_EQ(load().deployments.size(), 1U);
  EXPECT_EQ(load().deployments[0].row.fired_to, WallTime{20});
  EXPECT_FALSE(store->commit({.deployments = {row(19)}})) << "a guard";
}

TEST_F(SqliteDeployments, ATimeHasOneScheduledRunWhateverTheEngineSays) {
  open();
  RunRow first = some_run(1);
  first.trigger = "schedule";
  RunRow second = some_run(2);
  second.trigger = "schedule";
  second.logical_time = first.logical_time;
  RunRow by_hand = second;
  by_hand.trigger = "manual";
  commit({.dag_versions = {some_dag()}, .runs = {first}});
  commit({.runs = {by_hand}});
  EXPECT_THAT(*reader()->newest_runs(), ElementsAre(by_hand));
  second.seq = {3};
  EXPECT_FALSE(store->commit({.runs = {second}}));
}

}  // namespace
}  // namespace chappe
