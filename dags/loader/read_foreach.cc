// The fan-out of a task: where its items come from, what they are called, how many of them must end well.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "dags/loader/keys.h"
#include "dags/loader/policies.h"
#include "dags/loader/scalar.h"

namespace chappe {
namespace {

using yaml::Node;

/// What a key may name that is the same in all runs.
class KeyScope : public expr::Scope {
 public:
  KeyScope(const ForEach& foreach, std::size_t position, const calendar::Zone& zone)
      : foreach_(foreach), position_(position), zone_(zone) {}

  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] == foreach_.as) return foreach_.items[position_];
    if (path[0] == "position") return Value(static_cast<std::int64_t>(position_));
    return std::nullopt;
  }
  const calendar::Zone& zone() const override { return zone_; }

 private:
  const ForEach& foreach_;
  std::size_t position_;
  const calendar::Zone& zone_;
};

bool names_more_than_params(const expr::Template& text) {
  const auto references = text.references();
  return std::any_of(references.begin(), references.end(),
                     [](const expr::Reference& reference) { return reference.path[0] != "params"; });
}

class ForEachReader {
 public:
  ForEachReader(Reader& reader, Names& names, std::uint32_t task) : reader_(reader), names_(names), task_(task) {}

  ForEach read(const Node& node) {
    names_.enter_task(task_, nullptr);
    if (!reader_.check_keys(node, keys::kForEach)) return out_;
    reader_.take_boolean(node, "depth_first", out_.depth_first);
    if (out_.depth_first) return read_depth_first(node);
    const Node* items = node.find("items");
    const Node* matrix = node.find("matrix");
    const Node* sequence = node.find("sequence");
    const Node* listed = node.find("s3_list");
    if ((items != nullptr) + (matrix != nullptr) + (sequence != nullptr) + (listed != nullptr) != 1) {
      reader_.complaints().error(node,
                                 "'foreach' needs exactly one of 'items', 'matrix', 'sequence' and 's3_list', or "
                                 "'depth_first: true' for the items of the task above");
      return out_;
    }
    if (items != nullptr) read_items(*items);
    if (matrix != nullptr) read_matrix(*matrix);
    if (sequence != nullptr) read_sequence(*sequence);
    if (listed != nullptr) out_.late = true;  // Its items are what another task leaves.
    if (const Node* as = node.find("as")) read_as(*as);
    read_bounds(node);
    if (const Node* key = node.find("key")) read_key(*key, items, sequence != nullptr);
    return out_;
  }

 private:
  /// The items are those of a task above; which one it is shows when all are read.
  ForEach read_depth_first(const Node& node) {
    for (const std::string_view key : {"items", "matrix", "sequence", "s3_list", "key", "max_items"}) {
      if (node.find(key) == nullptr) continue;
      reader_.complaints().error(
          *node.find(key), fmt::format("with 'depth_first' the items are those of the task above, under the same keys: "
                                       "take '{}' out",
                                       key));
    }
    if (const Node* as = node.find("as")) read_as(*as);
    read_bounds(node);
    return out_;
  }

  /// An expression; nullopt for anything else, without a complaint.
  std::optional<expr::Template> expression(const Node& node, std::string_view what) {
    if (!node.is_scalar() || node.is_null()) return std::nullopt;
    auto text = names_.parse_template(node, site::kForEach, what);
    if (!text || text->is_literal()) return std::nullopt;
    out_.late |= names_more_than_params(*text);
    return text;
  }

  /// The text holds an expression, right or wrong.
  static bool means_expression(const Node& node) {
    return node.is_scalar() && node.text.find("${{") != std::string::npos;
  }

  void read_items(const Node& node) {
    if (auto text = expression(node, "items")) {
      out_.expression = std::move(*text);
      return;
    }
    if (means_expression(node)) return;
    if (!reader_.is_list(node, "items", "[a, b] or \"${{ tasks.list.outputs.parts }}\"")) return;
    if (auto values = reader_.value(node)) out_.items = std::move(*values->as_list());
  }

  void read_matrix(const Node& node) {
    if (!node.is_map() || node.members() == 0) {
      reader_.complaints().error(
          node, fmt::format("'matrix' needs a map of lists, such as {{depth: [4, 8]}}, not {}", Reader::shown(node)));
      return;
    }
    if (node.members() > kAxesMax) {
      reader_.complaints().error(node, fmt::format("the matrix has more than {} names", kAxesMax));
      return;
    }
    std::vector<ForEach::Axis> axes;
    std::size_t product = 1;
    for (std::size_t i = 0; i < node.members(); ++i) {
      auto axis = read_axis(node.key(i), node.value(i));
      if (!axis) return;
      product *= std::max<std::size_t>(1, axis->values.size());
      if (product > kItemsMax) {
        reader_.complaints().error(node, fmt::format("the matrix has more than {} combinations", kItemsMax));
        return;
      }
      axes.push_back(std::move(*axis));
    }
    keep_matrix(std::move(axes));
  }

  std::optional<ForEach::Axis> read_axis(const Node& name, const Node& values) {
    (void)reader_.identifier(name, "matrix");
    ForEach::Axis axis{.name = name.text, .values = {}, .expression = {}};
    if (auto text = expression(values, name.text)) {
      axis.expression = std::move(*text);
      return axis;
    }
    if (means_expression(values) || !reader_.is_list(values, name.text, "[4, 8]")) return std::nullopt;
    auto list = reader_.value(values);
    if (!list) return std::nullopt;
    axis.values = std::move(*list->as_list());
    return axis;
  }

  /// Of lists alone all is known now.
  void keep_matrix(std::vector<ForEach::Axis> axes) {
    const auto is_open = [](const ForEach::Axis& axis) { return !axis.expression.text().empty(); };
    if (std::any_of(axes.begin(), axes.end(), is_open)) {
      out_.matrix = std::move(axes);
      return;
    }
    std::vector<std::pair<std::string, ValueList>> lists;
    for (ForEach::Axis& axis : axes) lists.emplace_back(std::move(axis.name), std::move(axis.values));
    out_.items = multiply_axes(lists);
  }

  void read_sequence(const Node& node) {
    constexpr std::int64_t kEdge = std::int64_t{1} << 53;
    constexpr std::int64_t kStepMax = kEdge / static_cast<std::int64_t>(kItemsMax);
    out_.sequence = ForEach::Sequence{};
    if (!reader_.check_keys(node, keys::kSequence)) return;
    const auto take = [&](std::string_view key, std::int64_t min, std::int64_t max, std::int64_t& number,
                          expr::Template& text) {
      const Node* value = node.find(key);
      if (value == nullptr) return;
      if (auto found = expression(*value, key)) {
        text = std::move(*found);
      } else if (!means_expression(*value)) {
        number = reader_.integer(*value, key, min, max).value_or(number);
      }
    };
    take("start", -kEdge, kEdge, out_.sequence->start, out_.counted.start);
    take("count", 0, static_cast<std::int64_t>(kItemsMax), out_.sequence->count, out_.counted.count);
    take("step", -kStepMax, kStepMax, out_.sequence->step, out_.counted.step);
    if (node.find("count") == nullptr) reader_.complaints().error(node, "'sequence' needs a 'count'");
    if (out_.sequence->step == 0) reader_.complaints().error(node, "'step' must not be 0");
  }

  void read_as(const Node& node) {
    constexpr std::array<std::string_view, 10> kTaken = {"params",  "env",      "run",  "tasks", "key",
                                                         "secrets", "position", "true", "false", "null"};
    auto name = reader_.identifier(node, "as");
    if (!name) return;
    if (std::find(kTaken.begin(), kTaken.end(), *name) != kTaken.end()) {
      reader_.complaints().error(node, fmt::format("'as' cannot be '{}': the name has a meaning already", *name));
      return;
    }
    out_.as = std::move(*name);
  }

  void read_bounds(const Node& node) {
    constexpr auto kMost = static_cast<std::int64_t>(kItemsMax);
    reader_.take_integer(node, "max_parallel", 1, kMost, out_.max_parallel);
    reader_.take_integer(node, "max_items", 1, kMost, out_.max_items);
    if (const Node* on_empty = node.find("on_empty")) {
      const std::vector<std::string> choices = {"skip", "succeed", "fail"};
      const auto found = reader_.choice(*on_empty, "on_empty", choices);
      out_.on_empty = static_cast<ForEach::OnEmpty>(found.value_or(0));
    }
    if (const Node* least = node.find("min_success")) read_min_success(*least);
  }

  /// 3 items, or the share 0.8 of them.
  void read_min_success(const Node& node) {
    const Value value = node.is_scalar() ? yaml::scalar_value(node).value : Value();
    if (const std::int64_t* count = value.as_int();
        count != nullptr && *count >= 1 && *count <= static_cast<std::int64_t>(kItemsMax)) {
      out_.min_success = static_cast<std::uint32_t>(*count);
    } else if (const double* share = value.as_float(); share != nullptr && *share > 0 && *share <= 1) {
      out_.min_share = *share;
    } else {
      reader_.complaints().error(node,
                                 fmt::format("'min_success' needs a number of items (3) or a share of them (0.8), "
                                             "not {}",
                                             Reader::shown(node)));
    }
  }

  void read_key(const Node& key, const Node* items, bool of_sequence) {
    names_.enter_task(task_, &out_);
    if (auto text = names_.parse_template(key, site::kKey, "key")) {
      out_.key = std::move(*text);
      check_keys_differ(key, items);
    }
    names_.enter_task(task_, nullptr);
    if (of_sequence) reader_.complaints().error(key, "a sequence takes no 'key': its numbers are the keys");
  }

  void check_keys_differ(const Node& key, const Node* items);

  Reader& reader_;
  Names& names_;
  std::uint32_t task_;
  ForEach out_;
};

/// Of items that stand in the file. What cannot be told before a run has its parameters, the run tells.
void ForEachReader::check_keys_differ(const Node& key, const Node* items) {
  const auto references = out_.key.references();
  const auto of_params = [](const expr::Reference& reference) { return reference.path[0] == "params"; };
  if (std::any_of(references.begin(), references.end(), of_params)) return;
  constexpr std::size_t kKeyMax = 200;  // No run takes a longer one.
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < out_.items.size(); ++i) {
    const auto text = out_.key.expand(KeyScope(out_, i, names_.zone()));
    if (!text || text->size() > kKeyMax) return;
    const auto [same, added] = first.emplace(*text, i);
    if (added) continue;
    const Node& place = items != nullptr && i < items->children.size() ? *items->children[i] : key;
    reader_.complaints().error(
        place, fmt::format("items {} and {} of 'foreach' have the same key '{}'", same->second + 1, i + 1, *text));
  }
}

}  // namespace

ForEach read_foreach(Reader& reader, Names& names, std::uint32_t task, const Node& node) {
  return ForEachReader(reader, names, task).read(node);
}

}  // namespace chappe
