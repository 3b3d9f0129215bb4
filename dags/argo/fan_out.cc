// withItems, withParam and withSequence: `foreach`.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "dags/argo/workflow.h"
#include "dags/loader/scalar.h"

namespace chappe::argo {

using yaml::Node;

namespace {

constexpr std::size_t kFormattedMax = 10'000;

std::optional<std::int64_t> integer_in(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

/// "day-%02d" and a number; nullopt for anything but %d, %x and %X with a width.
std::optional<std::string> formatted(std::string_view format, std::int64_t number) {
  const std::size_t at = format.find('%');
  if (at == std::string_view::npos) return std::string(format);
  std::size_t end = at + 1;
  while (end < format.size() && format[end] >= '0' && format[end] <= '9') ++end;
  const std::string_view width = format.substr(at + 1, end - at - 1);
  const std::size_t places = width.empty() ? 0 : static_cast<std::size_t>(integer_in(width).value_or(99));
  constexpr std::size_t kPlacesMax = 20;
  if (end >= format.size() || places > kPlacesMax || format.find('%', end) != std::string_view::npos)
    return std::nullopt;
  std::string digits = format[end] == 'd'   ? fmt::format("{}", number)
                       : format[end] == 'x' ? fmt::format("{:x}", number)
                       : format[end] == 'X' ? fmt::format("{:X}", number)
                                            : "";
  if (digits.empty()) return std::nullopt;
  if (digits.size() < places) digits.insert(0, places - digits.size(), width.starts_with('0') ? '0' : ' ');
  return std::string(format.substr(0, at)) + digits + std::string(format.substr(end + 1));
}

}  // namespace

Yaml copy_of(const Node& node) {
  if (node.is_list()) {
    Yaml out = Yaml::list();
    for (const Node* child : node.children) out.add(copy_of(*child));
    return out;
  }
  if (node.is_map()) {
    Yaml out = Yaml::map();
    for (std::size_t i = 0; i < node.members(); ++i) out.set(node.key(i).text, copy_of(node.value(i)));
    return out;
  }
  const auto read = yaml::scalar_value(node);
  const bool is_text = !read.problem.empty() || read.value.as_string() != nullptr;
  return is_text ? Yaml::text(node.text) : Yaml::raw(node.is_null() ? "null" : node.text);
}

void Importer::write_foreach(Yaml& out, std::size_t task) {
  const Node& call = *tasks_[task].call;
  // Of the items themselves `item` means nothing.
  Site site = call_site(task);
  site.task.reset();
  std::optional<Yaml> items;
  const Node* at = &call;
  if (const Node* list = call.find("withItems")) {
    items = foreach_items(task, *list, site);
    at = list;
  } else if (const Node* param = call.find("withParam")) {
    items = foreach_param(task, *param, site);
    at = param;
  } else if (const Node* sequence = call.find("withSequence")) {
    items = foreach_sequence(task, *sequence, site);
    at = sequence;
  }
  if (items) {
    out.set("foreach", *std::move(items));
    return;
  }
  note(*at, "these items are not understood: the task never runs until you write its 'foreach'", task);
  tasks_[task].never = true;
}

std::optional<Yaml> Importer::foreach_items(std::size_t task, const Node& items, const Site& site) {
  if (!items.is_list()) return std::nullopt;
  const std::function<bool(const Node&)> is_open = [&](const Node& node) {
    if (node.is_scalar()) return node.text.find("{{") != std::string::npos;
    return std::any_of(node.children.begin(), node.children.end(), [&](const Node* child) { return is_open(*child); });
  };
  if (!is_open(items)) return Yaml::map().set("items", copy_of(items));
  std::string list;
  for (const Node* item : items.children) {
    if (!item->is_scalar()) return std::nullopt;
    list += (list.empty() ? "" : ", ") + as_expression(resolve(*item, site));
  }
  return Yaml::map().set("items", Yaml::text(fmt::format("${{{{ [{}] }}}}", finish(list, task))));
}

std::optional<Yaml> Importer::foreach_param(std::size_t task, const Node& param, const Site& site) {
  if (!param.is_scalar()) return std::nullopt;
  const auto from = [&](const std::string& expression) {
    return Yaml::map().set("items", Yaml::text(fmt::format("${{{{ {} }}}}", finish(expression, task))));
  };
  constexpr std::string_view kAll = ".outputs.parameters}}";
  if (param.text.ends_with(kAll) && param.text.starts_with("{{")) {
    // A list of maps in Argo; here the lists are read at the position of the item.
    const std::size_t dot = param.text.find('.');
    const std::string name = param.text.substr(dot + 1, param.text.size() - kAll.size() - dot - 1);
    const Scope::Member* member = find_member(site, name);
    if (member == nullptr || !member->task || tasks_[*member->task].body == nullptr) return std::nullopt;
    const Node* outputs = tasks_[*member->task].body->find("outputs");
    const auto& parameters = list_in(outputs, "parameters");
    if (parameters.empty() || !tasks_[*member->task].fans_out) return std::nullopt;
    return from(fmt::format("range(0, len({}))", use(*member->task, text_of(*parameters[0], "name"), false)));
  }
  const Text text = resolve(param, site);
  if (is_literal(text)) {
    const yaml::Tree tree = yaml::parse(literal_of(text));
    if (tree.root == nullptr || !tree.problems.empty() || !tree.root->is_list()) return std::nullopt;
    return Yaml::map().set("items", copy_of(*tree.root));
  }
  if (text.size() != 1 || text[0].kind != Piece::Kind::kExpression) return std::nullopt;
  if (text[0].output) {
    const OutputUse output = uses_[*text[0].output];
    if (!tasks_[output.task].fans_out) return from(use(output.task, output.name, true));
    uses_.push_back(output);
    return from(fmt::format("\x01{}\x02", uses_.size() - 1));
  }
  std::string expression = text[0].text;
  if (expression.starts_with("params.")) {
    list_params_.insert(expression.substr(7));
    return from(expression);
  }
  if (!expression.starts_with("to_json(") || !expression.ends_with(')')) return std::nullopt;
  return from(expression.substr(8, expression.size() - 9));
}

std::optional<Yaml> Importer::foreach_sequence(std::size_t task, const Node& sequence, const Site& site) {
  struct Number {
    std::optional<std::int64_t> value;
    std::string expression;
  };
  const auto read = [&](std::string_view key) -> std::optional<Number> {
    const Node* node = sequence.find(key);
    if (node == nullptr || !node->is_scalar()) return std::nullopt;
    const Text text = resolve(*node, site);
    if (is_literal(text)) return Number{integer_in(literal_of(text)), literal_of(text)};
    return Number{std::nullopt, fmt::format("int({})", as_expression(text))};
  };
  const auto start = read("start"), end = read("end"), count = read("count");
  const auto bad = [](const std::optional<Number>& number) {
    return number && !number->value && !number->expression.starts_with("int(");
  };
  if (bad(start) || bad(end) || bad(count) || (!end && !count)) return std::nullopt;
  const auto written = [&](const Number& number) {
    if (number.value) return Yaml::number(*number.value);
    return Yaml::text(fmt::format("${{{{ {} }}}}", finish(number.expression, task)));
  };
  const Number first = start.value_or(Number{0, "0"});
  const auto bounded = [](std::int64_t value) { return value > -1'000'000'000 && value < 1'000'000'000; };
  for (const auto& number : {std::optional(first), end, count}) {
    if (number && number->value && !bounded(*number->value)) return std::nullopt;
  }
  std::int64_t step = 1;
  std::optional<Number> many = count;
  if (!many && first.value && end->value) {
    step = *end->value < *first.value ? -1 : 1;
    many = Number{(*end->value - *first.value) * step + 1, ""};
  } else if (!many) {
    const auto text = [](const Number& number) {
      return number.value ? std::to_string(*number.value) : number.expression;
    };
    many = Number{std::nullopt, fmt::format("{} - {} + 1", text(*end), text(first))};
    note(sequence, "where 'end' is below 'start' Argo counts down, and here there is an error", task);
  }
  if (const std::string format = text_of(sequence, "format"); !format.empty() && format != "%d") {
    if (!first.value || !many->value || *many->value > static_cast<std::int64_t>(kFormattedMax)) return std::nullopt;
    Yaml items = Yaml::list();
    for (std::int64_t i = 0; i < *many->value; ++i) {
      const auto item = formatted(format, *first.value + i * step);
      if (!item) return std::nullopt;
      items.add(Yaml::text(*item));
    }
    return Yaml::map().set("items", std::move(items));
  }
  Yaml out = Yaml::map();
  if (!first.value || *first.value != 0) out.set("start", written(first));
  out.set("count", written(*many));
  if (step != 1) out.set("step", Yaml::number(step));
  return Yaml::map().set("sequence", std::move(out));
}

}  // namespace chappe::argo
