// A task as it is written: what it waits for, its condition, its script or command.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "dags/argo/workflow.h"
#include "engine/base/text.h"

namespace chappe::argo {

using yaml::Node;

namespace {

constexpr std::string_view kResultFile = "stdout.txt";

bool is_shell(std::string_view program) {
  constexpr std::array<std::string_view, 6> kShells = {"sh", "bash", "dash", "ash", "zsh", "ksh"};
  const std::size_t slash = program.rfind('/');
  if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
  return std::find(kShells.begin(), kShells.end(), program) != kShells.end();
}

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

/// "sh -c", "bash -euo pipefail -c": how the script behind them is to be run; nullopt: no shell with one script.
std::optional<std::string> shell_of(const std::vector<std::string>& words, std::size_t& script) {
  if (words.empty() || !is_shell(words[0])) return std::nullopt;
  std::string out = words[0];
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const bool flag = words[i].starts_with('-') && words[i].size() > 1;
    if (flag && words[i].ends_with('c')) {
      if (words[i].size() > 2) out += " " + words[i].substr(0, words[i].size() - 1);
      script = i + 1;
      return out;
    }
    if (!flag && words[i] != "pipefail") return std::nullopt;
    out += " " + words[i];
  }
  return std::nullopt;
}

}  // namespace

Importer::Site Importer::call_site(std::size_t task) const {
  Site site = inside_of(tasks_[task].scope);
  site.task = task;
  return site;
}

Importer::Site Importer::body_site(std::size_t task, const std::vector<PathChange>* paths) const {
  Site site;
  site.body = tasks_[task].body;
  site.call = tasks_[task].call;
  site.call_scope = tasks_[task].scope;
  site.call_task = task;
  site.paths = paths;
  return site;
}

Yaml Importer::write_task(std::size_t task) {
  Yaml out = Yaml::map().block();
  out.set("id", Yaml::text(tasks_[task].id));
  if (tasks_[task].hook.empty()) write_edges(out, tasks_[task]);
  if (tasks_[task].fans_out && !tasks_[task].handler) write_foreach(out, task);
  write_when(out, task);
  if (tasks_[task].kind == FlatTask::Kind::kPoint) {
    out.set("noop", Yaml::map());
  } else {
    write_work(out, task);
  }
  if (tasks_[task].allow_failure) out.set("allow_failure", Yaml::raw("true"));
  write_hooks(out, task);
  for (const std::string& line : tasks_[task].comments) out.comment(line);
  return out;
}

/// Several of one event in a list.
void Importer::write_hooks(Yaml& out, std::size_t task) {
  std::map<std::string, std::vector<std::size_t>> by_event;
  for (const std::size_t hook : tasks_[task].hooks) by_event[tasks_[hook].hook].push_back(hook);
  for (const auto& [event, hooks] : by_event) {
    if (hooks.size() == 1) {
      out.set(event, write_task(hooks[0]));
      continue;
    }
    Yaml list = Yaml::list().block();
    for (const std::size_t hook : hooks) list.add(write_task(hook));
    out.set(event, std::move(list));
  }
}

void Importer::write_edges(Yaml& out, const FlatTask& task) {
  if (task.edges.empty()) return;
  Yaml list = Yaml::list();
  for (const Edge& edge : task.edges) {
    const std::string& id = tasks_[edge.task].id;
    if (edge.on == 0) {
      list.add(Yaml::text(id));
      continue;
    }
    Yaml on = Yaml::list();
    constexpr unsigned kDone = kSucceeded | kFailed | kSkipped;
    if (edge.on == kDone) on.add(Yaml::text("done"));
    if (edge.on != kDone && (edge.on & kSucceeded) != 0) on.add(Yaml::text("succeeded"));
    if (edge.on != kDone && (edge.on & kFailed) != 0) on.add(Yaml::text("failed"));
    if (edge.on != kDone && (edge.on & kSkipped) != 0) on.add(Yaml::text("skipped"));
    list.add(Yaml::map().set("task", Yaml::text(id)).set("on", std::move(on)));
  }
  out.set("depends_on", std::move(list));
  if (!task.rule.empty()) out.set("trigger_rule", Yaml::text(task.rule));
}

void Importer::write_when(Yaml& out, std::size_t task) {
  const FlatTask& flat = tasks_[task];
  if (flat.never) {
    out.set("when", Yaml::text("${{ false }}"));
  } else if (flat.has_when && flat.call != nullptr) {
    const Node& when = *flat.call->find("when");
    const auto condition = convert_when(when, call_site(task));
    if (!condition) note(when, "'when' is not understood: the task never runs until you write it", task);
    out.set("when", Yaml::text(fmt::format("${{{{ {} }}}}", condition ? finish(*condition, task) : "false")));
  }
}

bool Importer::keeps_result(std::size_t task) const {
  return std::any_of(tasks_[task].used.begin(), tasks_[task].used.end(),
                     [](const auto& use) { return use.first == "result"; });
}

void Importer::write_work(Yaml& out, std::size_t task) {
  const FlatTask& flat = tasks_[task];
  env_.clear();
  if (flat.body == nullptr) return write_failing(out, "its template is not taken over"), write_values(out, task, {});
  const Node& body = *flat.body;
  const std::vector<PathChange> paths = change_paths(task);
  const Site site = body_site(task, &paths);
  if (const Node* container = body.find("container")) {
    write_container(out, task, *container, site);
  } else if (const Node* script = body.find("script")) {
    write_container(out, task, *script, site);
  } else if (const Node* http = body.find("http"); http != nullptr && http->is_map()) {
    write_http(out, task, *http, site);
  } else if (const Node* suspend = body.find("suspend")) {
    return write_suspend(out, task, *suspend, site);
  } else {
    std::string kind = is_nested(body) ? "a template that calls itself" : "a template of this kind";
    for (const std::string_view key : {"resource", "data", "containerSet", "plugin"}) {
      if (body.find(key) != nullptr) kind = fmt::format("a template with '{}'", key);
    }
    note(*flat.place, fmt::format("{} is not taken over: the task fails until you write what it does", kind), task);
    write_failing(out, kind + " is not taken over");
  }
  write_inputs(out, task, site);
  write_outputs(out, task, site);
  write_policies(out, task, site);
}

/// A task that nobody finished must not look as if it had done its work.
void Importer::write_failing(Yaml& out, const std::string& why) {
  shells_.insert("sh");
  if (shells_.size() > 1) out.set("shell", Yaml::text("sh"));
  out.set("run", Yaml::text(fmt::format("echo \"imported from Argo, but {}\" >&2\nexit 1\n", why)));
}

void Importer::read_env(std::size_t task, const Node& container, const Site& site) {
  for (const Node* one : list_in(&container, "env")) {
    const std::string name = text_of(*one, "name");
    const Node* value = one->find("value");
    if (value == nullptr || !is_identifier(name) || name.starts_with("CHAPPE_")) {
      note(*one,
           fmt::format("the variable '{}' is left out: {}", name,
                       value == nullptr ? "its value comes from elsewhere; see secret parameters" : "its name"),
           task);
    } else {
      Text text = resolve(*value, site);
      for (Piece& piece : text) {
        if (piece.kind == Piece::Kind::kLiteral) piece.text = change_paths_in(piece.text, *site.paths);
      }
      env_.emplace_back(name, as_template(text, task));
    }
  }
}

/// The variable that carries an expression into a script; one for each.
std::string Importer::variable_for(const Piece& piece, std::size_t task) {
  const std::string value = as_template({piece}, task);
  std::string name = identifier_from(piece.name);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 10> kTaken = {"PATH", "HOME", "TMPDIR", "SHELL", "USER",
                                                       "LANG", "PWD",  "IFS",    "UID",   "PS4"};
  if (name.starts_with("CHAPPE_") || std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end())
    name = "ARG_" + name;
  for (std::size_t n = 1;; ++n) {
    const std::string candidate = n == 1 ? name : fmt::format("{}_{}", name, n);
    const auto same = std::find_if(env_.begin(), env_.end(), [&](const auto& one) { return one.first == candidate; });
    if (same != env_.end() && same->second != value) continue;
    if (same == env_.end()) env_.emplace_back(candidate, value);
    return candidate;
  }
}

void Importer::write_image(Yaml& out, std::size_t task, const Node& container, const Node& image, const Site& site) {
  const bool runs = container.find("command") != nullptr;  // Else what it runs is in the image: the task fails.
  if (!options_.images || !runs) {
    if (runs) note_once(image, "images are not used: tasks run as processes of the worker; they stand in comments");
    std::vector<std::string>& comments = tasks_[task].comments;
    const std::string line = "image: " + image.text;
    if (std::find(comments.begin(), comments.end(), line) == comments.end()) comments.insert(comments.begin(), line);
    return;
  }
  has_images_ = true;
  out.set("image", Yaml::text(as_template(resolve(image, site), task)));
  const std::string pull = text_of(container, "imagePullPolicy");
  if (pull != "Always" && pull != "Never") return;
  out.set("container", Yaml::map().set("pull", Yaml::text(pull == "Always" ? "always" : "never")));
}

void Importer::write_container(Yaml& out, std::size_t task, const Node& container, const Site& site) {
  const bool is_script = container.find("source") != nullptr;
  if (const Node* image = container.find("image"); image != nullptr && image->is_scalar()) {
    write_image(out, task, container, *image, site);
  }
  note_keys(container, {"name", "image", "command", "args", "source", "env", "resources", "imagePullPolicy"},
            "a container's", task);
  read_env(task, container, site);
  const auto words_of = [&](std::string_view key) {
    std::vector<Text> words;
    const Node* node = container.find(key);
    const std::vector<const Node*> one = {node};
    for (const Node* word : node == nullptr || node->is_list() ? list_in(&container, key) : one) {
      Text text = resolve(*word, site);
      for (Piece& piece : text) {
        if (piece.kind == Piece::Kind::kLiteral) piece.text = change_paths_in(piece.text, *site.paths);
      }
      words.push_back(std::move(text));
    }
    return words;
  };
  const std::vector<Text> command = words_of("command");
  const std::vector<Text> args = words_of("args");
  if (command.empty()) {
    note(container, "what the image runs is not in the file: the task fails until you write it", task);
    return write_failing(out, "what its image runs is not in the file");
  }
  std::vector<std::string> words;
  for (const Text& word : command) words.push_back(is_literal(word) ? literal_of(word) : "");
  if (is_script) {
    Text source = resolve(*container.find("source"), site);
    for (Piece& piece : source) {
      if (piece.kind == Piece::Kind::kLiteral) piece.text = change_paths_in(piece.text, *site.paths);
    }
    if (!args.empty()) note(container, "'args' of a script are left out", task);
    return write_script(out, task, fmt::format("{}", fmt::join(words, " ")), source);
  }
  std::vector<Text> all = command;
  all.insert(all.end(), args.begin(), args.end());
  for (std::size_t i = command.size(); i < all.size(); ++i)
    words.push_back(is_literal(all[i]) ? literal_of(all[i]) : "");
  std::size_t script = 0;
  const auto shell = shell_of(words, script);
  if (shell && script + 1 == all.size()) return write_script(out, task, *shell, all[script]);
  write_command(out, task, command, args);
}

void Importer::write_command(Yaml& out, std::size_t task, const std::vector<Text>& command,
                             const std::vector<Text>& args) {
  Yaml list = Yaml::list();
  Yaml rest = Yaml::list();
  if (!keeps_result(task)) {
    for (const Text& word : command) list.add(Yaml::text(as_template(word, task)));
    for (const Text& word : args) rest.add(Yaml::text(as_template(word, task)));
  } else {
    note_once(*tasks_[task].place,
              fmt::format("what a task writes is kept in {}, for those who read its result", kResultFile));
    list.add(Yaml::text("sh")).add(Yaml::text("-c"));
    list.add(Yaml::text(fmt::format("\"$@\" > {0}; code=$?; cat {0}; exit $code", kResultFile))).add(Yaml::text("sh"));
    for (const Text& word : command) rest.add(Yaml::text(as_template(word, task)));
    for (const Text& word : args) rest.add(Yaml::text(as_template(word, task)));
  }
  if (!env_.empty()) {
    Yaml env = Yaml::map();
    for (const auto& [name, value] : env_) env.set(name, Yaml::text(value));
    out.set("env", std::move(env));
  }
  out.set("command", std::move(list));
  if (!rest.empty()) out.set("args", std::move(rest));
}

/// Another language: its text stands in a file of the work directory, so that what it writes can be kept.
std::string Importer::foreign_script(std::size_t task, const std::string& shell, std::string source) {
  if (!keeps_result(task)) return source;
  std::string end = "END_OF_SCRIPT";
  while (source.find(end) != std::string::npos) end += "_";
  if (!source.ends_with('\n')) source += '\n';
  return fmt::format("cat > script <<'{0}'\n{1}{0}\n{2} script > {3}\ncode=$?\ncat {3}\nexit $code\n", end, source,
                     shell, kResultFile);
}

void Importer::write_script(Yaml& out, std::size_t task, const std::string& shell, const Text& script) {
  std::string text;
  std::string program = shell;
  if (is_shell(first_word(shell))) {
    std::vector<std::string> parts(1);
    for (const Piece& piece : script) {
      if (piece.kind != Piece::Kind::kExpression) {
        parts.back() += piece.text;
      } else {
        parts.push_back(variable_for(piece, task));
        parts.emplace_back();
      }
    }
    const ShellScript placed = place_in_shell(parts);
    text = placed.text;
    if (placed.split) {
      note_once(*tasks_[task].place,
                "values come into scripts as variables, in quotes: one with spaces stays one word, "
                "where Argo would write several");
    }
    if (placed.literal) {
      note(*tasks_[task].place,
           "a value stands in a here-document in which the shell replaces nothing: write it by hand", task);
    }
    if (keeps_result(task)) {
      text = fmt::format("exec 3>&1 > {0}  # For those who read the result of this task.\ntrap 'cat {0} >&3' EXIT\n{1}",
                         kResultFile, text);
    }
  } else {
    for (const Piece& piece : script) {
      if (piece.kind != Piece::Kind::kExpression) {
        text += piece.text;
        continue;
      }
      const std::string name = variable_for(piece, task);
      text += "{{" + name + "}}";
      note(*tasks_[task].place,
           fmt::format("in the script, put the value of the environment variable {0} in place of "
                       "'{{{{{0}}}}}'",
                       name),
           task);
    }
    if (keeps_result(task)) program = "sh";
    text = foreign_script(task, shell, std::move(text));
  }
  if (keeps_result(task)) {
    note_once(*tasks_[task].place,
              fmt::format("what a task writes is kept in {}, for those who read its result", kResultFile));
  }
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) text = ":\n";
  shells_.insert(program);
  if (shells_.size() > 1) out.set("shell", Yaml::text(program));
  if (!env_.empty()) {
    Yaml env = Yaml::map();
    for (const auto& [name, value] : env_) env.set(name, Yaml::text(value));
    out.set("env", std::move(env));
  }
  out.set("run",
          Yaml::text(as_template({Piece{Piece::Kind::kLiteral, std::move(text), "", true, std::nullopt}}, task)));
}

/// A rest, or a person who goes on and may fill in values.
void Importer::write_suspend(Yaml& out, std::size_t task, const Node& suspend, const Site& site) {
  const FlatTask& flat = tasks_[task];
  const Node* duration = suspend.find("duration");
  Yaml form = Yaml::map();
  const Node* outputs = flat.body->find("outputs");
  const Node* inputs = flat.body->find("inputs");
  for (const Node* one : list_in(outputs, "parameters")) {
    const std::string name = text_of(*one, "name");
    Yaml field = Yaml::map();
    field.set("type", Yaml::text("string"));
    // Argo takes choices and the proposal from an input of the same name.
    const Node* input = find_named(list_in(inputs, "parameters"), name);
    const Node* choices = input == nullptr ? nullptr : input->find("enum");
    if (choices != nullptr && choices->is_list()) {
      Yaml list = Yaml::list();
      for (const Node* choice : choices->children) list.add(Yaml::text(choice->text));
      field.set("enum", std::move(list));
    }
    const Node* from = one->find("valueFrom");
    const Node* proposal = input == nullptr       ? nullptr
                           : input->find("value") ? input->find("value")
                                                  : input->find("default");
    if (from != nullptr && from->find("default") != nullptr) proposal = from->find("default");
    const Text value = proposal == nullptr ? Text() : resolve(*proposal, site);
    if (proposal != nullptr && is_literal(value)) field.set("default", Yaml::text(literal_of(value)));
    form.set(identifier_from(name), std::move(field));
  }
  if (duration != nullptr && form.empty()) {
    const auto length = duration_of(*duration, task);
    out.set("wait", Yaml::map().set("for", Yaml::text(length.value_or("1m"))));
    return;
  }
  if (duration != nullptr) note(*duration, "'duration' of a question is left out: it waits for its answer", task);
  Yaml human = Yaml::map();
  human.set("prompt", Yaml::text(fmt::format("Go on with {}?", flat.id)));
  if (!form.empty()) human.set("form", std::move(form));
  out.set("human", std::move(human));
}

}  // namespace chappe::argo
