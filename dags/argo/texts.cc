// What `{{ }}` means: Argo's names become text of the file, or expressions of Chappe.
#include <fmt/format.h>

#include <algorithm>

#include "dags/argo/workflow.h"
#include "dags/loader/scalar.h"
#include "engine/base/text.h"

namespace chappe::argo {

using yaml::Node;

namespace {

// Around the position of an output in uses_, until it is known who names it: no text of a file holds these.
constexpr char kMark = '\x01';
constexpr char kMarkEnd = '\x02';

Piece literal(std::string text) { return {Piece::Kind::kLiteral, std::move(text), "", true, std::nullopt}; }

Piece expression(std::string text, std::string name, bool is_text) {
  return {Piece::Kind::kExpression, std::move(text), std::move(name), is_text, std::nullopt};
}

std::vector<std::string> split_name(std::string_view name) {
  std::vector<std::string> out;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    out.emplace_back(name.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? "" : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

std::string joined(const std::vector<std::string>& path, std::size_t from = 0) {
  std::string out;
  for (std::size_t i = from; i < path.size(); ++i) out += (i > from ? "." : "") + path[i];
  return out;
}

/// A member of an item: `item.x`, or `item['x-y']`.
std::string member_of(const std::string& of, const std::string& name) {
  return is_identifier(name) ? of + "." + name : fmt::format("{}[{}]", of, quote(name));
}

}  // namespace

std::string identifier_from(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out += fits ? c : '_';
  }
  if (out.empty() || (out[0] >= '0' && out[0] <= '9')) out.insert(0, "_");
  constexpr std::size_t kMax = 150;
  return out.substr(0, kMax);
}

std::string quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c != kMark && c != kMarkEnd) {
      out += c;
    }
  }
  return out + "'";
}

std::string text_of(const Node& map, std::string_view key) {
  const Node* found = map.find(key);
  return found != nullptr && found->is_scalar() ? found->text : "";
}

const std::vector<const Node*>& list_in(const Node* map, std::string_view key) {
  static const std::vector<const Node*> kNone;
  const Node* found = map == nullptr ? nullptr : map->find(key);
  return found != nullptr && found->is_list() ? found->children : kNone;
}

const Node* find_named(const std::vector<const Node*>& list, std::string_view name) {
  for (const Node* one : list) {
    if (text_of(*one, "name") == name) return one;
  }
  return nullptr;
}

bool Importer::is_literal(const Text& text) {
  return std::all_of(text.begin(), text.end(), [](const Piece& piece) { return piece.kind == Piece::Kind::kLiteral; });
}

std::string Importer::literal_of(const Text& text) {
  std::string out;
  for (const Piece& piece : text) out += piece.text;
  return out;
}

Text Importer::unknown(const std::string& tag, const Node& at, std::string_view why) {
  note(at, fmt::format("'{{{{{}}}}}' stays as it is{}{}", tag, why.empty() ? ": nothing here is its like" : ": ", why));
  Piece piece = literal("{{" + tag + "}}");
  piece.kind = Piece::Kind::kUnknown;
  return {piece};
}

// ---- Texts --------------------------------------------------------------------------------------------------------

Text Importer::resolve(const Node& scalar, const Site& site) {
  return scalar.is_scalar() ? resolve_text(scalar.text, scalar, site) : Text();
}

Text Importer::resolve_text(std::string_view text, const Node& at, const Site& site) {
  Text out;
  const auto add_literal = [&](std::string_view part) {
    if (part.empty()) return;
    if (!out.empty() && out.back().kind == Piece::Kind::kLiteral) {
      out.back().text += part;
    } else {
      out.push_back(literal(std::string(part)));
    }
  };
  while (true) {
    const std::size_t open = text.find("{{");
    const std::size_t close = open == std::string_view::npos ? open : text.find("}}", open);
    add_literal(text.substr(0, close == std::string_view::npos ? close : open));
    if (close == std::string_view::npos) break;
    const std::string_view tag = text.substr(open + 2, close - open - 2);
    text.remove_prefix(close + 2);
    Text value;
    if (tag.starts_with('=')) {
      auto converted = convert_expression(tag.substr(1), at, site);
      value = converted ? Text{expression(std::move(*converted), "VALUE", false)} : unknown(std::string(tag), at);
    } else {
      value = resolve_name(split_name(trimmed(tag)), at, site);
    }
    for (Piece& piece : value) {
      if (piece.kind == Piece::Kind::kLiteral) {
        add_literal(piece.text);
      } else {
        out.push_back(std::move(piece));
      }
    }
  }
  return out;
}

Text Importer::resolve_name(const std::vector<std::string>& path, const Node& at, const Site& site) {
  if (budget_ == 0 || site.depth > 2 * kImportDepthMax)
    return unknown(joined(path), at, "the texts are nested too deep");
  --budget_;
  const std::string& root = path[0];
  if (root == "inputs" || root == "outputs") return resolve_input(path, at, site);
  if (root == "workflow") return resolve_workflow(path, at);
  if (root == "item") return resolve_item(path, at, site);
  if ((root == "tasks" || root == "steps") && path.size() > 2) return resolve_task(path, at, site);
  if (root == "pod" || root == "retries" || root == "node") {
    return unknown(joined(path), at, "see CHAPPE_TASK, CHAPPE_ATTEMPT and CHAPPE_ATTEMPT_ID, which every task finds");
  }
  return unknown(joined(path), at);
}

Importer::Site Importer::inside_of(const Scope* scope) {
  Site out;
  if (scope == nullptr) return out;
  out.scope = scope;
  out.body = scope->body;
  out.call = scope->call;
  out.call_scope = scope->caller;
  out.call_item = scope->item;
  return out;
}

Text Importer::resolve_input(const std::vector<std::string>& path, const Node& at, const Site& site) {
  const std::string name = path.size() > 2 ? path[2] : "";
  if (path.size() == 4 && path[3] == "path" && site.paths != nullptr) {
    const Node* in = site.body == nullptr ? nullptr : site.body->find(path[0]);
    const Node* found = find_named(list_in(in, path[1]), name);
    if (found != nullptr && path[1] == "parameters" && found->find("valueFrom") != nullptr)
      found = found->find("valueFrom");
    if (found != nullptr) return {literal(change_paths_in(text_of(*found, "path"), *site.paths))};
  }
  if (path[0] != "inputs" || path.size() < 3 || path[1] != "parameters") return unknown(joined(path), at);
  const std::string whole = joined(path, 2);
  // What the caller hands over, in the caller's own words.
  const Node* arguments = site.call == nullptr ? nullptr : site.call->find("arguments");
  if (const Node* given = find_named(list_in(arguments, "parameters"), whole); given != nullptr) {
    Site outside = inside_of(site.call_scope);
    outside.item = site.call_item;
    outside.task = site.call_task;
    outside.depth = site.depth + 1;
    if (const Node* value = given->find("value")) {
      Text out = resolve(*value, outside);
      for (Piece& piece : out) {
        if (piece.kind == Piece::Kind::kExpression) piece.name = whole;
      }
      return out;
    }
    return unknown(joined(path), at, "its value comes from elsewhere");
  }
  const Node* inputs = site.body == nullptr ? nullptr : site.body->find("inputs");
  const Node* declared = find_named(list_in(inputs, "parameters"), whole);
  // An entrypoint's inputs are the workflow's arguments.
  const bool is_entry = site.call == nullptr;
  if (const auto param = params_.find(whole); is_entry && param != params_.end()) {
    return {expression("params." + param->second, whole, true)};
  }
  for (const std::string_view key : {"value", "default"}) {
    if (const Node* value = declared == nullptr ? nullptr : declared->find(key)) {
      Site inside = site;
      inside.depth = site.depth + 1;
      return resolve(*value, inside);
    }
  }
  return unknown(joined(path), at, "nobody gives it a value");
}

Text Importer::resolve_workflow(const std::vector<std::string>& path, const Node& at) {
  const std::string name = joined(path, 1);
  if (path.size() > 2 && path[1] == "parameters") {
    const auto found = params_.find(joined(path, 2));
    if (found == params_.end()) return unknown(joined(path), at, "the workflow has no such parameter");
    return {expression("params." + found->second, found->first, !list_params_.contains(found->second))};
  }
  if (name == "parameters" || name == "parameters.json") return {expression("to_json(params)", "params", true)};
  if (name == "name" || name == "uid") return {expression("run.id", "run_id", true)};
  if (name == "scheduledTime") return {expression("run.logical_time", "logical_time", true)};
  if (name == "creationTimestamp" || name == "creationTimestamp.RFC3339") {
    note_once(at, "'workflow.creationTimestamp' became the time that the run is about, 'run.logical_time'");
    return {expression("run.logical_time", "logical_time", true)};
  }
  if (name == "status") {
    return {expression("(run.status == 'success' ? 'Succeeded' : 'Failed')", "status", true)};
  }
  if (name == "failures") {
    note_once(at, "'workflow.failures' became the names of the tasks that failed, without messages");
    return {expression("to_json(run.failed_tasks)", "failures", true)};
  }
  const Node* metadata = root_.find("metadata");
  if (name == "namespace" && metadata != nullptr && metadata->find("namespace") != nullptr) {
    return {literal(text_of(*metadata, "namespace"))};
  }
  if (name == "mainEntrypoint") return {literal(text_of(*spec_, "entrypoint"))};
  if (path.size() > 2 && (path[1] == "labels" || path[1] == "annotations") && metadata != nullptr) {
    const Node* map = metadata->find(path[1]);
    if (map != nullptr && map->find(joined(path, 2)) != nullptr) return {literal(text_of(*map, joined(path, 2)))};
  }
  return unknown(joined(path), at);
}

Text Importer::resolve_item(const std::vector<std::string>& path, const Node& at, const Site& site) {
  if (site.item != nullptr) {
    const Node* value = path.size() == 1 ? site.item : site.item->find(joined(path, 1));
    if (value == nullptr || !value->is_scalar()) return unknown(joined(path), at, "the item has no such text");
    return {literal(value->text)};
  }
  if (!site.task || !tasks_[*site.task].fans_out) return unknown(joined(path), at, "the task has no items");
  const FlatTask& task = tasks_[*site.task];
  // Over the outputs of a fan-out, Argo makes a list of maps; here the item is the number of one.
  const std::string param = task.call == nullptr ? "" : text_of(*task.call, "withParam");
  if (path.size() > 1 && param.find(".outputs.parameters}}") != std::string::npos) {
    const auto source = split_name(trimmed(std::string_view(param).substr(2, param.size() - 4)));
    const Scope::Member* member = source.size() > 1 ? find_member(site, source[1]) : nullptr;
    if (member != nullptr && member->task) {
      return {expression(use(*member->task, joined(path, 1), false) + "[item]", path.back(), true)};
    }
  }
  std::string out = "item";
  for (std::size_t i = 1; i < path.size(); ++i) out = member_of(out, path[i]);
  return {expression(out, path.back(), false)};
}

const Scope::Member* Importer::find_member(const Site& site, std::string_view name) const {
  if (site.scope == nullptr) return nullptr;
  const auto found = site.scope->members.find(name);
  return found == site.scope->members.end() ? nullptr : &found->second;
}

std::string Importer::use(std::size_t task, const std::string& name, bool json) {
  const std::string ours = identifier_from(name);
  tasks_[task].used.emplace(ours, json);
  uses_.push_back({task, json ? ours + "_json" : ours, json});
  return fmt::format("{}{}{}", kMark, uses_.size() - 1, kMarkEnd);
}

Text Importer::resolve_output(std::size_t task, const std::string& name, const std::string& last) {
  const std::string marked = use(task, name, false);
  const std::size_t position = uses_.size() - 1;
  Piece piece = expression(marked, last, true);
  if (tasks_[task].fans_out) {
    piece.text = fmt::format("to_json({})", marked);
    note_once(*tasks_[task].place, "the outputs of a fan-out are a list of texts here, [\"1\"] where Argo writes [1]");
  }
  piece.output = position;
  return {piece};
}

Text Importer::resolve_task(const std::vector<std::string>& path, const Node& at, const Site& site) {
  const Scope::Member* member = find_member(site, path[1]);
  if (member == nullptr) return unknown(joined(path), at, "there is no such task here");
  if (path[2] == "status" && path.size() == 3 && member->task) {
    uses_.push_back({*member->task, "", false});
    const std::string status = fmt::format("{}{}{}", kMark, uses_.size() - 1, kMarkEnd);
    return {
        expression(fmt::format("({0} == 'success' ? 'Succeeded' : {0} == 'skipped' ? 'Skipped' : 'Failed')", status),
                   path[1] + "_status", true)};
  }
  if (path[2] != "outputs" || path.size() < 4) return unknown(joined(path), at);
  if (path[3] == "result" && member->inner == nullptr && member->task) {
    return resolve_output(*member->task, "result", path[1]);
  }
  if (path[3] != "parameters" || path.size() < 5) return unknown(joined(path), at);
  const std::string name = joined(path, 4);
  if (member->inner == nullptr) {
    return member->task ? resolve_output(*member->task, name, name) : unknown(joined(path), at);
  }
  // What a template with tasks of its own hands out, in its own words.
  const Node* outputs = member->inner->body->find("outputs");
  const Node* output = find_named(list_in(outputs, "parameters"), name);
  const Node* from = output == nullptr ? nullptr : output->find("valueFrom");
  Site inside = inside_of(member->inner);
  inside.depth = site.depth + 1;
  if (from != nullptr && from->find("parameter") != nullptr) return resolve(*from->find("parameter"), inside);
  if (from != nullptr && from->find("expression") != nullptr) {
    auto converted = convert_expression(text_of(*from, "expression"), *from, inside);
    if (converted) return {expression(std::move(*converted), name, false)};
  }
  return unknown(joined(path), at, "the template does not say where it comes from");
}

// ---- Written down -------------------------------------------------------------------------------------------------

std::string Importer::finish(const std::string& expression, std::size_t task) const {
  std::string out;
  for (std::size_t at = 0; at < expression.size();) {
    const std::size_t start = std::min(expression.find(kMark, at), expression.size());
    out += expression.substr(at, start - at);
    if (start == expression.size()) break;
    const std::size_t end = expression.find(kMarkEnd, start);
    const OutputUse& use = uses_[std::stoul(expression.substr(start + 1, end - start - 1))];
    const std::string& id = tasks_[use.task].id;
    if (use.name.empty()) {
      out += fmt::format("tasks.{}.status", id);
    } else if (is_certain(task, use.task)) {
      out += fmt::format("tasks.{}.outputs.{}", id, use.name);
    } else {
      const std::string_view absent = use.json || tasks_[use.task].fans_out ? "[]" : "''";
      const std::string guarded = fmt::format("tasks.{}.outputs.{} ?? {}", id, use.name, absent);
      const bool whole = start == 0 && end + 1 == expression.size();
      const bool alone = whole || (out.ends_with('(') && expression.compare(end + 1, 1, ")") == 0);
      out += alone ? guarded : "(" + guarded + ")";
    }
    at = end + 1;
  }
  return out;
}

std::string Importer::as_template(const Text& text, std::size_t task) const {
  std::string out;
  const auto add_literal = [&](std::string_view part) {
    for (std::size_t at = 0; at < part.size();) {
      const std::size_t start = std::min(part.find("${{", at), part.size());
      out += part.substr(at, start - at);
      if (start < part.size()) out += "$${{";
      at = start + 3;
    }
  };
  for (const Piece& piece : text) {
    if (piece.kind != Piece::Kind::kExpression) {
      // Of two literal parts '$' and '{{tag}}' the text must not make an expression.
      const bool joins = out.ends_with('$') && piece.text.starts_with("{{");
      if (joins) out += '$';
      add_literal(piece.text);
      continue;
    }
    if (out.ends_with('$')) {  // `$${{` would be an escape.
      out.pop_back();
      out += "${{ '$' }}";
    }
    out += fmt::format("${{{{ {} }}}}", finish(piece.text, task));
  }
  return out;
}

}  // namespace chappe::argo
