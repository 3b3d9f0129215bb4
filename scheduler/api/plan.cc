// What would come of a DAG file: how a run of it would begin, what of the version in use differs, and who reads what it
// makes. Changes nothing.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dags/loader/loader.h"
#include "engine/model/circles.h"
#include "engine/model/waits.h"
#include "engine/ports/rehearsal.h"
#include "scheduler/api/handlers.h"
#include "scheduler/api/sent_dag.h"
#include "scheduler/api/value_object.h"
#include "storage/digest/digest.h"

namespace chappe::api {
namespace {

constexpr std::size_t kPlannedMax = 20'000;  // Instances that a plan looks at.
constexpr std::size_t kReadersLooked = 200;  // DAGs that are parsed because they name an asset.
constexpr std::size_t kVersionsLooked = 5;   // Of each asset, the newest.
constexpr std::size_t kPastReadersMax = 100;

/// Parameters alone: what more an URI names is known in a run only.
class GivenScope : public expr::Scope {
 public:
  GivenScope(const ValueMap& params, const Dag& dag) : params_(params), dag_(dag) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    return path[0] == "params" ? std::optional<Value>(params_) : std::nullopt;
  }
  const calendar::Zone& zone() const override { return *dag_.zone; }

 private:
  Value params_;
  const Dag& dag_;
};

/// URIs and short names that the DAG publishes to.
std::set<std::string> published_by(const Dag& dag, const ValueMap& params) {
  std::set<std::string> out;
  const GivenScope scope(params, dag);
  for (const Task& task : dag.tasks) {
    for (std::size_t i = 0; task.work != nullptr && i < task.work->outputs.size(); ++i) {
      const OutputArtifact& output = task.work->outputs[i];
      if (output.asset.text().empty()) continue;
      if (const auto uri = output.asset.expand(scope)) out.insert(*uri);
      if (!output.asset_name.empty()) out.insert(output.asset_name);
    }
    if (task.promote) out.insert(task.promote->model);
  }
  return out;
}

/// "URI", "URI@ALIAS" and "NAME@ALIAS" without the alias.
std::string without_alias(const std::string& asset) { return asset.substr(0, asset.rfind('@')); }

/// DAGs that read, wait for or start on assets.
class Readers {
 public:
  Readers(Context& context, const std::string& dag, std::set<std::string> assets)
      : context_(context), dag_(dag), assets_(std::move(assets)) {}

  Result<ValueList> find() {
    if (auto done = look_at_deployed(); !done) return fail(done.error());
    if (auto done = look_at_past(); !done) return fail(done.error());
    return std::move(out_);
  }

 private:
  void add(const std::string& dag, const std::string& asset, std::string_view how) {
    if (dag == dag_ || !seen_.emplace(dag, asset).second) return;
    out_.emplace_back(ValueMap{{"dag", dag}, {"asset", asset}, {"how", how}});
  }

  /// It is told already: an asset has a URI and a name.
  bool names_any(const std::string& dag) const {
    const auto first = seen_.lower_bound({dag, ""});
    return first != seen_.end() && first->first == dag;
  }

  Result<void> look_at_deployed() {
    const auto deployed = context_.reader.deployments();
    if (!deployed) return fail(deployed.error());
    std::size_t parsed = 0;
    for (const DeploymentRow& row : *deployed) {
      add_started(row);
      const auto version = context_.reader.dag_version(row.version);
      if (!version) return fail(version.error());
      const bool names_one = std::any_of(assets_.begin(), assets_.end(), [&](const std::string& asset) {
        return version->source.find(asset) != std::string::npos;
      });
      if (!names_one || row.dag == dag_ || ++parsed > kReadersLooked) continue;
      if (const auto dag = context_.views.dag(context_.reader, row.version)) add_readers(**dag);
    }
    return {};
  }

  void add_started(const DeploymentRow& row) {
    const ValueList* sources = row.sources.as_list();
    for (std::size_t i = 0; sources != nullptr && i < sources->size(); ++i) {
      const std::string source = to_text((*sources)[i]);
      if (source == to_text(EventSource{EventSource::Kind::kDag, dag_})) add(row.dag, dag_, "starts when it has ended");
      for (const std::string& asset : assets_) {
        if (source == to_text(EventSource{EventSource::Kind::kAsset, asset})) add(row.dag, asset, "starts on it");
      }
    }
  }

  void add_readers(const Dag& dag) {
    const auto read = [&](const expr::Template& asset, std::string_view how) {
      if (asset.text().empty() || !asset.is_literal()) return;
      const std::string name = without_alias(asset.literal_text());
      if (assets_.contains(name)) add(dag.name, name, how);
    };
    for (const Task& task : dag.tasks) {
      if (task.wait != nullptr && task.wait->what == WaitSpec::For::kAsset) read(task.wait->target, "waits for it");
      for (std::size_t i = 0; task.work != nullptr && i < task.work->inputs.size(); ++i) {
        read(task.work->inputs[i].asset, "reads it");
      }
    }
  }

  /// Whoever was handed one of the newest versions.
  Result<void> look_at_past() {
    for (const std::string& asset : assets_) {
      const auto versions =
          context_.reader.assets({.uri = asset, .newest_only = false, .before = {}, .limit = kVersionsLooked});
      if (!versions) return fail(versions.error());
      for (const AssetVersion& version : *versions) {
        const auto handed = context_.reader.consumers(version.key, kPastReadersMax);
        if (!handed) return fail(handed.error());
        for (const InputRow& input : *handed) {
          const auto run = context_.reader.run_by_seq(input.key.run);
          if (run && !names_any(run->dag)) add(run->dag, asset, "has read it");
        }
      }
    }
    return {};
  }

  Context& context_;
  const std::string& dag_;
  std::set<std::string> assets_;
  std::set<std::pair<std::string, std::string>> seen_;
  ValueList out_;
};

/// Once it is deployed beside what is.
Result<DagCircle> circle_with(Context& context, const Dag& dag) {
  const auto deployed = context.reader.deployments();
  if (!deployed) return fail(deployed.error());
  std::size_t parsed = 0;
  return circle_through(dag, [&](const EventSource& source) {
    std::vector<DagPtr> out;
    for (const DeploymentRow& row : *deployed) {
      const ValueList* sources = row.sources.as_list();
      const bool starts = sources != nullptr && std::any_of(sources->begin(), sources->end(), [&](const Value& each) {
                            return to_text(each) == to_text(source);
                          });
      if (!starts || row.dag == dag.name || ++parsed > kReadersLooked) continue;
      if (auto other = context.views.dag(context.reader, row.version)) out.push_back(*std::move(other));
    }
    return out;
  });
}

Value rehearsed_json(const std::vector<RehearsedTask>& tasks) {
  ValueList out;
  for (const RehearsedTask& task : tasks) {
    out.emplace_back(ValueMap{{"name", task.name},
                              {"task", task.task},
                              {"state", name_of(task.state)},
                              {"reused", task.reused},
                              {"told", task.told.empty() ? Value() : Value(task.told)},
                              {"waits_for", task.waits_for.empty() ? Value() : Value(task.waits_for)}});
  }
  return out;
}

Result<Value> plan_of(Context& context, const Request& request, const Value& body, const DagPtr& dag) {
  const Value* given = body.find("params");
  auto params = resolve_params(dag->params, given == nullptr ? Value() : *given);
  if (!params) return fail(params.error());
  const std::string time = text_member(body, "logical_time");
  const auto logical_time = time.empty() ? Result<WallTime>(WallTime{}) : parse_iso8601(time);
  if (!logical_time) return fail(logical_time.error());
  const ValueMap resolved = *params;
  RunRequested run{.id = context.backend.new_run_id(), .dag = dag, .params = *std::move(params)};
  run.logical_time = *logical_time;
  const RehearsalTools tools{
      .reader = context.reader,
      .head = [&](const std::string& key) { return context.backend.objects().head(key); },
      .read = [&](const OutputObject& object) { return read_value_object(context.backend.objects(), object); },
      .sha256 = [](std::string_view text) { return to_hex(sha256(text)); }};
  const auto tasks = rehearse(std::move(run), tools, {.wall = request.at, .mono = {}}, kPlannedMax);
  if (!tasks) return fail(tasks.error());
  auto readers = Readers(context, dag->name, published_by(*dag, resolved)).find();
  if (!readers) return fail(readers.error());
  const auto circle = circle_with(context, *dag);
  if (!circle) return fail(circle.error());
  const auto in_use = version_in_use(context, dag->name);
  if (!in_use && in_use.error().code != ErrorCode::kNotFound) return fail(in_use.error());
  return Value(ValueMap{{"dag", dag->name},
                        {"dag_version", dag->version},
                        {"version_in_use", in_use ? Value(in_use->version) : Value()},
                        {"source_in_use", in_use ? Value(in_use->source) : Value()},
                        {"tasks", rehearsed_json(*tasks)},
                        {"consumers", *std::move(readers)},
                        {"circle", circle->dags.empty() ? Value() : Value(circle->warning)}});
}

}  // namespace

Answer plan_run(Context& context, const Request& request) {
  const auto body = read_body(
      request.body, {{"dag_yaml", "string"}, {"file", "string"}, {"params", "object"}, {"logical_time", "string"}});
  if (!body) return problem(400, body.error().message);
  const auto loaded = load_sent_dag(*body);
  if (const auto* refused = std::get_if<Answer>(&loaded)) return *refused;
  const auto planned = plan_of(context, request, *body, std::get<SentDag>(loaded).dag);
  return planned ? json_answer(*planned) : problem(planned.error());
}

}  // namespace chappe::api
