// What of secret parameters may be told, and what not.
#include <gtest/gtest.h>

#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;

/// All that the run left in the store, as one text.
std::string told_of(const char* task) {
  EngineWorld world;
  world.step({world.join(world.worker("w"))});
  const RunRequested request = world.request(dag_of(std::string("name: d\nparams: {pin: {type: string, secret: true}}\n"
                                                                "env: {PIN: \"${{ params.pin }}\"}\ntasks: [") +
                                                    task + "]\n"),
                                             {{"pin", "hush-hush"}});
  world.step({request});
  std::string told = world.row(request.id).message;
  for (const auto& [key, row] : world.store().tables().tasks) told += row.end.message;
  EXPECT_FALSE(told.empty()) << task;
  return told;
}

TEST(Secrets, AreInNoMessageOfAnExpressionThatFails) {
  for (const char* task :
       {"{id: a, run: x, env: {N: \"${{ int(params.pin) }}\"}}", "{id: a, run: x, env: {N: \"${{ int(env.PIN) }}\"}}",
        "{id: a, run: x, env: {N: \"${{ int(to_json(params)) }}\"}}", "{id: a, run: x, when: \"int(params.pin) > 1\"}",
        "{id: a, check: {metric: {expr: \"int(params.pin) > 1\"}}}"}) {
    EXPECT_EQ(told_of(task).find("hush"), std::string::npos) << task << ": " << told_of(task);
  }
}

TEST(Secrets, AreNamedToTheWorkerThatIsToHideThem) {
  EngineWorld world;
  support::WorkerSide& worker = world.worker("w");
  world.step({world.join(worker)});
  world.step({world.request(
      dag_of("{name: d, params: {pin: {type: string, secret: true}, s: {type: string}}, tasks: [{id: a, run: x}]}"),
      {{"pin", "hush"}, {"s", "seen"}})});
  EXPECT_EQ(worker.held.begin()->second.run->secret_params, std::vector<std::string>{"pin"});
}

}  // namespace
}  // namespace chappe
