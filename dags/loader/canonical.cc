#include "dags/loader/canonical.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <vector>

#include "dags/loader/scalar.h"

namespace chappe {
namespace {

using yaml::Node;

enum class Order { kSorted, kKeptHere, kKeptBelow };

void append(std::string& out, const Node& node, Order order);

void append_scalar(std::string& out, const Node& node) {
  if (node.is_null()) {
    out += "null";
    return;
  }
  const Value value = yaml::scalar_value(node).value;
  if (value.as_string() != nullptr) return append_json_string(out, *value.as_string());
  const std::string json = to_json(value);
  if (json == node.text) {
    out += json;
    return;
  }
  // An `env` or a command line gets the text as it was written.
  out += "{\"\":";
  append_json_string(out, node.text);
  out += '}';
}

Order order_below(std::string_view key, Order here, bool root) {
  constexpr std::array<std::string_view, 3> kKept = {"foreach", "default", "enum"};
  if (here == Order::kKeptBelow || std::find(kKept.begin(), kKept.end(), key) != kKept.end()) return Order::kKeptBelow;
  return root && key == "tasks" ? Order::kKeptHere : Order::kSorted;
}

void append_map(std::string& out, const Node& map, Order order, bool root) {
  std::vector<std::size_t> members(map.members());
  std::iota(members.begin(), members.end(), std::size_t{0});
  if (order == Order::kSorted) {
    std::sort(members.begin(), members.end(), [&](auto a, auto b) { return map.key(a).text < map.key(b).text; });
  }
  out += '{';
  for (const std::size_t i : members) {
    if (root && map.key(i).text == "tests") continue;  // No run is different for them.
    if (out.back() != '{') out += ',';
    append_json_string(out, map.key(i).text);
    out += ':';
    append(out, map.value(i), order_below(map.key(i).text, order, root));
  }
  out += '}';
}

void append(std::string& out, const Node& node, Order order) {
  if (node.is_map()) return append_map(out, node, order, false);
  if (node.is_scalar()) return append_scalar(out, node);
  out += '[';
  for (const Node* element : node.children) {
    if (out.back() != '[') out += ',';
    append(out, *element, order == Order::kKeptBelow ? order : Order::kSorted);
  }
  out += ']';
}

}  // namespace

std::string canonical_json(const Node& root) {
  std::string out;
  if (!root.is_map()) {
    append(out, root, Order::kSorted);
  } else {
    append_map(out, root, Order::kSorted, true);
  }
  return out;
}

}  // namespace chappe
