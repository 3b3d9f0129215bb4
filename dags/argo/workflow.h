/// \file
/// What an import works on: the tasks that an Argo Workflow becomes, the calls of templates that they stand in, and
/// texts with Argo's `{{ }}` resolved.
///
/// An import goes in three passes: flatten (templates are written out, flatten.cc), resolve (what names mean,
/// texts.cc and expressions.cc), write (work.cc, policies.cc, import.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dags/argo/condition.h"
#include "dags/argo/import.h"
#include "dags/argo/yaml_writer.h"
#include "dags/loader/yaml_tree.h"

namespace chappe::argo {

/// A part of a text of Argo's.
struct Piece {
  enum class Kind : std::uint8_t { kLiteral, kExpression, kUnknown };
  Kind kind = Kind::kLiteral;
  std::string text;      ///< Literal; an expression of Chappe's, with marks for outputs (Importer::finish); or the tag.
  std::string name;      ///< Of an expression: the last word of what Argo calls it, for the variable that carries it.
  bool is_text = false;  ///< Of an expression: surely gives a text.
  std::optional<std::size_t> output;  ///< Of an expression that is one output and nothing else: its position.
};
using Text = std::vector<Piece>;

/// One call of a dag or steps template: what names mean inside.
struct Scope {
  const Scope* caller = nullptr;     ///< nullptr: the entrypoint.
  const yaml::Node* call = nullptr;  ///< The task or step that calls; nullptr for the entrypoint.
  const yaml::Node* body = nullptr;  ///< The template.
  const yaml::Node* item = nullptr;  ///< Of a fan-out that is written out: the item of this call.
  std::string prefix;                ///< Of the ids inside.
  struct Member {
    std::optional<std::size_t> task;  ///< Who stands for it in dependencies.
    const Scope* inner = nullptr;     ///< Of a nested dag or steps template.
  };
  std::map<std::string, Member, std::less<>> members;
};

/// How a task that never began ends here, for lack of what it waits for.
enum class Omission : std::uint8_t { kNever, kAsFailed, kAsSkipped };

struct Edge {
  std::size_t task = 0;
  unsigned on = 0;  ///< Of kSucceeded, kFailed, kSkipped; 0: a plain edge.
};

/// A task of the DAG to be.
struct FlatTask {
  enum class Kind : std::uint8_t { kLeaf, kPoint };  ///< kPoint: a no-op that others gather at.
  Kind kind = Kind::kLeaf;
  std::string id;
  const yaml::Node* place = nullptr;  ///< For notes.
  const yaml::Node* call = nullptr;   ///< nullptr: the entrypoint itself, or a helper.
  const yaml::Node* body = nullptr;   ///< The template; nullptr where it is not in this file.
  const Scope* scope = nullptr;       ///< In which `call` stands.
  const yaml::Node* item = nullptr;
  std::vector<Edge> edges;
  std::string rule;  ///< "": the default.
  Condition condition;
  Omission omission = Omission::kNever;
  bool has_when = false;
  bool fans_out = false;
  bool handler = false;
  bool never = false;  ///< Its condition cannot be told: it waits for a person to finish the file.
  bool allow_failure = false;
  std::string handles = "exit";    ///< Of a handler: the end of the run that it is for.
  std::string hook;                ///< "on_success" and the like: it stands inside the task that it belongs to.
  std::vector<std::size_t> hooks;  ///< Those of this one.
  std::vector<std::string> comments;
  // Found out by the second pass.
  std::set<std::pair<std::string, bool>> used;  ///< Outputs by name, as JSON or as text.
};

/// A value that a task leaves, named in an expression.
struct OutputUse {
  std::size_t task = 0;
  std::string name;
  bool json = false;
};

struct PathChange {
  std::string from;
  std::string to;
};

class Importer {
 public:
  Importer(const yaml::Node& root, std::string_view file, ImportOptions options);
  Result<ImportedDag> run();

 private:
  /// Where a text stands, and so what names in it mean.
  struct Site {
    const Scope* scope = nullptr;           ///< Whose members `tasks.X` and `steps.X` are.
    const yaml::Node* item = nullptr;       ///< `item`, where it stands in the file;
    std::optional<std::size_t> task;        ///< else the task whose fan-out it belongs to.
    const yaml::Node* body = nullptr;       ///< The template whose `inputs` may be named,
    const yaml::Node* call = nullptr;       ///< the call that gives them values (nullptr: the workflow's arguments),
    const Scope* call_scope = nullptr;      ///< where that stands,
    const yaml::Node* call_item = nullptr;  ///< and what `item` is there.
    std::optional<std::size_t> call_task;
    const std::vector<PathChange>* paths = nullptr;
    std::size_t depth = 0;
    bool response = false;  ///< What a request was answered may be named.
  };
  static Site inside_of(const Scope* scope);

  // ---- import.cc ----
  std::optional<Error> find_spec();
  Error error_at(const yaml::Node& node, std::string message) const;
  void note(const yaml::Node& at, std::string message, std::optional<std::size_t> task = std::nullopt);
  /// One note of a kind is enough.
  void note_once(const yaml::Node& at, std::string message);
  void note_keys(const yaml::Node& map, std::initializer_list<std::string_view> known, std::string_view what,
                 std::optional<std::size_t> task = std::nullopt);
  void write_head(Yaml& out);
  void write_params(Yaml& out);
  Yaml write_param(const yaml::Node& param, const std::string& name);
  void write_retention(Yaml& out);
  void write_schedule(Yaml& out);
  void write_concurrency(Yaml& out);
  std::string shared_mutex();
  void write_shell(Yaml& out);
  void write_defaults(Yaml& out);
  void check_result(ImportedDag& out);

  // ---- hooks.cc ----
  void flatten_handlers();
  void flatten_hook(std::size_t task, const yaml::Node& hook, const Scope* scope);
  void add_hook(std::size_t task, const yaml::Node& hook, const yaml::Node* body, const Scope* scope, std::string key);
  void add_task_after(std::size_t task, const yaml::Node& hook, const yaml::Node* body, const Scope* scope,
                      unsigned ends);

  // ---- flatten.cc ----
  void flatten();
  const yaml::Node* find_template(std::string_view name) const;
  const yaml::Node* template_of(const yaml::Node& call);
  Scope& open(const Scope* caller, const yaml::Node* call, const yaml::Node& body, std::string prefix);
  std::string unique_id(std::string id);
  std::size_t add_task(FlatTask task);
  /// All tasks of a dag or steps template; `first`: what its first ones wait for. Returns those that end it.
  std::vector<std::size_t> flatten_body(Scope& scope, const Condition& first);
  std::vector<std::size_t> flatten_dag(Scope& scope, const yaml::Node& dag, const Condition& first);
  std::vector<std::size_t> flatten_steps(Scope& scope, const yaml::Node& steps, const Condition& first);
  /// One call. `joined`: others depend on it. Returns the tasks that end it.
  std::vector<std::size_t> flatten_call(Scope& scope, const yaml::Node& call, Condition condition, bool joined);
  std::vector<std::size_t> flatten_nested(Scope& scope, const yaml::Node& call, const yaml::Node& body,
                                          Condition condition, bool joined);
  std::optional<std::vector<const yaml::Node*>> static_items(const yaml::Node& call);
  std::size_t join_ends(const yaml::Node& call, const std::string& id, const std::vector<std::size_t>& ends,
                        std::optional<std::size_t> gate, const Condition& condition);
  bool is_nested(const yaml::Node& body) const;
  bool is_recursive(const Scope& scope, const yaml::Node& body) const;

  // ---- edges.cc ----
  /// From Argo's ends to ours; `condition` names tasks by their position.
  Condition translate(const Condition& condition, const yaml::Node& at, std::optional<std::size_t> task);
  Condition translate_term(const Condition& term, const yaml::Node& at, std::optional<std::size_t> task);
  /// Gives the task its edges and rule, and helpers where one rule does not say it.
  void connect(std::size_t task, const Condition& condition, const yaml::Node& at);
  void connect_exactly(std::size_t task, const Condition& condition);
  bool is_plain(const Condition& condition) const;
  std::size_t helper_for(std::size_t task, const Condition& condition);
  bool is_certain(std::size_t task, std::size_t ancestor) const;

  // ---- texts.cc ----
  Text resolve(const yaml::Node& scalar, const Site& site);
  Text resolve_text(std::string_view text, const yaml::Node& at, const Site& site);
  Text resolve_name(const std::vector<std::string>& path, const yaml::Node& at, const Site& site);
  Text resolve_input(const std::vector<std::string>& path, const yaml::Node& at, const Site& site);
  Text resolve_workflow(const std::vector<std::string>& path, const yaml::Node& at);
  Text resolve_item(const std::vector<std::string>& path, const yaml::Node& at, const Site& site);
  Text resolve_task(const std::vector<std::string>& path, const yaml::Node& at, const Site& site);
  Text resolve_output(std::size_t task, const std::string& name, const std::string& last);
  Text unknown(const std::string& tag, const yaml::Node& at, std::string_view why = "");
  const Scope::Member* find_member(const Site& site, std::string_view name) const;
  std::string use(std::size_t task, const std::string& name, bool json);
  /// Replaces the marks of outputs: `tasks.ID.outputs.NAME`, with `?? ''` where it may be absent.
  std::string finish(const std::string& expression, std::size_t task) const;
  std::string as_template(const Text& text, std::size_t task) const;
  static bool is_literal(const Text& text);
  static std::string literal_of(const Text& text);

  // ---- expressions.cc ----
  std::string as_expression(const Text& text) const;  ///< Marks and all.
  std::optional<std::string> convert_when(const yaml::Node& when, const Site& site);
  std::optional<std::string> convert_expression(std::string_view text, const yaml::Node& at, const Site& site);
  friend class WhenReader;
  friend class ExprReader;

  // ---- work.cc ----
  Yaml write_task(std::size_t task);
  void write_edges(Yaml& out, const FlatTask& task);
  void write_hooks(Yaml& out, std::size_t task);
  void write_when(Yaml& out, std::size_t task);
  void write_work(Yaml& out, std::size_t task);
  void write_container(Yaml& out, std::size_t task, const yaml::Node& container, const Site& site);
  void write_image(Yaml& out, std::size_t task, const yaml::Node& container, const yaml::Node& image, const Site& site);
  void write_command(Yaml& out, std::size_t task, const std::vector<Text>& command, const std::vector<Text>& args);
  void write_script(Yaml& out, std::size_t task, const std::string& shell, const Text& script);
  std::string foreign_script(std::size_t task, const std::string& shell, std::string source);
  void write_failing(Yaml& out, const std::string& why);
  void write_suspend(Yaml& out, std::size_t task, const yaml::Node& suspend, const Site& site);
  void read_env(std::size_t task, const yaml::Node& container, const Site& site);
  std::string variable_for(const Piece& piece, std::size_t task);
  Site call_site(std::size_t task) const;                                        ///< Of what stands in the call.
  Site body_site(std::size_t task, const std::vector<PathChange>* paths) const;  ///< Of what stands in the template.
  bool keeps_result(std::size_t task) const;

  // ---- requests.cc ----
  void write_http(Yaml& out, std::size_t task, const yaml::Node& http, const Site& site);
  Yaml write_http_headers(std::size_t task, const yaml::Node& http, const Site& site);

  // ---- fan_out.cc ----
  void write_foreach(Yaml& out, std::size_t task);
  std::optional<Yaml> foreach_items(std::size_t task, const yaml::Node& items, const Site& site);
  std::optional<Yaml> foreach_param(std::size_t task, const yaml::Node& param, const Site& site);
  std::optional<Yaml> foreach_sequence(std::size_t task, const yaml::Node& sequence, const Site& site);

  // ---- artifacts.cc ----
  std::vector<PathChange> change_paths(std::size_t task);
  static std::string change_paths_in(std::string text, const std::vector<PathChange>& paths);
  void write_inputs(Yaml& out, std::size_t task, const Site& site);
  std::optional<Yaml> write_input(std::size_t task, const yaml::Node& input, const Site& site);
  bool write_source(Yaml& out, std::size_t task, const yaml::Node& source, const Site& site);
  void write_outputs(Yaml& out, std::size_t task, const Site& site);
  Yaml write_output(std::size_t task, const yaml::Node& artifact, const Site& site);
  void write_values(Yaml& out, std::size_t task, const Site& site);
  using Made = std::pair<std::size_t, std::string>;  ///< A task and one of its artifacts.
  std::optional<Made> find_artifact(std::string_view tag, const Site& site);
  std::string key_of(const yaml::Node& s3, std::size_t task, const Site& site);
  std::optional<Made> writer_of(const std::string& key) const;
  void find_keys();

  // ---- policies.cc ----
  void write_policies(Yaml& out, std::size_t task, const Site& site);
  void write_cache(Yaml& out, std::size_t task, const yaml::Node& memoize, const Site& site);
  void write_retry(Yaml& out, std::size_t task, const yaml::Node& retry);
  void write_backoff(Yaml& out, Yaml& whole, const yaml::Node& backoff, std::int64_t limit, std::size_t task);
  void write_retry_condition(Yaml& out, std::size_t task, const yaml::Node& expression);
  void write_resources(Yaml& out, std::size_t task, const yaml::Node& resources);

  // Sidecars.
  void write_sidecars(Yaml& out, std::size_t task, const Site& site);
  Yaml sidecar_of(std::size_t task, const yaml::Node& sidecar, const Site& site);
  void write_readiness(Yaml& out, const yaml::Node& sidecar, std::size_t task);
  void write_locks(Yaml& out, std::size_t task, const yaml::Node& synchronization, const Site& site);
  std::optional<std::string> duration_of(const yaml::Node& node, std::optional<std::size_t> task);

  const yaml::Node& root_;
  std::string file_;
  ImportOptions options_;
  const yaml::Node* spec_ = nullptr;
  const yaml::Node* cron_ = nullptr;  ///< The spec of a CronWorkflow.
  std::vector<ImportNote> notes_;
  std::set<std::string> told_;
  std::deque<Scope> scopes_;
  std::deque<yaml::Node> made_;  ///< Nodes that are not in the file.
  std::deque<FlatTask> tasks_;
  std::set<std::string> ids_;
  std::vector<std::size_t> order_;  ///< Of the tasks in the file to write: helpers before those they help.
  std::map<std::string, std::string, std::less<>> params_;  ///< Argo's name to ours.
  std::set<std::string> list_params_;                       ///< That a fan-out reads as lists.
  std::vector<OutputUse> uses_;
  std::size_t budget_ = 200'000;  ///< Names that may be resolved: texts in texts could double at each level.
  struct Key {
    std::string text;
    std::size_t task;
    std::string artifact;
  };
  std::vector<Key> keys_;                                 ///< Objects that tasks write.
  std::vector<std::pair<std::string, std::string>> env_;  ///< Of the task that is being written.
  std::set<std::string> shells_;                          ///< Of all scripts.
  bool has_images_ = false;                               ///< Some task runs in a container.
  bool handles_failure_ = false;                          ///< Some `depends` lets a task begin after a failure.
  std::size_t handlers_from_ = 0;
};

/// `a-b.c` -> `a_b_c`: what a task, a parameter or an output may be called here.
std::string identifier_from(std::string_view text);
/// A value of the file as it stands there.
Yaml copy_of(const yaml::Node& node);
/// A text in quotes, as expressions write it.
std::string quote(std::string_view text);
/// The text of a member, "" where there is none or it is no scalar.
std::string text_of(const yaml::Node& map, std::string_view key);
/// A whole number that is written, quoted or not. None: `node` may be null.
std::optional<std::int64_t> integer_of(const yaml::Node* node);
/// The members of `parameters`, `artifacts` and the like.
const std::vector<const yaml::Node*>& list_in(const yaml::Node* map, std::string_view key);
const yaml::Node* find_named(const std::vector<const yaml::Node*>& list, std::string_view name);

/// Writes variables into a shell script, quoted as the place needs it: "$X", ${X} within quotes, '"${X}"' within single
/// ones. `parts`: literal text and names of variables by turns, beginning with literal text.
struct ShellScript {
  std::string text;
  bool split = false;    ///< One stood where Argo's text could have been several words.
  bool literal = false;  ///< One stood where the shell expands nothing.
};
ShellScript place_in_shell(const std::vector<std::string>& parts);

}  // namespace chappe::argo
