// The JSON Schema and the loader know the same keys. (That the schema accepts and refuses the right files is
// tests/tidy/schema_test.py's work.)
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "dags/loader/keys_of_containers.h"
#include "dags/loader/keys_of_tests.h"
#include "dags/loader/loader.h"
#include "proto/json/json.h"

namespace chappe {
namespace {

/// The `properties` at the end of a path of members.
std::set<std::string> properties(std::initializer_list<std::string_view> path) {
  static const Value kSchema = parse_json(dag_schema()).value();
  const Value* at = &kSchema;
  for (const std::string_view name : path) at = at == nullptr ? nullptr : at->find(name);
  at = at == nullptr ? nullptr : at->find("properties");
  std::set<std::string> out;
  if (at == nullptr || at->as_map() == nullptr) return out;
  for (const auto& [key, value] : *at->as_map()) out.insert(key);
  return out;
}

std::set<std::string> known(const KeySet& keys) { return {keys.known.begin(), keys.known.end()}; }

TEST(SchemaKeys, AreThoseOfTheLoader) {
  EXPECT_EQ(properties({}), known(keys::kDag));
  EXPECT_EQ(properties({"properties", "artifacts"}), known(keys::kArtifacts));
  EXPECT_EQ(properties({"properties", "artifacts", "properties", "retention"}), known(keys::kRetention));
  EXPECT_EQ(properties({"properties", "concurrency"}), known(keys::kConcurrency));
  EXPECT_EQ(properties({"properties", "handlers"}), known(keys::kHandlers));
  EXPECT_EQ(properties({"properties", "dst"}), known(keys::kDst));
  EXPECT_EQ(properties({"$defs", "schedule_line"}), known(keys::kSchedule));
  EXPECT_EQ(properties({"$defs", "param"}), known(keys::kParam));
  EXPECT_EQ(properties({"$defs", "defaults"}), known(keys::kDefaults));
  EXPECT_EQ(properties({"$defs", "task"}), known(keys::kTask));
  EXPECT_EQ(properties({"$defs", "task", "properties", "inputs"}), known(keys::kInputs));
  EXPECT_EQ(properties({"$defs", "task", "properties", "outputs"}), known(keys::kOutputs));
  EXPECT_EQ(properties({"$defs", "input"}), known(keys::kInput));
  EXPECT_EQ(properties({"$defs", "output"}), known(keys::kOutput));
  EXPECT_EQ(properties({"$defs", "values", "additionalProperties"}), known(keys::kValue));
  EXPECT_EQ(properties({"$defs", "select"}), known(keys::kSelect));
  EXPECT_EQ(properties({"$defs", "foreach"}), known(keys::kForEach));
  EXPECT_EQ(properties({"$defs", "foreach", "properties", "sequence"}), known(keys::kSequence));
  EXPECT_EQ(properties({"$defs", "loop"}), known(keys::kLoop));
  EXPECT_EQ(properties({"$defs", "run_outputs"}), known(keys::kRunOutputs));
  EXPECT_EQ(properties({"$defs", "run_artifact"}), known(keys::kRunArtifact));
  EXPECT_EQ(properties({"$defs", "notify"}), known(keys::kNotify));
  EXPECT_EQ(properties({"$defs", "cache_policy"}), known(keys::kCache));
  EXPECT_EQ(properties({"$defs", "state"}), known(keys::kState));
  EXPECT_EQ(properties({"$defs", "subdag"}), known(keys::kSubDag));
  EXPECT_EQ(properties({"$defs", "http"}), known(keys::kHttp));
  EXPECT_EQ(properties({"$defs", "service"}), known(keys::kService));
  EXPECT_EQ(properties({"$defs", "service", "properties", "ready"}), known(keys::kReady));
  EXPECT_EQ(properties({"$defs", "sidecar"}), known(keys::kSidecar));
  EXPECT_EQ(properties({"$defs", "sidecar", "properties", "ready"}), known(keys::kSidecarReady));
  EXPECT_EQ(properties({"$defs", "sidecar", "properties", "container"}), known(keys::kSidecarContainer));
  EXPECT_EQ(properties({"$defs", "lineage"}), known(keys::kLineage));
  EXPECT_EQ(properties({"$defs", "retry"}), known(keys::kRetry));
  EXPECT_EQ(properties({"$defs", "retry", "properties", "scale"}), known(keys::kScale));
  EXPECT_EQ(properties({"$defs", "rate"}), known(keys::kRate));
  EXPECT_EQ(properties({"$defs", "backoff"}), known(keys::kBackoff));
  EXPECT_EQ(properties({"$defs", "resources"}), known(keys::kResources));
  EXPECT_EQ(properties({"$defs", "container"}), known(keys::kContainer));
  EXPECT_EQ(properties({"$defs", "secret"}), known(keys::kSecret));
  EXPECT_EQ(properties({"$defs", "secret", "properties", "kubernetes"}), known(keys::kKubernetesSecret));
  EXPECT_EQ(properties({"$defs", "secret", "properties", "vault"}), known(keys::kVaultSecret));
  EXPECT_EQ(properties({"$defs", "check"}), known(keys::kCheck));
  EXPECT_EQ(properties({"$defs", "condition"}), known(keys::kCondition));
  EXPECT_EQ(properties({"$defs", "schema"}), known(keys::kSchema));
  EXPECT_EQ(properties({"$defs", "data"}), known(keys::kData));
  EXPECT_EQ(properties({"$defs", "data_column"}), known(keys::kDataColumn));
  EXPECT_EQ(properties({"$defs", "limits"}), known(keys::kLimits));
  EXPECT_EQ(properties({"$defs", "drift"}), known(keys::kDrift));
  EXPECT_EQ(properties({"$defs", "promote"}), known(keys::kPromote));
  EXPECT_EQ(properties({"$defs", "wait"}), known(keys::kWait));
  EXPECT_EQ(properties({"$defs", "human"}), known(keys::kHuman));
  EXPECT_EQ(properties({"$defs", "trigger"}), known(keys::kTrigger));
  EXPECT_EQ(properties({"$defs", "asset_parts"}), known(keys::kTree));
  EXPECT_EQ(properties({"$defs", "dag_trigger"}), known(keys::kDagTrigger));
  EXPECT_EQ(properties({"$defs", "object_trigger"}), known(keys::kObjectTrigger));
  EXPECT_EQ(properties({"$defs", "test"}), known(keys::kTest));
  EXPECT_EQ(properties({"$defs", "test", "properties", "fixtures"}), known(keys::kFixtures));
  EXPECT_EQ(properties({"$defs", "test", "properties", "expect"}), known(keys::kExpect));
  EXPECT_EQ(properties({"$defs", "task_fixture"}), known(keys::kTaskFixture));
  EXPECT_EQ(properties({"$defs", "task_expectation"}), known(keys::kTaskExpect));
  EXPECT_EQ(properties({"$defs", "content_parts"}), known(keys::kContent));
  EXPECT_EQ(properties({"$defs", "expected_parts"}), known(keys::kExpectedContent));
}

TEST(SchemaKeys, NoKeyIsBothHereAndForLater) {
  for (const KeySet* keys : {&keys::kDag, &keys::kTask, &keys::kInput, &keys::kOutput, &keys::kForEach, &keys::kCheck,
                             &keys::kPromote, &keys::kConcurrency, &keys::kInputs, &keys::kHandlers}) {
    for (const std::string_view later : keys->later) EXPECT_FALSE(known(*keys).contains(std::string(later))) << later;
  }
}

}  // namespace
}  // namespace chappe
