// Values never become code: whatever stands in a parameter, the program gets it as one argument, one variable, byte for
// byte, and a script stays the text that its author wrote.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dags/loader/loader.h"
#include "tests/support/dag_builder.h"
#include "tests/support/engine_world.h"

namespace chappe {
namespace {

using support::dag_of;
using support::EngineWorld;
using support::WorkerSide;

constexpr std::size_t kStringsMin = 500;

/// What shells, format strings, templates and paths make something of.
const std::vector<std::string> kPayloads{"$(reboot)",
                                         "`reboot`",
                                         "; reboot",
                                         "&& reboot",
                                         "|| reboot",
                                         "| reboot",
                                         "& reboot &",
                                         "> /etc/passwd",
                                         "< /etc/passwd",
                                         "\nreboot\n",
                                         "\r\nreboot",
                                         "\\",
                                         "\\\\",
                                         "\\n",
                                         "'",
                                         "''",
                                         "\"",
                                         "\"\"",
                                         "'; reboot; '",
                                         "\"; reboot; \"",
                                         "$HOME",
                                         "${HOME}",
                                         "${IFS}",
                                         "$IFS$9",
                                         "$((1+1))",
                                         "${!HOME*}",
                                         "~",
                                         "~root",
                                         "*",
                                         "?",
                                         "[a-z]*",
                                         "{a,b}",
                                         "!!",
                                         "!$",
                                         "#",
                                         "# reboot",
                                         "-",
                                         "--",
                                         "-rf",
                                         "--help",
                                         "-e",
                                         "@file",
                                         "@/etc/passwd",
                                         "=",
                                         "A=B",
                                         "%s",
                                         "%n%n%n",
                                         "%x",
                                         "%%",
                                         "{}",
                                         "{0}",
                                         "{{",
                                         "}}",
                                         "${{ params.other }}",
                                         "${{ env.SECRET }}",
                                         "${{ 1 / 0 }}",
                                         "${{",
                                         "$${{ x }}",
                                         "{{ config }}",
                                         "{% raw %}",
                                         "<% x %>",
                                         "#{7*7}",
                                         "../../etc/passwd",
                                         "/etc/passwd",
                                         "..",
                                         ".",
                                         "",
                                         " ",
                                         "  ",
                                         "\t",
                                         "\v\f",
                                         "\x1b[31m",
                                         "\x07",
                                         "\x7f",
                                         "\xc2\x85",
                                         "\xe2\x80\xae",
                                         "\xef\xbb\xbf",
                                         "\xf0\x9f\x92\xa9",
                                         "é",
                                         "null",
                                         "true",
                                         "0",
                                         "-1",
                                         "1e9",
                                         "0x10",
                                         "[]",
                                         "[1]",
                                         "{\"a\":1}",
                                         "\"quoted\"",
                                         "a b",
                                         "a  b",
                                         " a ",
                                         "'a' \"b\" `c` $d",
                                         "() { :; }; reboot",
                                         "<script>alert(1)</script>",
                                         "' OR 1=1 --",
                                         "EOF",
                                         "END\nreboot\nEND"};

/// Each of them bare and in five surroundings.
std::vector<std::string> corpus() {
  std::vector<std::string> all;
  for (const std::string& payload : kPayloads) {
    for (const auto& [before, after] : {std::pair("", ""), std::pair("a", "b"), std::pair(" ", " "),
                                        std::pair("'", "'"), std::pair("\"", "\""), std::pair("$(", ")")}) {
      all.push_back(before + payload + after);
    }
  }
  return all;
}

/// A run of this DAG with these parameters, as the worker is told of its only task.
Assignment assigned(const DagPtr& dag, ValueMap params, EngineWorld& world) {
  WorkerSide& worker = world.worker("w");
  world.step({world.join(worker)});
  world.step({world.request(dag, std::move(params))});
  if (worker.held.empty()) return {};
  return worker.held.begin()->second;
}

TEST(Injection, ATextIsOneArgumentAndOneVariableAsItIs) {
  const DagPtr dag = dag_of(R"(
name: d
params: {s: {type: string}, other: {type: string, default: oops}}
env: {ALL: "${{ params.s }}"}
tasks:
  - {id: a, command: [prog, "${{ params.s }}", "x${{ params.s }}y", "${{ env.ALL }}"], env: {V: "${{ params.s }}"}}
)");
  const std::vector<std::string> strings = corpus();
  EXPECT_GE(strings.size(), kStringsMin);
  for (const std::string& text : strings) {
    EngineWorld world;
    const Assignment what = assigned(dag, {{"s", text}, {"other", "oops"}}, world);
    ASSERT_NE(what.work, nullptr) << text;
    EXPECT_EQ(what.work->command, (std::vector<std::string>{"prog", text, "x" + text + "y", text}));
    for (const auto& [name, value] : what.work->env) EXPECT_EQ(value, text) << name;
    EXPECT_EQ(what.work->env.size(), 2U);
  }
}

TEST(Injection, AScriptIsWhatItsAuthorWrote) {
  const DagPtr dag = dag_of(
      "{name: d, params: {s: {type: string}}, tasks: [{id: a, run: 'echo \"$V\" $s', env: {V: '${{ params.s }}'}}]}");
  for (const std::string& text : corpus()) {
    EngineWorld world;
    EXPECT_EQ(assigned(dag, {{"s", text}}, world).work->script, "echo \"$V\" $s") << text;
  }
}

TEST(Injection, EveryTypeOfParameterIsOneArgument) {
  const ValueList list{"a b", "$(x)", "'"};
  const ValueMap map{{"$(k)", "; v"}};
  for (const auto& [type, value, shown] :
       {std::tuple("integer", Value(std::int64_t{-7}), "-7"), std::tuple("number", Value(0.5), "0.5"),
        std::tuple("boolean", Value(true), "true"), std::tuple("array", Value(list), "[\"a b\",\"$(x)\",\"'\"]"),
        std::tuple("object", Value(map), "{\"$(k)\":\"; v\"}")}) {
    EngineWorld world;
    const DagPtr dag = dag_of(fmt::format(
        "{{name: d, params: {{p: {{type: {}}}}}, tasks: [{{id: a, command: [x, '${{{{ to_json(params.p) }}}}']}}]}}",
        type));
    EXPECT_EQ(assigned(dag, {{"p", value}}, world).work->command, (std::vector<std::string>{"x", shown})) << type;
  }
}

TEST(Injection, IsWrittenIntoNoScript) {
  for (const char* name : {"params.s", "env.S", "size", "key", "tasks.b.outputs.v", "to_json(params)", "params['s']"}) {
    const LoadedDag loaded = load_dag(
        fmt::format("name: d\nparams: {{s: {{type: string, default: x}}}}\nenv: {{S: '${{{{ params.s }}}}'}}\n"
                    "tasks:\n"
                    "  - {{id: b, run: x, outputs: {{values: {{v: v.txt}}}}}}\n"
                    "  - {{id: a, depends_on: [b], foreach: {{items: [1], as: size}}, run: 'echo ${{{{ {} }}}}'}}\n",
                    name),
        "d.yaml");
    EXPECT_EQ(loaded.dag, nullptr) << name;
  }
}

TEST(Injection, ATextThatNoProgramCanBeHandedIsRefusedAloud) {
  const std::string cut("safe\0; reboot", 13);
  for (const char* task : {"command: [x, '${{ params.s }}']", "run: x, env: {V: '${{ params.s }}'}"}) {
    EngineWorld world;
    const DagPtr dag =
        dag_of(fmt::format("{{name: d, params: {{s: {{type: string}}}}, tasks: [{{id: a, {}}}]}}", task));
    EXPECT_EQ(assigned(dag, {{"s", cut}}, world).work, nullptr) << task;
    const TaskRow& row = world.store().tables().tasks.begin()->second;
    EXPECT_EQ(row.end.reason, Reason::kLaunchFailed) << task;
    EXPECT_NE(row.end.message.find("NUL"), std::string::npos) << row.end.message;
  }
}

}  // namespace
}  // namespace chappe
