// What tasks read and leave: paths in the work directory, artifacts, assets, values.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "dags/argo/workflow.h"
#include "engine/base/text.h"
#include "engine/model/dag.h"

namespace chappe::argo {

using yaml::Node;

namespace {

bool is_path_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/// The next place where a text names this path and no longer one; npos: none.
std::size_t find_path(std::string_view text, std::string_view path, std::size_t at) {
  for (at = text.find(path, at); at != std::string_view::npos; at = text.find(path, at + 1)) {
    const bool begins = at == 0 || (!is_path_character(text[at - 1]) && text[at - 1] != '/' && text[at - 1] != '}');
    const std::size_t end = at + path.size();
    if (begins && (end == text.size() || !is_path_character(text[end]))) return at;
  }
  return at;
}

void collect_texts(const Node* node, std::vector<std::string_view>& out) {
  if (node == nullptr) return;
  if (node->is_scalar()) out.push_back(node->text);
  for (const Node* child : node->children) collect_texts(child, out);
}

/// Directories that every image has.
bool is_of_the_image(std::string_view directory) {
  constexpr std::array<std::string_view, 12> kDirectories = {"",     "/",     "/tmp", "/mnt", "/var", "/var/tmp",
                                                             "/opt", "/home", "/srv", "/usr", "/etc", "/root"};
  return std::find(kDirectories.begin(), kDirectories.end(), directory) != kDirectories.end();
}

/// Kubernetes reads YAML 1.1, where a number with a leading 0 is octal.
std::optional<std::uint32_t> mode_of(const std::string& text) {
  const bool octal = text.starts_with('0');
  const std::size_t prefix = text.starts_with("0o") ? 2 : 0;
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data() + prefix, text.data() + text.size(), mode, octal ? 8 : 10);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && mode <= kModeMax ? std::optional(mode) : std::nullopt;
}

std::string_view last_component(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view without_slash(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

/// "{{tasks.a.outputs.artifacts.b}}" -> tasks, a, outputs, artifacts, b.
std::vector<std::string> names_in(std::string_view tag) {
  std::vector<std::string> out;
  if (tag.starts_with("{{") && tag.ends_with("}}")) tag = tag.substr(2, tag.size() - 4);
  while (tag.starts_with(' ')) tag.remove_prefix(1);
  while (tag.ends_with(' ')) tag.remove_suffix(1);
  for (std::size_t start = 0; start <= tag.size();) {
    const std::size_t end = std::min(tag.find('.', start), tag.size());
    out.emplace_back(tag.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

}  // namespace

/// Containers have absolute paths of their own, processes a work directory: /tmp/rows becomes rows.
std::vector<PathChange> Importer::change_paths(std::size_t task) {
  const Node& body = *tasks_[task].body;
  std::vector<std::pair<std::string, const Node*>> paths;
  const auto add = [&](const Node* path) {
    if (path == nullptr || !path->is_scalar() || path->text.empty()) return;
    paths.emplace_back(without_slash(path->text), path);
  };
  for (const std::string_view key : {"inputs", "outputs"}) {
    for (const Node* one : list_in(body.find(key), "artifacts")) add(one->find("path"));
  }
  for (const Node* one : list_in(body.find("outputs"), "parameters")) {
    if (const Node* from = one->find("valueFrom")) add(from->find("path"));
  }
  std::vector<std::string_view> texts;
  for (const std::string_view key : {"container", "script"}) collect_texts(body.find(key), texts);
  const auto is_named = [&](std::string_view path) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](std::string_view text) { return find_path(text, path, 0) != std::string_view::npos; });
  };
  std::vector<PathChange> out;
  std::set<std::string> taken;
  const auto change = [&](std::string_view from, std::string to) {
    if (to.empty() || to == "." || to == "..") to = "data";
    for (std::string base = to; !taken.insert(to).second;) to = fmt::format("{}_{}", base, taken.size() + 1);
    out.push_back({std::string(from), to});
  };
  for (const auto& [path, place] : paths) {
    const auto same = [&path = path](const PathChange& one) { return one.from == path; };
    if (!path.starts_with('/') || std::any_of(out.begin(), out.end(), same)) continue;
    note_once(*place,
              "absolute paths of artifacts and outputs became ones in the work directory, in scripts too: /tmp/a is "
              "a");
    const std::string_view directory = std::string_view(path).substr(0, path.rfind('/'));
    const bool of_its_own = !is_of_the_image(directory) && is_named(directory);
    const auto known =
        std::find_if(out.begin(), out.end(), [&](const PathChange& one) { return one.from == directory; });
    if (of_its_own && known == out.end()) change(directory, std::string(last_component(directory)));
    const auto parent =
        std::find_if(out.begin(), out.end(), [&](const PathChange& one) { return one.from == directory; });
    change(path, (parent == out.end() ? "" : parent->to + "/") + std::string(last_component(path)));
    const bool told = is_named(path) || is_named(fmt::format(".{}", path)) || of_its_own;
    const std::string tag = ".path}}";
    const bool by_tag = std::any_of(texts.begin(), texts.end(),
                                    [&](std::string_view text) { return text.find(tag) != std::string_view::npos; });
    if (!told && !by_tag) note(*place, fmt::format("no script names this path; here it is '{}'", out.back().to), task);
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.from.size() > b.from.size(); });
  return out;
}

std::string Importer::change_paths_in(std::string text, const std::vector<PathChange>& paths) {
  for (const PathChange& change : paths) {
    for (std::size_t at = 0; (at = find_path(text, change.from, at)) != std::string::npos; at += change.to.size()) {
      text.replace(at, change.from.size(), change.to);
    }
  }
  return text;
}

// ---- Inputs -------------------------------------------------------------------------------------------------------

void Importer::write_inputs(Yaml& out, std::size_t task, const Site& site) {
  Yaml list = Yaml::list();
  for (const Node* input : list_in(tasks_[task].body->find("inputs"), "artifacts")) {
    if (auto written = write_input(task, *input, site)) list.add(*std::move(written));
  }
  if (!list.empty()) out.set("inputs", Yaml::map().set("artifacts", std::move(list)));
}

std::optional<Yaml> Importer::write_input(std::size_t task, const Node& input, const Site& site) {
  const std::string name = text_of(input, "name");
  const Node* arguments = site.call == nullptr ? spec_->find("arguments") : site.call->find("arguments");
  const Node* given = find_named(list_in(arguments, "artifacts"), name);
  const std::string path(without_slash(change_paths_in(text_of(input, "path"), *site.paths)));
  Yaml out = Yaml::map();
  out.set("name", Yaml::text(identifier_from(name)))
      .set("path", Yaml::text(path.empty() ? identifier_from(name) : path));
  Site outside = site;
  if (given != nullptr) {
    outside = inside_of(site.call_scope);
    outside.item = site.call_item;
    outside.task = site.call_task;
  }
  if (!write_source(out, task, given != nullptr ? *given : input, outside)) {
    note(input, fmt::format("the artifact '{}' is left out: it comes from somewhere that is not taken over", name),
         task);
    return std::nullopt;
  }
  if (text_of(input, "optional") == "true" && !out.has("optional")) out.set("optional", Yaml::raw("true"));
  if (const auto mode = mode_of(text_of(input, "mode"))) out.set("mode", Yaml::raw(fmt::format("0o{:03o}", *mode)));
  return out;
}

/// `from` or `s3`. False: neither is there.
bool Importer::write_source(Yaml& out, std::size_t task, const Node& source, const Site& site) {
  std::optional<Made> made;
  if (const Node* from = source.find("from"); from != nullptr && from->is_scalar()) {
    made = find_artifact(from->text, site);
    if (!made) return false;
  } else if (const Node* s3 = source.find("s3"); s3 != nullptr && s3->find("key") != nullptr) {
    const std::string key = key_of(*s3, task, site);
    made = writer_of(key);
    if (!made) {
      out.set("s3", Yaml::text(key));
      if (!key.starts_with("s3://")) {
        note(*s3,
             "this key is one of Chappe's object store: give its bucket (s3://BUCKET/KEY) where it is another's, or "
             "say 'asset' where another DAG publishes it",
             task);
      }
      if (s3->find("endpoint") != nullptr || s3->find("accessKeySecret") != nullptr) {
        note_once(*s3, "objects of S3 are read with the address and credentials that the worker was started with");
      }
      return true;
    }
  } else {
    return false;
  }
  const auto& [from, artifact] = *made;
  out.set("from", Yaml::text(fmt::format("{}.{}", tasks_[from].id, artifact)));
  const auto is_direct = [&from = from](const Edge& edge) { return edge.task == from; };
  if (tasks_[task].rule == "all_done_min_one_success" &&
      std::none_of(tasks_[task].edges.begin(), tasks_[task].edges.end(), is_direct)) {
    note(source, fmt::format("reading from '{}' makes it one more task that is waited for", tasks_[from].id), task);
  }
  const Node* outputs = tasks_[from].body == nullptr ? nullptr : tasks_[from].body->find("outputs");
  bool optional = tasks_[task].handler || !is_certain(task, from);
  // What is read comes first: an edge of its own, which demands success.
  if (optional && !tasks_[task].handler && tasks_[task].edges.empty() && !tasks_[from].allow_failure) optional = false;
  for (const Node* one : list_in(outputs, "artifacts")) {
    if (identifier_from(text_of(*one, "name")) == artifact) optional |= text_of(*one, "optional") == "true";
  }
  if (optional) out.set("optional", Yaml::raw("true"));
  if (tasks_[from].fans_out) {
    note_once(source, "an artifact of a fan-out is read as a directory with an entry for each item, named after it");
  }
  return true;
}

/// Whose artifact a tag names, through as many templates as it takes.
std::optional<Importer::Made> Importer::find_artifact(std::string_view tag, const Site& site) {
  if (site.depth > kImportDepthMax || budget_ == 0) return std::nullopt;
  --budget_;
  const std::vector<std::string> names = names_in(tag);
  if (names.size() == 5 && (names[0] == "tasks" || names[0] == "steps") && names[3] == "artifacts") {
    const Scope::Member* member = find_member(site, names[1]);
    if (member == nullptr) return std::nullopt;
    if (member->inner == nullptr) {
      const Node* body = member->task ? tasks_[*member->task].body : nullptr;
      const Node* outputs = body == nullptr ? nullptr : body->find("outputs");
      if (find_named(list_in(outputs, "artifacts"), names[4]) == nullptr) return std::nullopt;
      return Made(*member->task, identifier_from(names[4]));
    }
    const Node* output = find_named(list_in(member->inner->body->find("outputs"), "artifacts"), names[4]);
    Site inside = inside_of(member->inner);
    inside.depth = site.depth + 1;
    return output == nullptr ? std::nullopt : find_artifact(text_of(*output, "from"), inside);
  }
  if (names.size() == 3 && names[0] == "inputs" && names[1] == "artifacts" && site.call != nullptr) {
    const Node* given = find_named(list_in(site.call->find("arguments"), "artifacts"), names[2]);
    Site outside = inside_of(site.call_scope);
    outside.depth = site.depth + 1;
    return given == nullptr ? std::nullopt : find_artifact(text_of(*given, "from"), outside);
  }
  return std::nullopt;
}

// ---- Objects ------------------------------------------------------------------------------------------------------

/// A name beneath the object store, or s3://BUCKET/KEY.
std::string Importer::key_of(const Node& s3, std::size_t task, const Site& site) {
  const Node* key = s3.find("key");
  std::string out = key == nullptr ? "" : as_template(resolve(*key, site), task);
  while (out.starts_with('/')) out.erase(0, 1);
  out = without_slash(out);
  const std::string bucket = text_of(s3, "bucket");
  return bucket.empty() ? out : fmt::format("s3://{}/{}", bucket, out);
}

void Importer::find_keys() {
  for (const std::size_t task : order_) {
    const Node* body = tasks_[task].body;
    for (const Node* one : list_in(body == nullptr ? nullptr : body->find("outputs"), "artifacts")) {
      const Node* s3 = one->find("s3");
      if (s3 == nullptr || s3->find("key") == nullptr) continue;
      keys_.push_back({key_of(*s3, task, body_site(task, nullptr)), task, identifier_from(text_of(*one, "name"))});
    }
  }
}

/// The task that writes this object; or all items of one that write beneath it.
std::optional<Importer::Made> Importer::writer_of(const std::string& key) const {
  if (key.empty()) return std::nullopt;
  for (const Key& one : keys_) {
    const bool same = one.text == key && !tasks_[one.task].fans_out;
    const bool beneath = tasks_[one.task].fans_out && one.text.starts_with(key + "/");
    if (same || beneath) return Made(one.task, one.artifact);
  }
  return std::nullopt;
}

// ---- Outputs ------------------------------------------------------------------------------------------------------

void Importer::write_outputs(Yaml& out, std::size_t task, const Site& site) {
  Yaml list = Yaml::list();
  for (const Node* artifact : list_in(tasks_[task].body->find("outputs"), "artifacts")) {
    list.add(write_output(task, *artifact, site));
  }
  Yaml whole = Yaml::map();
  if (!list.empty()) whole.set("artifacts", std::move(list));
  Yaml holder = Yaml::map();
  write_values(holder, task, site);
  if (list.empty() && holder.empty() && whole.empty()) return;
  if (!holder.empty()) whole.set("values", std::move(holder));
  out.set("outputs", std::move(whole));
}

/// Artifacts go with the workflow, which goes when its 'ttlStrategy' says; or at its end.
void Importer::write_retention(Yaml& out) {
  const Node* collects = spec_->find("artifactGC");
  if (collects == nullptr || text_of(*collects, "strategy") == "Never") return;
  const bool at_once = text_of(*collects, "strategy") == "OnWorkflowCompletion";
  const Node* ttl = spec_->find("ttlStrategy");
  Yaml retention = Yaml::map();
  for (const auto& [key, seconds] :
       {std::pair("on_success", "secondsAfterSuccess"), std::pair("on_failure", "secondsAfterFailure")}) {
    const Node* after = ttl == nullptr ? nullptr : ttl->find(seconds);
    if (after == nullptr && ttl != nullptr) after = ttl->find("secondsAfterCompletion");
    if (at_once || (after != nullptr && after->text == "0")) {
      retention.set(key, Yaml::text("1s"));
    } else if (after != nullptr) {
      if (const auto length = duration_of(*after, std::nullopt)) retention.set(key, Yaml::text(*length));
    }
  }
  if (retention.empty()) {
    return note(*collects, "when artifacts go is not said in the file: say it with 'artifacts: {retention: ...}'");
  }
  out.set("artifacts", Yaml::map().set("retention", std::move(retention)));
}

Yaml Importer::write_output(std::size_t task, const Node& artifact, const Site& site) {
  const std::string name = identifier_from(text_of(artifact, "name"));
  const std::string path(without_slash(change_paths_in(text_of(artifact, "path"), *site.paths)));
  Yaml out = Yaml::map();
  out.set("name", Yaml::text(name)).set("path", Yaml::text(path.empty() ? name : path));
  if (text_of(artifact, "optional") == "true") out.set("required", Yaml::raw("false"));
  for (const std::string_view key : {"gcs", "azure", "oss", "hdfs", "artifactory", "http", "git", "globalName"}) {
    if (artifact.find(key) != nullptr) {
      note(*artifact.find(key), fmt::format("'{}' of an artifact is not taken over", key), task);
    }
  }
  const Node* s3 = artifact.find("s3");
  std::string key = s3 == nullptr ? "" : key_of(*s3, task, site);
  const Node* collects = artifact.find("artifactGC");
  const bool is_kept = collects != nullptr && text_of(*collects, "strategy") == "Never";
  if (is_kept && key.empty()) out.set("retention", Yaml::text("forever"));
  if (collects != nullptr && !is_kept) {
    note(*collects,
         key.empty() ? "when this artifact goes is not taken over: say it with 'retention'"
                     : "an artifact with a key becomes an asset, whose versions stay",
         task);
  }
  if (key.empty()) return out;
  if (tasks_[task].fans_out && key.find("item") == std::string::npos) {
    note(*s3, "each item needs an object of its own: its key was put behind", task);
    key += "/${{ key }}";
  }
  out.set("asset", Yaml::text(key));
  return out;
}

/// `out`: the map of values itself where it is empty so far, else the task, without a template.
void Importer::write_values(Yaml& out, std::size_t task, const Site& site) {
  const FlatTask& flat = tasks_[task];
  Yaml values = Yaml::map();
  std::set<std::string> declared;
  const std::vector<PathChange> none;
  const auto& paths = site.paths == nullptr ? none : *site.paths;
  const auto declare = [&](const std::string& name, const std::string& file, const Node* otherwise) {
    declared.insert(name);
    Yaml value = Yaml::map().set("file", Yaml::text(file));
    if (otherwise != nullptr && otherwise->is_scalar()) value.set("default", Yaml::text(otherwise->text));
    values.set(name, std::move(value));
    if (flat.used.contains({name, true})) {
      values.set(name + "_json", Yaml::map().set("json", Yaml::text(file)));
    }
  };
  const Node* outputs = flat.body == nullptr ? nullptr : flat.body->find("outputs");
  for (const Node* one : list_in(outputs, "parameters")) {
    const std::string name = identifier_from(text_of(*one, "name"));
    const Node* from = one->find("valueFrom");
    if (from == nullptr || from->find("path") == nullptr || declared.contains(name)) {
      note(*one, fmt::format("the output '{}' is left out: it is read from no file", text_of(*one, "name")), task);
      continue;
    }
    if (one->find("globalName") != nullptr) note(*one, "'globalName' is not taken over; name the task instead", task);
    declare(name, std::string(without_slash(change_paths_in(text_of(*from, "path"), paths))), from->find("default"));
  }
  for (const auto& [name, json] : flat.used) {
    if (declared.contains(name)) continue;
    if (name != "result")
      note(*flat.place, fmt::format("others read '{}' of it, which it must leave in that file", name), task);
    const bool asks = flat.body != nullptr && flat.body->find("http") != nullptr;
    declare(name, name != "result" ? name : asks ? "body" : "stdout.txt", nullptr);
  }
  if (values.empty()) return;
  if (flat.body == nullptr) {
    out.set("outputs", Yaml::map().set("values", std::move(values)));
  } else {
    out = std::move(values);
  }
}

}  // namespace chappe::argo
