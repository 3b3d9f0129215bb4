// A DAG as one of its tests runs it: written anew as JSON, which is YAML.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dags/loader/check_references.h"
#include "dags/loader/dag_tests.h"
#include "dags/loader/hooks.h"
#include "dags/loader/includes.h"
#include "dags/loader/scalar.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::string_view kS3 = "s3://";
constexpr std::string_view kValuesFile = ".fixture/values.json";  // In the work directory.

/// Keys that say where a task runs, and what secrets it gets there: in a test there is one place, and no secret.
constexpr std::array<std::string_view, 8> kWhere = {"worker_selector", "tolerations",      "executor",
                                                    "node_selector",   "volumes",          "service_account",
                                                    "secrets",         "store_credentials"};
/// Keys of a DAG that are about more than one run, or about who is told.
constexpr std::array<std::string_view, 3> kNotInTest = {"notify", "tests", "secrets"};

template <typename Keys>
bool is_among(const Keys& keys, std::string_view key) {
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

std::string in_quotes(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// One word of a script, whatever is in it; `${{` stays what it is.
std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  out += '\'';
  for (std::size_t at = 0; (at = out.find("${{", at)) != std::string::npos; at += 4) out.insert(at, "$");
  return out;
}

/// Writes nodes as they are, but for what is different in a test.
class DagWriter {
 public:
  DagWriter(const Dag& dag, const DagTest& test, const FixtureFiles& files) : dag_(dag), test_(test), files_(files) {}

  std::string write(const Node& root) {
    root_ = &root;
    templates_ = root.find("templates");
    for (std::size_t i = 0; i < root.members(); ++i) {
      const std::string& name = root.key(i).text;
      if (is_among(kNotInTest, name)) continue;
      key(out_, name);
      if (name == "tasks") {
        write_tasks(root.value(i));
      } else if (name == "handlers") {
        write_handlers(root.value(i));
      } else if (name == "templates") {
        const Node& map = root.value(i);
        out_ += '{';
        for (std::size_t k = 0; k < map.members(); ++k) {
          key(out_, map.key(k).text);
          write_task(map.value(k));
        }
        out_ += '}';
      } else if (name == "defaults") {
        write_task(root.value(i));
      } else {
        write_node(root.value(i));
      }
    }
    return "{" + out_ + "}";
  }

 private:
  static void key(std::string& out, std::string_view name) {
    if (!out.empty() && out.back() != '{') out += ',';
    append_json_string(out, name);
    out += ':';
  }

  void write_node(const Node& node) {
    if (node.is_scalar()) {
      const bool text = !node.plain || (!node.is_null() && yaml::scalar_value(node).value.as_string() != nullptr);
      out_ += text ? in_quotes(node.text) : node.text.empty() ? "null" : node.text;  // Numbers keep their spelling.
      return;
    }
    out_ += node.is_map() ? '{' : '[';
    for (std::size_t i = 0; node.is_map() && i < node.members(); ++i) {
      key(out_, node.key(i).text);
      write_node(node.value(i));
    }
    for (std::size_t i = 0; node.is_list() && i < node.children.size(); ++i) {
      if (i > 0) out_ += ',';
      write_node(*node.children[i]);
    }
    out_ += node.is_map() ? '}' : ']';
  }

  // ---- Tasks ----

  void write_tasks(const Node& tasks, bool handlers = false) {
    out_ += tasks.is_map() ? '{' : '[';
    for (std::size_t i = 0; tasks.is_map() && i < tasks.members(); ++i) {
      key(out_, tasks.key(i).text);
      write_task_of(tasks.key(i).text, tasks.value(i), {});
    }
    for (std::size_t i = 0; tasks.is_list() && i < tasks.children.size(); ++i) {
      if (i > 0) out_ += ',';
      write_task_of(tasks.children[i]->find("id")->text, *tasks.children[i], {.listed = true, .handler = handlers});
    }
    out_ += tasks.is_map() ? '}' : ']';
  }

  void write_handlers(const Node& handlers) {
    out_ += '{';
    for (std::size_t i = 0; i < handlers.members(); ++i) {
      const Node& one = handlers.value(i);
      key(out_, handlers.key(i).text);
      if (one.is_list()) {
        write_tasks(one, true);
      } else {
        const Node* id = one.find("id");
        write_task_of(id != nullptr ? id->text : "on_" + handlers.key(i).text, one,
                      {.listed = id != nullptr, .handler = true});
      }
    }
    out_ += '}';
  }

  struct Place {
    bool listed = false;   ///< Its id stands in it.
    bool handler = false;  ///< It takes no dependencies.
  };
  void write_task_of(const std::string& id, const Node& node, Place place) {
    const std::uint32_t task = *dag_.find(id);
    const bool stands_in = std::ranges::find(test_.tasks, task, &TaskFixture::task) != test_.tasks.end();
    if (stands_in) {
      write_stand_in(task, node, place);
    } else {
      write_task(node);
    }
    if (!node.is_map() || dag_.tasks[task].hooks.empty()) return;
    out_.pop_back();  // Its brace.
    write_hooks(task, node);
    out_ += '}';
  }

  /// In the task, wherever they stand: each may have a stand-in of its own.
  void write_hooks(std::uint32_t of, const Node& node) {
    for (const HookKey& hook : kHookKeys) {
      const Node* hooks = find_hooks(*root_, node, hook);
      if (hooks == nullptr) continue;
      key(out_, hook.key);
      if (hooks->is_map()) {
        write_hook(of, hook, *hooks, 0);
        continue;
      }
      out_ += '[';
      for (std::size_t i = 0; i < hooks->children.size(); ++i) {
        if (i > 0) out_ += ',';
        write_hook(of, hook, *hooks->children[i], i);
      }
      out_ += ']';
    }
  }

  void write_hook(std::uint32_t of, const HookKey& hook, const Node& node, std::size_t position) {
    const Node* id = node.find("id");
    write_task_of(id != nullptr ? id->text : hook_id(dag_.tasks[of].id, hook.key, position), node,
                  {.listed = id != nullptr, .handler = true});
  }

  static bool is_hook_key(std::string_view name) {
    return std::any_of(kHookKeys.begin(), kHookKeys.end(), [&](const HookKey& hook) { return hook.key == name; });
  }

  void write_task(const Node& node) {
    if (!node.is_map()) return write_node(node);
    out_ += '{';
    for (std::size_t i = 0; i < node.members(); ++i) {
      const std::string& name = node.key(i).text;
      if (is_among(kWhere, name) || is_hook_key(name)) continue;
      key(out_, name);
      if (name == "inputs" || name == "outputs") {
        write_artifacts(node.value(i), name == "inputs");
      } else if (name == "wait") {
        write_with_asset(node.value(i));
      } else if (name == "check") {
        write_check(node.value(i));
      } else {
        write_node(node.value(i));
      }
    }
    out_ += '}';
  }

  /// What it measures may be assets: "asset:URI".
  void write_check(const Node& node) {
    constexpr std::string_view kAsset = "asset:";
    if (node.is_scalar()) {
      if (node.text.starts_with(kAsset)) {
        out_ += in_quotes(fmt::format("{}{}", kAsset, uri_under_test(node.text.substr(kAsset.size()))));
      } else {
        write_node(node);
      }
      return;
    }
    out_ += node.is_map() ? '{' : '[';
    for (std::size_t i = 0; node.is_map() && i < node.members(); ++i) {
      const std::string& name = node.key(i).text;
      const bool measures =
          name == "data" || name == "drift" || name == "from" || name == "current" || name == "baseline";
      key(out_, name);
      measures ? write_check(node.value(i)) : write_node(node.value(i));
    }
    for (std::size_t i = 0; node.is_list() && i < node.children.size(); ++i) {
      if (i > 0) out_ += ',';
      write_check(*node.children[i]);
    }
    out_ += node.is_map() ? '}' : ']';
  }

  /// `inputs` or `outputs`.
  void write_artifacts(const Node& node, bool inputs) {
    out_ += '{';
    for (std::size_t i = 0; i < node.members(); ++i) {
      key(out_, node.key(i).text);
      const Node& list = node.value(i);
      if (node.key(i).text != "artifacts" || !list.is_list()) {
        write_node(list);
        continue;
      }
      out_ += '[';
      for (const Node* artifact : list.children) {
        if (out_.back() != '[') out_ += ',';
        write_with_asset(*artifact, inputs);
      }
      out_ += ']';
    }
    out_ += '}';
  }

  void write_with_asset(const Node& node, bool inputs = false) {
    if (!node.is_map()) return write_node(node);
    out_ += '{';
    for (std::size_t i = 0; i < node.members(); ++i) {
      const Node& value = node.value(i);
      // What S3 would hold, the test gives as an asset.
      const bool object = inputs && node.key(i).text == "s3";
      key(out_, object ? "asset" : node.key(i).text);
      if (!object && node.key(i).text != "asset") {
        write_node(value);
      } else if (value.is_scalar()) {
        out_ += in_quotes(uri_under_test(value.text));
      } else {
        out_ += '{';
        for (std::size_t k = 0; k < value.members(); ++k) {
          key(out_, value.key(k).text);
          if (value.key(k).text == "uri") {
            out_ += in_quotes(uri_under_test(value.value(k).text));
          } else {
            write_node(value.value(k));
          }
        }
        out_ += '}';
      }
    }
    out_ += '}';
  }

  // ---- Stand-ins ----

  /// The member of the task, or of the template that it uses.
  const Node* member(const Node& node, std::string_view name) const {
    const Node* own = node.find(name);
    const Node* uses = node.find("uses");
    if (own != nullptr || uses == nullptr || templates_ == nullptr) return own;
    const Node* body = templates_->find(uses->text);
    return body == nullptr ? nullptr : body->find(name);
  }

  /// A shell task in the task's place: the same id, dependencies, condition and outputs, and another thing to do.
  void write_stand_in(std::uint32_t position, const Node& node, Place place) {
    const Task& task = dag_.tasks[position];
    // What lists its items waits in its place.
    const Node* foreach = member(node, "foreach");
    const bool listed = foreach != nullptr && foreach->find("s3_list") != nullptr;
    const Task& waits = listed ? dag_.tasks[position - 1] : task;
    out_ += '{';
    if (place.listed) text("id", task.id);
    if (!place.handler && task.teardown_of.empty()) {
      write_depends_on(waits);
      text("trigger_rule", name_of(waits.trigger_rule));
    } else if (const Node* depends_on = member(node, "depends_on")) {
      raw("depends_on", *depends_on);
    }
    for (const std::string_view name : {"foreach", "setup", "teardown_of", "allow_failure", "group"}) {
      if (const Node* value = member(node, name)) raw(name, *value);
    }
    const bool skips = std::any_of(test_.tasks.begin(), test_.tasks.end(), [&](const TaskFixture& fixture) {
      return fixture.task == position && fixture.end == TaskState::kSkipped;
    });
    if (skips) {
      text("when", "false");
    } else if (!task.when.empty() || !waits.when.empty()) {
      text("when", task.when.empty() ? waits.when.text() : task.when.text());
    }
    text("run", script(position));
    text("shell", "/bin/sh -eu");
    text("image", "");
    key(out_, "retry");
    out_ += R"({"limit":0})";
    key(out_, "resources");
    out_ += R"({"cpu":"100m","memory":"64Mi","gpu":0})";
    if (!task.is_hook()) write_outputs(task);
    out_ += '}';
  }

  void text(std::string_view name, std::string_view value) {
    key(out_, name);
    out_ += in_quotes(value);
  }
  void raw(std::string_view name, const Node& value) {
    key(out_, name);
    write_node(value);
  }

  /// All of them, also those that followed from what the task reads.
  void write_depends_on(const Task& task) {
    key(out_, "depends_on");
    out_ += '[';
    for (const Dependency& edge : task.depends_on) {
      if (out_.back() != '[') out_ += ',';
      const std::string id = in_quotes(dag_.tasks[edge.task].id);
      std::string on;
      for (const auto& [wanted, name] : {std::pair(edge.on_succeeded, "succeeded"), std::pair(edge.on_failed, "failed"),
                                         std::pair(edge.on_skipped, "skipped")}) {
        if (wanted) on += (on.empty() ? "" : ",") + in_quotes(name);
      }
      out_ += edge.plain ? id : fmt::format(R"({{"task":{},"on":[{}]}})", id, on);
    }
    out_ += ']';
  }

  void write_outputs(const Task& task) {
    key(out_, "outputs");
    out_ += R"({"artifacts":[)";
    for (std::size_t i = 0; task.work != nullptr && i < task.work->outputs.size(); ++i) {
      if (i > 0) out_ += ',';
      write_output(task.work->outputs[i]);
    }
    out_ += R"(],"values":{)";
    std::string metrics;
    for (const std::string& name : names_of_values(task)) {
      const OutputValue* declared = declared_value(task, name);
      // What a check may not have measured has null in its place, which no metric of a script has.
      const bool may_be_absent = declared != nullptr && declared->default_value && declared->default_value->is_null();
      std::string& into = declared != nullptr && declared->metric && !may_be_absent ? metrics : out_;
      key(into, name);
      into += fmt::format(R"({{"json":"{}","path":"$.{}")", kValuesFile, name);
      // What a person or a wait would have told may be left open.
      const bool promised = task.kind == TaskKind::kRun || task.kind == TaskKind::kDag;
      if (declared != nullptr && declared->default_value) {
        into += ",\"default\":" + to_json(*declared->default_value);
      } else if (!promised) {
        into += ",\"default\":null";
      }
      into += '}';
    }
    out_ += "},\"metrics\":{" + metrics + "}}";
  }

  static const OutputValue* declared_value(const Task& task, const std::string& name) {
    if (task.work == nullptr) return nullptr;
    const auto found = std::ranges::find(task.work->values, name, &OutputValue::name);
    return found == task.work->values.end() ? nullptr : &*found;
  }

  void write_output(const OutputArtifact& output) {
    out_ += fmt::format(R"({{"name":{},"path":{},"required":{},"non_empty":{})", in_quotes(output.name),
                        in_quotes(output.path), output.required, output.non_empty);
    if (output.pack != Pack::kAuto) text("pack", output.pack == Pack::kNone ? "none" : "tar.zst");
    if (!output.asset.text().empty()) {
      key(out_, "asset");
      out_ +=
          fmt::format(R"({{"uri":{},"immutable":{})", in_quotes(uri_under_test(output.asset.text())), output.immutable);
      if (!output.asset_name.empty()) text("name", output.asset_name);
      out_ += '}';
    }
    out_ += '}';
  }

  /// One branch for each instance that has a fixture of its own; the task's own one last.
  std::string script(std::uint32_t task) const {
    const std::string& id = dag_.tasks[task].id;
    std::string out = "case \"$CHAPPE_MAP_KEY\" in\n";
    std::string otherwise = fmt::format("echo {} >&2\nexit 1",
                                        shell_word(fmt::format("the test has no fixture for this instance of {}", id)));
    for (std::size_t i = 0; i < test_.tasks.size(); ++i) {
      const TaskFixture& fixture = test_.tasks[i];
      if (fixture.task != task) continue;
      if (fixture.name == id) {
        otherwise = branch(i);
      } else {
        const std::string map_key = fixture.name.substr(id.size() + 1, fixture.name.size() - id.size() - 2);
        out += fmt::format("{})\n{}\n;;\n", shell_word(map_key), branch(i));
      }
    }
    return out + fmt::format("*)\n{}\n;;\nesac\n", otherwise);
  }

  std::string branch(std::size_t number) const {
    const TaskFixture& fixture = test_.tasks[number];
    const Task& task = dag_.tasks[fixture.task];
    std::string out = fmt::format("mkdir -p .fixture\ncp {} {}", shell_word(files_.values(number)), kValuesFile);
    for (std::size_t i = 0; i < fixture.artifacts.size(); ++i) {
      const std::string& path = find_artifact(task, fixture.artifacts[i].first)->path;
      const std::size_t slash = path.rfind('/');
      if (slash != std::string::npos) out += fmt::format("\nmkdir -p {}", shell_word(path.substr(0, slash)));
      out += fmt::format("\ncp -R {} {}", shell_word(files_.artifact(number, i)), shell_word(path));
    }
    if (fixture.end == TaskState::kFailed) out += fmt::format("\nexit {}", fixture.exit_code);
    return out;
  }

  const Dag& dag_;
  const DagTest& test_;
  const FixtureFiles& files_;
  const Node* root_ = nullptr;
  const Node* templates_ = nullptr;
  std::string out_;
};

}  // namespace

std::string FixtureFiles::artifact(std::size_t fixture, std::size_t artifact) const {
  return fmt::format("{}/task{}/artifact{}", folder, fixture, artifact);
}
std::string FixtureFiles::values(std::size_t fixture) const {
  return fmt::format("{}/task{}/values.json", folder, fixture);
}
std::string FixtureFiles::asset(std::size_t fixture) const { return fmt::format("{}/asset{}", folder, fixture); }

std::string uri_under_test(std::string_view uri) {
  return uri.starts_with(kS3) ? fmt::format("s3/{}", uri.substr(kS3.size())) : std::string(uri);
}

std::string dag_under_test(std::string_view text, const Dag& dag, const DagTest& test, const FixtureFiles& files) {
  Complaints ignored(text, "");
  return DagWriter(dag, test, files).write(*read_sources(ignored, text, "", {}).root);
}

std::string dag_of_assets(const DagTest& test, const FixtureFiles& files) {
  if (test.assets.empty()) return "";
  std::string tasks;
  for (std::size_t i = 0; i < test.assets.size(); ++i) {
    const AssetFixture& fixture = test.assets[i];
    const std::string uri = uri_under_test(fixture.asset);
    const bool is_name = is_identifier(uri);  // It may be meant as a short name, too.
    tasks += fmt::format(R"({}{{"id":"asset_{}","run":{},"outputs":{{"artifacts":[{{"name":"it","path":"it","asset":)"
                         R"({{"uri":{}{}}}}}]}}}})",
                         tasks.empty() ? "" : ",", i, in_quotes(fmt::format("cp -R {} it", shell_word(files.asset(i)))),
                         in_quotes(uri), is_name ? fmt::format(R"(,"name":{})", in_quotes(uri)) : "");
  }
  return fmt::format(R"({{"name":"fixtures","tasks":[{}]}})", tasks);
}

}  // namespace chappe
