/// \file
/// The keys of a DAG's own tests; the others are in keys.h.
#pragma once

#include "dags/loader/keys.h"

namespace chappe::keys {

inline constexpr Word kTestKnown[] = {"name", "description", "params", "logical_time", "timeout", "fixtures", "expect"};
inline constexpr Foreign kTestForeign[] = {
    {"id", "name"}, {"inputs", "params"}, {"mocks", "fixtures"}, {"assertions", "expect"}, {"expectations", "expect"}};
inline constexpr KeySet kTest{"a test", kTestKnown, {}, kTestForeign};
inline constexpr Word kFixturesKnown[] = {"tasks", "assets"};
inline constexpr KeySet kFixtures{"'fixtures'", kFixturesKnown};
inline constexpr Word kTaskFixtureKnown[] = {"state", "exit_code", "values", "artifacts"};
inline constexpr Foreign kTaskFixtureForeign[] = {{"outputs", "values"}, {"metrics", "values"}};
inline constexpr KeySet kTaskFixture{"a fixture", kTaskFixtureKnown, {}, kTaskFixtureForeign};
inline constexpr Word kContentKnown[] = {"text", "json", "file"};
inline constexpr Foreign kContentForeign[] = {{"content", "text"}, {"path", "file"}};
inline constexpr KeySet kContent{"the content of a fixture", kContentKnown, {}, kContentForeign};
inline constexpr Word kExpectKnown[] = {"state", "tasks", "outputs", "conditions"};
inline constexpr Foreign kExpectForeign[] = {{"status", "state"}, {"metric", "conditions"}, {"check", "conditions"}};
inline constexpr KeySet kExpect{"'expect'", kExpectKnown, {}, kExpectForeign};
inline constexpr Word kOutputsExpectKnown[] = {"values", "artifacts"};
inline constexpr KeySet kOutputsExpect{"what is expected of a run's outputs", kOutputsExpectKnown, {}, {}};
inline constexpr Word kTaskExpectKnown[] = {"state", "reason", "values", "artifacts"};
inline constexpr Foreign kTaskExpectForeign[] = {{"status", "state"}, {"outputs", "values"}, {"metrics", "values"}};
inline constexpr KeySet kTaskExpect{"what is expected of a task", kTaskExpectKnown, {}, kTaskExpectForeign};
inline constexpr Word kExpectedContentKnown[] = {"text", "json", "file", "contains", "absent"};
inline constexpr Foreign kExpectedContentForeign[] = {
    {"equals", "text"}, {"content", "text"}, {"path", "file"}, {"exists", "absent"}};
inline constexpr KeySet kExpectedContent{"expected content", kExpectedContentKnown, {}, kExpectedContentForeign};

}  // namespace chappe::keys
