// What a task does, reads and leaves behind.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dags/loader/keys.h"
#include "dags/loader/policies.h"
#include "dags/loader/scalar.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"
#include "engine/model/object_name.h"

namespace chappe {
namespace {

using yaml::Node;

/// "$", "$.a.b", "$.a[0]"
bool is_json_path(std::string_view path) {
  if (!path.starts_with('$')) return false;
  for (std::size_t at = 1; at < path.size();) {
    const bool member = path[at] == '.';
    if (!member && path[at] != '[') return false;
    const std::size_t start = at + 1;
    at = std::min(path.find_first_of(member ? ".[" : "]", start), path.size());
    const std::string_view part = path.substr(start, at - start);
    if (part.empty() || part.size() > 200) return false;
    if (member) continue;
    if (at == path.size() || part.find_first_not_of("0123456789") != std::string_view::npos) return false;
    ++at;
  }
  return true;
}

/// What is wrong with the literal text of an asset's URI; "" for nothing.
std::string_view uri_problem(std::string_view uri) {
  constexpr std::size_t kUriMax = 1024;
  if (uri.empty()) return "is empty";
  if (uri.size() > kUriMax) return "is longer than 1024 bytes";
  if (uri.find_first_of(" \t\r\n@") != std::string_view::npos) return "must not hold spaces or '@'";
  const std::size_t scheme = uri.find("://");
  if (scheme != std::string_view::npos && !uri.starts_with("s3://")) {
    return "begins with 's3://BUCKET/', or is a name beneath the object store";
  }
  const std::string_view key = scheme == std::string_view::npos ? uri : uri.substr(scheme + 3);
  if (key.starts_with('/') || key.ends_with('/')) return "must not begin or end with '/'";
  if (scheme != std::string_view::npos && key.find('/') == std::string_view::npos)
    return "needs a key: s3://BUCKET/KEY";
  for (const std::string_view bad : {"/../", "/./", "//"}) {
    if (fmt::format("/{}/", key).find(bad) != std::string::npos) return "must not hold '..', '.' or an empty component";
  }
  return "";
}

/// "0755", "0o755"
std::optional<std::uint32_t> read_mode(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  if (!text.starts_with('0')) return std::nullopt;
  text.remove_prefix(text.starts_with("0o") ? 2 : 1);
  if (text.size() != kDigits || text.find_first_not_of("01234567") != std::string_view::npos) return std::nullopt;
  std::uint32_t mode = 0;
  for (const char digit : text) mode = mode * 8 + static_cast<std::uint32_t>(digit - '0');
  return mode;
}

}  // namespace

void read_env_into(Reader& reader, Names& names, const Site& site, const Node& node,
                   std::vector<std::pair<std::string, expr::Template>>& out) {
  if (!node.is_map()) {
    reader.complaints().error(node, fmt::format("'env' is a map of names and texts, not {}", Reader::shown(node)));
    return;
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    const std::string& name = node.key(i).text;
    if (!is_identifier(name)) {
      (void)reader.identifier(node.key(i), "env");
    } else if (name.starts_with("CHAPPE_")) {
      reader.complaints().error(node.key(i), fmt::format("'{}': names that begin with CHAPPE_ are Chappe's own", name));
    }
    auto text = names.parse_template(node.value(i), site, name);
    if (!text) continue;
    const auto same = [&](const auto& entry) { return entry.first == name; };
    const auto found = std::find_if(out.begin(), out.end(), same);
    if (found == out.end()) {
      out.emplace_back(name, std::move(*text));
    } else {
      found->second = std::move(*text);
    }
  }
}

WorkSpec TaskReader::read_work(Task& task, const Node& node, Kind kind) {
  WorkSpec work;
  work.kind = task.kind;
  if (kind == kScript || kind == kCommand) {
    work.env = dag_.env;
    read_container(task, work, node);
  }
  if (const Node* sidecars = node.find("sidecars"); sidecars != nullptr && applies("sidecars", kind)) {
    read_sidecars(task, work, *sidecars);
  }
  reader_.take_duration(node, "timeout", work.timeout);
  if (const Node* grace = node.find("kill_grace")) {
    work.kill_grace = reader_.duration_or_zero(*grace, "kill_grace").value_or(work.kill_grace);
  }
  if (const Node* resources = node.find("resources")) work.resources = read_resources(reader_, *resources);
  reader_.take_text(node, "shell", work.shell);
  if (const Node* state = node.find("state"); state != nullptr && applies("state", kind)) read_states(work, *state);
  if (const Node* env = node.find("env")) read_env_into(reader_, names_, site::kEnv, *env, work.env);
  if (applies("secrets", kind)) read_secrets(work);
  reader_.take_boolean(node, "store_credentials", work.store_credentials);
  if (const Node* inputs = node.find("inputs")) read_inputs(task, work, *inputs);
  if (const Node* outputs = node.find("outputs")) read_outputs(task, work, *outputs);
  if (const Node* http = node.find("http")) read_http(work, *http);
  if (kind == kDataCheck) read_data_check(task, work, *node.find("check"));
  if (const Node* command = node.find("command")) read_command(work, *command, node.find("args"));
  if (const Node* script = node.find("run"); script != nullptr && reader_.text(*script, "run")) {
    if (script->text.find_first_not_of(" \t\r\n") == std::string::npos) complaints_.error(*script, "'run' is empty");
    if (auto text = names_.parse_template(*script, site::kRun, "run")) work.script = std::move(*text);
  }
  if (const Node* noop = node.find("noop")) {
    const bool fits = noop->is_null() || (noop->is_map() && noop->members() == 0) ||
                      (noop->is_scalar() && yaml::scalar_value(*noop).value == Value(true));
    if (!fits) complaints_.error(*noop, "a no-op has no settings: write 'noop: {}'");
  }
  return work;
}

void TaskReader::read_command(WorkSpec& work, const Node& command, const Node* args) {
  const auto append = [&](const Node& list, std::string_view what) {
    for (const Node* argument : list.children) {
      if (auto text = names_.parse_template(*argument, site::kCommand, what)) work.command.push_back(std::move(*text));
    }
  };
  if (!reader_.is_list(command, "command", "[python3, train.py] (a script goes into 'run')")) return;
  if (command.children.empty()) return complaints_.error(command, "'command' is empty");
  append(command, "command");
  if (!work.command.empty() && work.command[0].text().empty()) {
    complaints_.error(*command.children[0], "'command' begins with the program to run, not with nothing");
  }
  if (args != nullptr && reader_.is_list(*args, "args", "[--year, \"2026\"]")) append(*args, "args");
}

// ---- Inputs -------------------------------------------------------------------------------------------------------

void TaskReader::read_inputs(Task& task, WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kInputs)) return;
  const Node* artifacts = node.find("artifacts");
  if (artifacts == nullptr ||
      !reader_.is_list(*artifacts, "artifacts", "[{name: raw, from: ingest.raw, path: raw.tsv}]")) {
    return;
  }
  std::set<std::string> names, paths;
  std::size_t objects = 0;
  for (const Node* artifact : artifacts->children) {
    const std::size_t before = work.inputs.size();
    read_input(task, work, *artifact);
    if (work.inputs.size() == before) continue;
    const InputArtifact& input = work.inputs.back();
    if (!input.s3.text().empty() && ++objects == kObjectInputsMax + 1) {
      complaints_.error(*artifact, fmt::format("a task reads at most {} objects by 's3'", kObjectInputsMax));
    }
    if (!input.name.empty() && !names.insert(input.name).second) {
      complaints_.error(*artifact, fmt::format("two inputs are called '{}'", input.name));
    }
    if (!input.path.empty() && !paths.insert(input.path).second) {
      complaints_.error(*artifact, fmt::format("two inputs have the path '{}'", input.path));
    }
  }
}

void TaskReader::read_input(Task& task, WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kInput)) return;
  InputArtifact input;
  reader_.take_identifier(node, "name", input.name);
  if (node.find("name") == nullptr) complaints_.error(node, "an input artifact needs a 'name'");
  if (const Node* path = node.find("path")) {
    input.path = reader_.path(*path, "path").value_or("");
  } else {
    complaints_.error(node, "an input artifact needs a 'path' in the work directory");
  }
  reader_.take_boolean(node, "optional", input.optional);
  read_form(input, node);
  if (const Node* select = node.find("select")) input.select = chappe::read_select(reader_, *select);
  const Node* from = node.find("from");
  const Node* asset = node.find("asset");
  const Node* s3 = node.find("s3");
  if ((from != nullptr) + (asset != nullptr) + (s3 != nullptr) != 1) {
    complaints_.error(node,
                      "an input artifact comes from one of 'from: TASK.ARTIFACT', 'asset: NAME@ALIAS' and "
                      "'s3: s3://BUCKET/KEY'");
  } else if (from != nullptr) {
    if (auto source = read_source(task, *from)) {
      input.from_task = source->from;
      input.from_artifact = source->artifact;
      source->select = input.select;
      source->select_node = node.find("select");
      source->optional = input.optional;
      sources_.push_back(std::move(*source));
    }
  } else if (input.select) {
    complaints_.error(*node.find("select"), "'select' goes with 'from'");
  } else if (s3 != nullptr) {
    read_object(input, *s3);
  } else {
    if (auto text = names_.parse_template(*asset, site::kAsset, "asset")) input.asset = std::move(*text);
    check_asset_source(input.asset, *asset);
  }
  work.inputs.push_back(std::move(input));
}

/// "s3://BUCKET/KEY" or "KEY".
void TaskReader::read_object(InputArtifact& input, const Node& node) {
  auto text = names_.parse_template(node, site::kObject, "s3");
  if (!text) return;
  const std::string problem = text->is_literal() ? object_name_problem(text->literal_text()) : "";
  if (!problem.empty()) complaints_.error(node, fmt::format("'s3' {}, not {}", problem, Reader::shown(node)));
  input.s3 = std::move(*text);
}

/// How it lies in the work directory.
void TaskReader::read_form(InputArtifact& input, const Node& node) {
  if (const Node* mode = node.find("mode")) {
    input.mode = mode->is_scalar() ? read_mode(mode->text) : std::nullopt;
    if (!input.mode) {
      complaints_.error(*mode,
                        fmt::format("'mode' is the permissions of a file in octal, such as 0o755, at most 0o777, "
                                    "not {}",
                                    Reader::shown(*mode)));
    }
  }
  const Node* unpack = node.find("unpack");
  if (unpack == nullptr) return;
  const std::vector<std::string> choices = {"auto", "false", "true"};
  if (const auto found = reader_.choice(*unpack, "unpack", choices)) input.unpack = static_cast<Unpack>(*found);
  if (input.mode && input.unpack == Unpack::kAlways) {
    complaints_.error(*unpack, "'mode' is of a file, and with 'unpack: true' there is a directory");
  }
}

/// "URI", "URI@ALIAS" or "NAME@ALIAS".
void TaskReader::check_asset_source(const expr::Template& asset, const Node& node) {
  if (!asset.is_literal()) return;
  const std::string_view text = asset.literal_text();
  const std::size_t at = text.rfind('@');
  const std::string_view problem = uri_problem(text.substr(0, at));
  if (problem.empty() && (at == std::string_view::npos || is_identifier(text.substr(at + 1)))) return;
  complaints_.error(node, fmt::format("'asset' is NAME@ALIAS, URI@ALIAS or a URI, not {}", Reader::shown(node)));
}

std::optional<SourceMention> TaskReader::read_source(Task& task, const Node& node) {
  const auto text = reader_.text(node, "from");
  if (!text) return std::nullopt;
  const std::size_t dot = text->find('.');
  const std::string artifact = dot == std::string::npos ? "" : text->substr(dot + 1);
  if (!is_identifier(text->substr(0, dot)) || !is_identifier(artifact)) {
    complaints_.error(node, fmt::format("'from' is TASK.ARTIFACT, such as 'ingest.raw', not {}", Reader::shown(node)));
    return std::nullopt;
  }
  const auto from = find_task(node, 0, text->substr(0, dot));
  if (!from) return std::nullopt;
  if (*from == index_) {
    complaints_.error(node, fmt::format("task '{}' cannot read its own output", task.id));
    return std::nullopt;
  }
  if (task.handler == Handler::kNone) depend_on(task, {.task = *from}, nullptr);
  return SourceMention{.task = index_, .from = *from, .artifact = artifact, .select = {}, .node = &node};
}

// ---- Outputs ------------------------------------------------------------------------------------------------------

void TaskReader::read_outputs(Task& task, WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kOutputs)) return;
  if (const Node* artifacts = node.find("artifacts");
      artifacts != nullptr && reader_.is_list(*artifacts, "artifacts", "[{name: model, path: model.bin}]")) {
    for (const Node* artifact : artifacts->children) read_output(task, work, *artifact);
    check_unique(work, *artifacts);
  }
  if (const Node* values = node.find("values")) read_values(work, *values, false);
  if (const Node* metrics = node.find("metrics")) read_values(work, *metrics, true);
}

void TaskReader::read_output(Task& task, WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kOutput)) return;
  OutputArtifact output;
  reader_.take_identifier(node, "name", output.name);
  if (node.find("name") == nullptr) complaints_.error(node, "an output artifact needs a 'name'");
  if (const Node* path = node.find("path")) {
    output.path = reader_.path(*path, "path").value_or("");
  } else {
    complaints_.error(node, "an output artifact needs a 'path' in the work directory");
  }
  reader_.take_boolean(node, "required", output.required);
  reader_.take_boolean(node, "non_empty", output.non_empty);
  if (const Node* pack = node.find("pack")) {
    const std::vector<std::string> packs = {"auto", "none", "tar.zst"};
    if (const auto found = reader_.choice(*pack, "pack", packs)) output.pack = static_cast<Pack>(*found);
  }
  if (const Node* sha256 = node.find("sha256")) read_hash(output, *sha256);
  if (const Node* schema = node.find("schema")) read_schema(output, *schema);
  const Node* asset = node.find("asset");
  if (asset != nullptr) read_asset(task, output, *asset);
  if (const Node* retention = node.find("retention")) {
    if (asset != nullptr) complaints_.error(*retention, "versions of an asset are kept: take 'retention' out");
    output.retention = reader_.retention(*retention, "retention").value_or(Duration(0));
  }
  work.outputs.push_back(std::move(output));
}

void TaskReader::read_hash(OutputArtifact& output, const Node& node) {
  auto text = names_.parse_template(node, site::kHash, "sha256");
  if (!text) return;
  if (text->text().empty() || (text->is_literal() && !is_sha256(text->literal_text()))) {
    complaints_.error(node, fmt::format("'sha256' is 64 hexadecimal digits, or an expression that gives them, not {}",
                                        Reader::shown(node)));
  }
  output.sha256 = std::move(*text);
}

void TaskReader::read_asset(const Task& task, OutputArtifact& output, const Node& node) {
  if (node.is_scalar()) return read_asset_uri(task, output, node);
  if (!reader_.check_keys(node, keys::kAsset)) return;
  reader_.take_identifier(node, "name", output.asset_name);
  reader_.take_boolean(node, "immutable", output.immutable);
  const Node* uri = node.find("uri");
  if (uri == nullptr) return complaints_.error(node, "'asset' needs a 'uri'");
  read_asset_uri(task, output, *uri);
}

void TaskReader::read_asset_uri(const Task& task, OutputArtifact& output, const Node& node) {
  auto text = names_.parse_template(node, site::kAsset, "uri");
  if (!text) return;
  if (text->text().empty() || text->is_literal()) {
    const std::string_view problem = uri_problem(text->literal_text());
    if (!problem.empty())
      complaints_.error(node, fmt::format("the URI of an asset {}: {}", problem, Reader::shown(node)));
  }
  if (task.foreach && !names_.names_instance(*text)) {
    complaints_.error(node, "all items of 'foreach' would publish the same URI; put '${{ key }}' into it");
  }
  output.asset = std::move(*text);
}

void TaskReader::check_unique(const WorkSpec& work, const Node& node) {
  std::set<std::string> names, paths;
  for (const OutputArtifact& output : work.outputs) {
    if (!output.name.empty() && !names.insert(output.name).second) {
      complaints_.error(node, fmt::format("two output artifacts are called '{}'", output.name));
    }
    if (!output.path.empty() && !paths.insert(output.path).second) {
      complaints_.error(node, fmt::format("two output artifacts have the path '{}'", output.path));
    }
  }
}

void TaskReader::read_values(WorkSpec& work, const Node& node, bool metrics) {
  const std::string_view what = metrics ? "metrics" : "values";
  if (!node.is_map()) {
    complaints_.error(node, fmt::format("'{}' is a map of names, such as {{rows: {{json: out.json, path: $.rows}}}}, "
                                        "not {}",
                                        what, Reader::shown(node)));
    return;
  }
  std::set<std::string> names;
  for (const OutputValue& value : work.values) names.insert(value.name);
  for (std::size_t i = 0; i < node.members(); ++i) {
    const auto name = reader_.identifier(node.key(i), what);
    if (!name) continue;
    if (!names.insert(*name).second) {
      complaints_.error(node.key(i), fmt::format("'{}' is both a value and a metric; metrics are values", *name));
    }
    read_value(work, *name, node.value(i), metrics);
  }
}

void TaskReader::read_value(WorkSpec& work, const std::string& name, const Node& node, bool metric) {
  if (!reader_.check_keys(node, keys::kValue)) return;
  OutputValue value{.name = name, .file = {}, .json_path = {}, .default_value = {}, .metric = metric};
  const Node* file = node.find("file");
  const Node* json = node.find("json");
  const Node* path = node.find("path");
  if ((file == nullptr) == (json == nullptr)) {
    complaints_.error(node, fmt::format("'{}' comes from either 'file: PATH' or 'json: PATH'", name));
    return;
  }
  value.file = reader_.path(file != nullptr ? *file : *json, file != nullptr ? "file" : "json").value_or("");
  if (json != nullptr) value.json_path = "$";
  if (path != nullptr) {
    if (json == nullptr) complaints_.error(*path, "'path' goes with 'json', not with 'file'");
    if (!path->is_scalar() || !is_json_path(path->text)) {
      complaints_.error(*path, fmt::format("'path' is a place in the JSON, such as $, $.auc or $.rows[0], not {}",
                                           Reader::shown(*path)));
    }
    value.json_path = path->text;
  }
  if (const Node* otherwise = node.find("default")) {
    value.default_value = reader_.value(*otherwise);
    if (metric && value.default_value && !value.default_value->is_number()) {
      complaints_.error(*otherwise,
                        fmt::format("the default of a metric is a number, not {}", Reader::shown(*otherwise)));
    }
  }
  work.values.push_back(std::move(value));
}

// ---- Decisions ----------------------------------------------------------------------------------------------------

void TaskReader::read_check(Task& task, const Node& node) {
  if (!reader_.check_keys(node, keys::kCheck)) return;
  const Node* metric = node.find("metric");
  if (metric == nullptr) {
    if (node.members() == 0) {
      complaints_.error(node,
                        "'check' is empty; write 'check: {metric: {expr: ...}}', or what 'data' or 'drift' may be");
    }
    return;
  }
  if (!metric->is_list()) return read_condition(task, *metric);
  if (metric->children.empty()) complaints_.error(*metric, "'metric' has no conditions");
  for (const Node* condition : metric->children) read_condition(task, *condition);
  std::set<std::string> names;
  for (const CheckCondition& condition : task.checks) {
    if (!names.insert(condition.name).second) {
      complaints_.error(*metric, fmt::format("two conditions are called '{}'; give each its 'name'", condition.name));
    }
  }
}

void TaskReader::read_condition(Task& task, const Node& node) {
  if (!reader_.check_keys(node, keys::kCondition)) return;
  CheckCondition out{.name = "metric", .expression = {}, .message = {}};
  reader_.take_identifier(node, "name", out.name);
  reader_.take_text(node, "message", out.message);
  const Node* expression = node.find("expr");
  if (expression == nullptr) return complaints_.error(node, "a condition needs an 'expr'");
  if (auto parsed = names_.parse_expression(*expression, site::kCheck, "expr")) out.expression = std::move(*parsed);
  task.checks.push_back(std::move(out));
}

void TaskReader::read_promote(Task& task, const Node& node) {
  if (!reader_.check_keys(node, keys::kPromote)) return;
  PromoteSpec out;
  for (const std::string_view key : {"model", "alias", "from"}) {
    if (node.find(key) == nullptr) complaints_.error(node, fmt::format("'promote' needs '{}'", key));
  }
  reader_.take_identifier(node, "model", out.model);
  reader_.take_identifier(node, "alias", out.alias);
  reader_.take_boolean(node, "keep_previous", out.keep_previous);
  if (const Node* select = node.find("select")) out.select = chappe::read_select(reader_, *select);
  if (const Node* from = node.find("from")) {
    if (auto source = read_source(task, *from)) {
      out.from_task = source->from;
      out.from_artifact = source->artifact;
      source->select = out.select;
      source->select_node = node.find("select");
      source->promote = true;
      source->model = out.model;
      sources_.push_back(std::move(*source));
    }
  }
  task.promote = std::move(out);
}

}  // namespace chappe
