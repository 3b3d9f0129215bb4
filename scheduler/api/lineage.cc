#include "scheduler/api/lineage.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "proto/json/json.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

constexpr std::size_t kConsumersMax = 200;  // Of one object.

/// An attempt and the instance that it belongs to.
struct Maker {
  InstanceKey key;
  AttemptId attempt;
};

std::string object_id(const std::string& key) { return "object " + key; }
std::string dataset_id(const std::string& uri) { return "dataset " + uri; }
/// What stood there when an attempt read it.
std::string read_id(const InputObject& object) { return "read " + object.s3 + " sha256:" + object.sha256; }
std::string input_id(const InputObject& object) { return object.s3.empty() ? object_id(object.key) : read_id(object); }
std::string attempt_id(AttemptId attempt) { return "attempt " + to_text(attempt); }

/// Walks from object to attempt to object, breadth first, each of them once.
class Walk {
 public:
  Walk(Context& context, const LineageQuery& query) : context_(context), query_(query) {}

  Result<Value> from(const AssetVersion& start) {
    if (auto read = read_aliases(); !read) return fail(read.error());
    if (auto added = add_asset(start); !added) return fail(added.error());
    const Maker maker{start.producer, start.attempt};
    if (auto walked = query_.up ? walk_up({{object_id(start.key), maker, 0}}) : Result<void>(); !walked) {
      return fail(walked.error());
    }
    if (auto walked = query_.down ? walk_down({{start.key, {}, 0}}) : Result<void>(); !walked) {
      return fail(walked.error());
    }
    return graph(object_id(start.key));
  }

  Result<std::optional<Value>> from_dataset(const std::string& uri) {
    const auto writers = uses(uri, true);
    const auto readers = uses(uri, false);
    for (const auto* each : {&writers, &readers}) {
      if (!*each) return fail(each->error());
    }
    auto reads = context_.reader.object_readers(uri, kDatasetUsesMax + 1);
    if (!reads) return fail(reads.error());
    if (writers->empty() && readers->empty() && reads->empty()) return std::optional<Value>();
    if (auto read = read_aliases(); !read) return fail(read.error());
    add_dataset(uri);
    std::deque<Place> makers, places;
    for (const DatasetRow& row : *writers) makers.push_back({dataset_id(uri), {row.key, row.attempt}, 0});
    if (auto walked = query_.up ? walk_up(std::move(makers)) : Result<void>(); !walked) return fail(walked.error());
    for (const DatasetRow& row : *readers) {
      if (!query_.down) break;
      auto added = add_reader(dataset_id(uri), 0, {row.key, row.attempt}, places);
      if (!added) return fail(added.error());
    }
    if (auto added = query_.down ? add_reads(uri, *reads, places) : Result<void>(); !added) return fail(added.error());
    if (auto walked = walk_down(std::move(places)); !walked) return fail(walked.error());
    return std::optional(graph(dataset_id(uri)));
  }

 private:
  struct Place {
    std::string object;  ///< Upwards the node's id, downwards the object's key.
    Maker maker;
    std::uint32_t depth = 0;
  };

  Value graph(std::string root) {
    return ValueMap{{"root", std::move(root)},
                    {"nodes", std::move(nodes_)},
                    {"edges", std::move(edges_)},
                    {"truncated", truncated_}};
  }

  Result<std::vector<DatasetRow>> uses(const std::string& uri, bool written) {
    auto rows = context_.reader.dataset_uses(uri, written, kDatasetUsesMax + 1);
    if (!rows || rows->size() <= kDatasetUsesMax) return rows;
    truncated_ = true;
    rows->pop_back();
    return rows;
  }

  /// Attempts that read it by `s3`, each from what stood there then.
  Result<void> add_reads(const std::string& uri, std::vector<InputRow>& reads, std::deque<Place>& places) {
    if (reads.size() > kDatasetUsesMax) truncated_ = true;
    reads.resize(std::min(reads.size(), kDatasetUsesMax));
    for (const InputRow& read : reads) {
      if (auto added = add_input(read); !added) return added;
      add_edge(dataset_id(uri), read_id(read.object));
      auto added = add_reader(read_id(read.object), 0, {read.key, read.attempt}, places);
      if (!added) return added;
    }
    return {};
  }

  Result<void> walk_up(std::deque<Place> queue) {
    for (; !queue.empty(); queue.pop_front()) {
      const Place place = queue.front();
      if (!place.maker.attempt || place.depth == query_.depth) continue;
      const auto fresh = add_attempt(place.maker);
      if (!fresh) return fail(fresh.error());
      add_edge(attempt_id(place.maker.attempt), place.object);
      if (!*fresh) continue;
      if (auto added = add_datasets(place.maker, false); !added) return added;
      const auto inputs = context_.reader.inputs(place.maker.key.run, place.maker.key.index);
      if (!inputs) return fail(inputs.error());
      for (const InputRow& input : *inputs) {
        if (input.attempt != place.maker.attempt) continue;
        if (auto added = add_input(input); !added) return added;
        add_edge(input_id(input.object), attempt_id(input.attempt));
        queue.push_back(
            {input_id(input.object), {input.object.producer, input.object.producer_attempt}, place.depth + 1});
      }
    }
    return {};
  }

  Result<void> walk_down(std::deque<Place> queue) {
    std::set<std::string> walked;
    for (; !queue.empty(); queue.pop_front()) {
      const Place place = queue.front();
      if (place.depth == query_.depth || !walked.insert(place.object).second) continue;
      const auto consumers = context_.reader.consumers(place.object, kConsumersMax + 1);
      if (!consumers) return fail(consumers.error());
      if (consumers->size() > kConsumersMax) truncated_ = true;
      for (const InputRow& input : *consumers) {
        auto added = add_reader(object_id(place.object), place.depth, {input.key, input.attempt}, queue);
        if (!added) return added;
      }
    }
    return {};
  }

  /// An attempt that read `what`, and what it left behind.
  Result<void> add_reader(const std::string& what, std::uint32_t depth, const Maker& reader, std::deque<Place>& queue) {
    const auto fresh = add_attempt(reader);
    if (!fresh) return fail(fresh.error());
    add_edge(what, attempt_id(reader.attempt));
    if (auto added = add_datasets(reader, true); !added) return added;
    const auto outputs = context_.reader.artifacts(reader.key.run, reader.key.index);
    if (!outputs) return fail(outputs.error());
    for (const ArtifactRow& output : *outputs) {
      if (output.attempt != reader.attempt) continue;
      if (auto added = add_output(output); !added) return added;
      add_edge(attempt_id(reader.attempt), object_id(output.object.key));
      queue.push_back({output.object.key, {}, depth + 1});
    }
    return {};
  }

  /// Those outside that the attempt declares to have read or written. Nobody knows which state of them: they lead on to
  /// no other attempt.
  Result<void> add_datasets(const Maker& maker, bool written) {
    const auto rows = context_.reader.datasets(maker.key.run, maker.key.index);
    if (!rows) return fail(rows.error());
    for (const DatasetRow& row : *rows) {
      if (row.attempt != maker.attempt || row.written != written) continue;
      add_dataset(row.uri);
      const std::string dataset = dataset_id(row.uri), attempt = attempt_id(row.attempt);
      written ? add_edge(attempt, dataset) : add_edge(dataset, attempt);
    }
    return {};
  }

  void add_dataset(const std::string& uri) {
    (void)add_object({{"id", dataset_id(uri)}, {"kind", "dataset"}, {"uri", uri}});  // Fails never.
  }

  Result<void> add_input(const InputRow& input) {
    const InputObject& read = input.object;
    if (!read.s3.empty()) {
      return add_object({{"id", read_id(read)},
                         {"kind", "read"},
                         {"uri", read.s3},
                         {"size_bytes", static_cast<std::int64_t>(read.size)},
                         {"sha256", read.sha256},
                         {"etag", read.etag.empty() ? Value() : Value(read.etag)},
                         {"store_version", read.store_version.empty() ? Value() : Value(read.store_version)}});
    }
    if (input.object.asset) return add_asset_by_id(input.object.asset);
    return add_object({{"id", object_id(input.object.key)},
                       {"kind", "artifact"},
                       {"name", input.object.name},
                       {"object", input.object.key},
                       {"size_bytes", static_cast<std::int64_t>(input.object.size)},
                       {"sha256", input.object.sha256},
                       {"collected_at", collected_at(input.object.key)}});
  }

  Result<void> add_output(const ArtifactRow& output) {
    if (output.asset) return add_asset_by_id(output.asset);
    return add_object({{"id", object_id(output.object.key)},
                       {"kind", "artifact"},
                       {"name", output.object.name},
                       {"object", output.object.key},
                       {"size_bytes", static_cast<std::int64_t>(output.object.size)},
                       {"sha256", output.object.sha256},
                       {"collected_at", collected_at(output.object.key)}});
  }

  /// Null: some run has it still, and so has the store.
  Value collected_at(const std::string& key) {
    const auto artifact = context_.reader.artifact_by_key(key);
    return artifact ? time_json(artifact->collected_at) : Value();
  }

  Result<void> add_asset_by_id(AssetVersionId id) {
    const auto version = context_.reader.asset_version(id);
    if (!version) return fail(version.error());
    return add_asset(*version);
  }

  Result<void> add_asset(const AssetVersion& version) {
    ValueMap node{{"kind", "asset"}};
    std::ranges::copy(*asset_json(version).as_map(), std::back_inserter(node));
    node[1] = {"asset_version", static_cast<std::int64_t>(version.id.value)};
    node.emplace(node.begin(), "id", object_id(version.key));
    ValueList aliases;
    for (auto [at, end] = aliases_.equal_range(version.id); at != end; ++at) aliases.emplace_back(at->second);
    node.emplace_back("aliases", std::move(aliases));
    return add_object(std::move(node));
  }

  Result<void> add_object(ValueMap node) {
    if (has_room(*node.front().second.as_string())) nodes_.emplace_back(std::move(node));
    return {};
  }

  /// True where the attempt was not known yet.
  Result<bool> add_attempt(const Maker& maker) {
    if (!has_room(attempt_id(maker.attempt))) return false;
    const auto run = context_.reader.run_by_seq(maker.key.run);
    if (!run) return fail(run.error());
    const auto instances = context_.views.instances(context_.reader, *run);
    const auto history = context_.reader.attempts(maker.key);
    if (!history) return fail(history.error());
    const auto version = context_.reader.dag_version(run->dag_version);
    if (!version) return fail(version.error());
    ValueMap node = attempt_node(maker, *run, instances ? instances->get() : nullptr, *history);
    node.emplace_back("dag_commit", version->commit.empty() ? Value() : Value(version->commit));
    nodes_.emplace_back(std::move(node));
    return add_values(maker);
  }

  static ValueMap attempt_node(const Maker& maker, const RunRow& run, const Instances* instances,
                               const AttemptHistory& history) {
    AttemptRow row = latest_attempt(history.task);
    for (const AttemptRow& earlier : history.earlier) {
      if (earlier.attempt == maker.attempt) row = earlier;
    }
    auto params = parse_json(run.params_json);
    ValueMap node{
        {"id", attempt_id(maker.attempt)},
        {"kind", "attempt"},
        {"run", run.id.text()},
        {"dag", run.dag},
        {"dag_version", run.dag_version},
        {"task", instances != nullptr ? instances->name_of(maker.key.index) : "#" + std::to_string(maker.key.index)},
        {"attempt_no", std::int64_t{row.attempt_no}},
        {"params", params ? *std::move(params) : Value()},
        {"started_at", time_json(row.end.started_at)},
        {"ended_at", time_json(row.end.ended_at)}};
    append_images(node, row.end.image);
    return node;
  }

  /// Values and metrics that the attempt left behind, into its node.
  Result<bool> add_values(const Maker& maker) {
    const auto values = context_.reader.values(maker.key.run, maker.key.index);
    if (!values) return fail(values.error());
    ValueMap told;
    for (const ValueRow& row : *values) {
      if (row.attempt == maker.attempt) told.emplace_back(row.value.name, row.value.value);
    }
    nodes_.back().as_map()->emplace_back("values", std::move(told));
    return true;
  }

  /// True where the node is new and may be added.
  bool has_room(const std::string& id) {
    if (known_.contains(id)) return false;
    if (known_.size() == kLineageNodesMax) {
      truncated_ = true;
      return false;
    }
    known_.insert(id);
    return true;
  }

  /// Both ends must be shown.
  void add_edge(const std::string& from, const std::string& to) {
    if (!known_.contains(from) || !known_.contains(to) || !edges_known_.emplace(from, to).second) return;
    edges_.emplace_back(ValueMap{{"from", from}, {"to", to}});
  }

  Result<void> read_aliases() {
    const auto rows = context_.reader.aliases("");
    if (!rows) return fail(rows.error());
    for (const AliasRow& row : *rows) {
      if (row.version) aliases_.emplace(row.version, row.model + "@" + row.alias);
    }
    return {};
  }

  Context& context_;
  const LineageQuery query_;
  ValueList nodes_;
  ValueList edges_;
  std::set<std::string> known_;
  std::set<std::pair<std::string, std::string>> edges_known_;
  std::multimap<AssetVersionId, std::string> aliases_;
  bool truncated_ = false;
};

}  // namespace

Result<Value> lineage_of(Context& context, const AssetVersion& start, const LineageQuery& query) {
  return Walk(context, query).from(start);
}

Result<std::optional<Value>> lineage_of_dataset(Context& context, const std::string& uri, const LineageQuery& query) {
  return Walk(context, query).from_dataset(uri);
}

}  // namespace chappe::api
