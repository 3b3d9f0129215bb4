// What starts a DAG beside people and its schedule.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "dags/loader/given_params.h"
#include "dags/loader/keys.h"
#include "dags/loader/read_dag.h"

namespace chappe {
namespace {

using yaml::Node;
using Kind = EventSource::Kind;

constexpr std::array kTriggerKinds = {Kind::kAsset, Kind::kDag, Kind::kObject, Kind::kHook};
constexpr std::size_t kKeyBytesMax = 900;  ///< As the object stores have it.
constexpr auto kLookEveryMin = std::chrono::seconds(1);
constexpr auto kLookEveryMax = std::chrono::hours(24);

/// What is wrong with the name of objects; "" for nothing.
std::string object_problem(const std::string& name) {
  constexpr std::string_view kS3 = "s3://";
  if (name.empty()) return "'s3' is empty";
  if (name.find("${{") != std::string::npos) {
    return "a trigger takes no expression: there is no run yet that it could be about";
  }
  std::string key = name;
  if (name.starts_with(kS3)) {
    const std::size_t slash = name.find('/', kS3.size());
    if (slash == std::string::npos || slash == kS3.size() || slash + 1 == name.size()) {
      return "'s3' needs a key in the bucket: s3://BUCKET/KEY, s3://BUCKET/PREFIX/ or s3://BUCKET/PREFIX/*.csv";
    }
    if (is_pattern(name.substr(0, slash))) return "the bucket's name cannot be a pattern";
    key.erase(0, slash + 1);
  }
  if (key.starts_with('/')) return "'s3' needs a key; it must not begin with '/'";
  for (const std::string_view wrong : {"//", "/./", "/../"}) {
    if (("/" + key).find(wrong) != std::string::npos) return fmt::format("no key of an object has '{}' in it", wrong);
  }
  return key.size() > kKeyBytesMax ? fmt::format("a key has at most {} bytes", kKeyBytesMax) : "";
}

/// Reads all triggers of a file.
class TriggerReader {
 public:
  TriggerReader(Reader& reader, Names& names, const Dag& dag) : reader_(reader), names_(names), dag_(dag) {}

  std::vector<TriggerSpec> read(const Node& node) {
    if (node.is_map()) {
      read_one(node);
    } else if (!node.is_list() || node.children.empty()) {
      error(node, "'triggers' is a list of what starts a run, such as [{asset: s3://bronze/income}]");
    } else if (node.children.size() > kTriggersMax) {
      error(node, fmt::format("'triggers' has more than {} entries", kTriggersMax));
    } else {
      for (const Node* one : node.children) read_one(*one);
    }
    if (seen_.size() > kTriggerSourcesMax) {
      error(node, fmt::format("'triggers' names more than {} assets, DAGs and the like", kTriggerSourcesMax));
    }
    return std::move(triggers_);
  }

 private:
  void error(const Node& node, std::string message) { reader_.complaints().error(node, std::move(message)); }

  void read_one(const Node& node) {
    if (!reader_.check_keys(node, keys::kTrigger)) return;
    std::vector<Kind> found;
    for (const Kind kind : kTriggerKinds) {
      if (node.find(name_of(kind)) != nullptr) found.push_back(kind);
    }
    if (found.size() != 1) {
      return error(node, found.empty() ? "a trigger needs one of asset, dag, s3 and webhook"
                                       : "a trigger is for one kind of thing: write an entry of the list for each");
    }
    TriggerSpec spec;
    const Node& what = *node.find(name_of(found[0]));
    const bool right = read_source(what, found[0], spec);
    if (const Node* mode = node.find("mode")) {
      const std::vector<std::string> choices = {"collapse", "each"};
      spec.mode = static_cast<TriggerMode>(reader_.choice(*mode, "mode", choices).value_or(0));
    }
    if (const Node* params = node.find("params")) {
      spec.params = read_given_params(reader_, names_, site::kTrigger, *params);
    }
    check_params(node, spec);
    if (right) triggers_.push_back(std::move(spec));
  }

  /// False after a complaint.
  bool read_source(const Node& node, Kind kind, TriggerSpec& spec) {
    if (kind == Kind::kDag) return read_dag(node, spec);
    if (kind == Kind::kHook) {
      const auto name = reader_.identifier(node, "webhook");
      return name && add_source(node, kind, *name, spec.when);
    }
    return kind == Kind::kObject ? read_objects(node, spec) : read_asset(node, spec.when);
  }

  bool read_objects(const Node& node, TriggerSpec& spec) {
    const Node* name = &node;
    if (!node.is_scalar()) {
      if (!reader_.check_keys(node, keys::kObjectTrigger)) return false;
      name = node.find("key");
      reader_.take_duration(node, "every", spec.every);
      if (spec.every < kLookEveryMin || spec.every > kLookEveryMax)
        error(*node.find("every"), "'every' is from 1s to 1d");
      reader_.take_boolean(node, "existing", spec.existing);
      if (name == nullptr) {
        error(node,
              "'s3' needs a 'key': of one object, with '/' at its end of all beneath, or a pattern such as *.csv");
        return false;
      }
    }
    const auto text = reader_.text(*name, "s3");
    if (!text) return false;
    std::string problem = object_problem(*text);
    if (!problem.empty()) error(*name, std::move(problem));
    return problem.empty() && add_source(*name, Kind::kObject, *text, spec.when);
  }

  /// False after a complaint.
  bool add_source(const Node& node, Kind kind, std::string name, TriggerCondition& into) {
    into.source = {kind, std::move(name)};
    const auto [first, fresh] = seen_.emplace(into.source, &node);
    if (fresh) return true;
    error(node, fmt::format("{} is in 'triggers' already, in line {}: a run takes each event once",
                            to_text(into.source), first->second->place.line));
    return false;
  }

  bool read_asset(const Node& node, TriggerCondition& into) {
    if (node.is_scalar()) return read_asset_name(node, into);
    if (!node.is_map()) {
      error(node, "an asset is its URI or name; of several write {all: [a, b]} or {any: [a, b]}");
      return false;
    }
    if (!reader_.check_keys(node, keys::kTree)) return false;
    if (node.members() != 1) {
      error(node, "write one of 'all' and 'any'; one may stand within the other");
      return false;
    }
    const Node& parts = node.value(0);
    if (!reader_.is_list(parts, node.key(0).text, "[s3://bronze/income, s3://bronze/prices]")) return false;
    if (parts.children.empty()) {
      error(parts, fmt::format("'{}' is empty", node.key(0).text));
      return false;
    }
    into.kind = node.key(0).text == "all" ? TriggerCondition::Kind::kAll : TriggerCondition::Kind::kAny;
    bool right = true;
    for (const Node* part : parts.children) right = read_asset(*part, into.parts.emplace_back()) && right;
    return right;
  }

  bool read_asset_name(const Node& node, TriggerCondition& into) {
    const auto name = reader_.text(node, "asset");
    if (!name) return false;
    std::string problem;
    if (name->empty()) problem = "'asset' is empty";
    if (name->find('@') != std::string::npos) {
      problem = "a trigger is for an asset itself, not for an alias of it: leave '@' out";
    }
    if (name->find("${{") != std::string::npos) {
      problem = "a trigger takes no expression: there is no run yet that it could be about";
    }
    if (!problem.empty()) error(node, std::move(problem));
    return problem.empty() && add_source(node, Kind::kAsset, *name, into);
  }

  bool read_dag(const Node& node, TriggerSpec& spec) {
    const Node* name = &node;
    if (!node.is_scalar()) {
      if (!reader_.check_keys(node, keys::kDagTrigger)) return false;
      name = node.find("name");
      if (name == nullptr) {
        error(node, "'dag' needs the 'name' of the DAG whose runs are meant");
        return false;
      }
      if (const Node* ends = node.find("on")) read_ends(*ends, spec);
    }
    const auto dag = reader_.identifier(*name, "dag");
    if (!dag) return false;
    if (*dag == dag_.name) {
      error(*name, "a DAG that starts whenever it has ended never comes to rest");
      return false;
    }
    return add_source(*name, Kind::kDag, *dag, spec.when);
  }

  void read_ends(const Node& node, TriggerSpec& spec) {
    if (!reader_.is_list(node, "on", "[success, failed]")) return;
    if (node.children.empty()) error(node, "'on' is empty");
    spec.on_success = false;
    const std::vector<std::string> choices = {"success", "failed", "done"};
    for (const Node* one : node.children) {
      const auto choice = reader_.choice(*one, "on", choices);
      if (!choice) continue;
      const bool done = *choice == 2;
      spec.on_success = spec.on_success || done || *choice == 0;
      spec.on_failed = spec.on_failed || done || *choice == 1;
      spec.on_cancelled = spec.on_cancelled || done;
    }
  }

  /// Nobody is there to be asked.
  void check_params(const Node& node, const TriggerSpec& spec) {
    const Node* written = node.find("params");
    std::vector<std::string> known;
    for (const ParamSpec& param : dag_.params) {
      known.push_back(param.name);
      const bool given = std::ranges::any_of(spec.params, [&](const auto& each) { return each.first == param.name; });
      if (given && param.secret) {
        error(*written, fmt::format("'{}' is secret, and what a trigger gives is recorded", param.name));
      }
      if (given || !param.required || param.default_value) continue;
      error(node, fmt::format("nobody is asked for parameters here: '{0}' is required, so give it a value with "
                              "'params: {{{0}: ...}}'",
                              param.name));
    }
    for (const auto& [name, value] : spec.params) {
      if (std::ranges::find(known, name) != known.end()) continue;
      error(*written, fmt::format("there is no parameter '{}'{}", name, Reader::suggestion(name, known)));
    }
  }

  Reader& reader_;
  Names& names_;
  const Dag& dag_;
  std::vector<TriggerSpec> triggers_;
  std::map<EventSource, const Node*> seen_;
};

}  // namespace

void read_triggers(Reader& reader, Names& names, const Node& root, Dag& dag) {
  const Node* node = root.find("triggers");
  if (node == nullptr || node->is_null()) return;
  dag.triggers = TriggerReader(reader, names, dag).read(*node);
}

}  // namespace chappe
