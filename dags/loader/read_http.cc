// `http`: the request of a task. Texts are kept in pieces, because the scheduler knows no secret's value.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dags/loader/keys.h"
#include "dags/loader/scalar.h"
#include "dags/loader/task_reader.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;
using Form = HttpPiece::Form;

constexpr std::array<std::string_view, 5> kHeadersNotTheirs = {"host", "content-length", "transfer-encoding",
                                                               "connection", "expect"};

std::string_view within_spaces(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// Source: RFC 9110, 5.6.2: a token.
bool is_header_name(std::string_view name) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

/// What is wrong with the beginning of a URL, as far as it is literal; "" for nothing.
std::string_view url_start_problem(std::string_view url) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) return "begins with http:// or https://";
  const std::string_view rest = url.substr(url.find("//") + 2);
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (host.find('@') == std::string_view::npos) return "";
  return "holds no credentials: send them in 'headers', as authorization";
}

bool is_in(const HttpText& text, std::string_view secret) {
  return std::any_of(text.begin(), text.end(), [&](const HttpPiece& piece) { return piece.secret == secret; });
}

/// The DAG's secrets are told to all tasks; a request needs those that it names.
bool is_in(const HttpSpec& http, std::string_view secret) {
  const auto in_header = [&](const auto& header) { return is_in(header.second, secret); };
  return is_in(http.url, secret) || is_in(http.body, secret) ||
         std::any_of(http.headers.begin(), http.headers.end(), in_header);
}

/// Joins what is literal, piece by piece.
class HttpTextBuilder {
 public:
  void literal(std::string_view text) { literal_ += text; }
  void piece(HttpPiece piece) {
    flush();
    out_.push_back(std::move(piece));
  }
  HttpText take() {
    flush();
    return std::move(out_);
  }

 private:
  void flush() {
    if (!literal_.empty()) out_.push_back({expr::Template::literal(std::move(literal_)), "", Form::kPlain});
    literal_.clear();
  }
  std::string literal_;
  HttpText out_;
};

std::string inside_json(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

/// Reads the texts of one request.
class HttpTexts {
 public:
  HttpTexts(Complaints& complaints, Names& names, const std::vector<SecretRef>& secrets)
      : complaints_(complaints), names_(names), secrets_(secrets) {}

  HttpText text(const Node& node, std::string_view what) {
    HttpTextBuilder out;
    if (const auto parsed = names_.parse_template(node, site::kHttp, what)) add(out, *parsed, node, Form::kPlain);
    return out.take();
  }

  HttpText json(const Node& node) {
    HttpTextBuilder out;
    add_json(out, node);
    return out.take();
  }

 private:
  void add(HttpTextBuilder& out, const expr::Template& text, const Node& node, Form form) {
    for (const expr::Template& part : text.split()) {
      if (part.is_literal()) {
        out.literal(form == Form::kPlain ? part.literal_text() : inside_json(part.literal_text()));
      } else {
        out.piece({part, secret_of(part, node), form});
      }
    }
  }

  /// The secret that the part is; "": none.
  std::string secret_of(const expr::Template& part, const Node& node) {
    for (const expr::Reference& reference : part.references()) {
      if (reference.path[0] != "secrets") continue;
      const bool named = reference.path.size() == 2;
      if (!named || part.references().size() != 1 || inner(part) != "secrets." + reference.path[1]) {
        complaints_.error(node,
                          "a secret stands by itself, as in '${{ secrets.NAME }}': only the worker knows its value");
        return "";
      }
      check_named(reference.path[1], node);
      return reference.path[1];
    }
    return "";
  }

  static std::string_view inner(const expr::Template& part) {
    const std::string_view text = part.text();
    return within_spaces(text.substr(3, text.size() - 5));
  }

  void check_named(const std::string& name, const Node& node) {
    std::vector<std::string> known;
    for (const SecretRef& secret : secrets_) known.push_back(secret.name);
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    const std::string near = Reader::suggestion(name, known);
    complaints_.error(node, fmt::format("the task has no secret '{}'{}", name,
                                        near.empty() ? "; say in its 'secrets' where it is" : near));
  }

  void add_json(HttpTextBuilder& out, const Node& node) {
    if (node.is_scalar()) return add_json_scalar(out, node);
    out.literal(node.is_map() ? "{" : "[");
    const std::size_t size = node.is_map() ? node.members() : node.children.size();
    for (std::size_t i = 0; i < size; ++i) {
      if (i > 0) out.literal(",");
      if (node.is_map()) out.literal('"' + inside_json(node.key(i).text) + "\":");
      add_json(out, node.is_map() ? node.value(i) : *node.children[i]);
    }
    out.literal(node.is_map() ? "}" : "]");
  }

  void add_json_scalar(HttpTextBuilder& out, const Node& node) {
    const auto [value, problem] = yaml::scalar_value(node);
    if (!problem.empty()) return complaints_.error(node, problem);
    if (value.as_string() == nullptr) return out.literal(to_json(value));
    const auto parsed = names_.parse_template(node, site::kHttp, "json");
    if (!parsed) return;
    const auto parts = parsed->split();
    const bool whole = parts.size() == 1 && !parts[0].is_literal();
    if (whole && secret_of(parts[0], node).empty()) return out.piece({parts[0], "", Form::kJson});
    out.literal("\"");
    add(out, *parsed, node, Form::kInJson);
    out.literal("\"");
  }

  Complaints& complaints_;
  Names& names_;
  const std::vector<SecretRef>& secrets_;
};

}  // namespace

void TaskReader::read_http(WorkSpec& work, const Node& node) {
  if (!reader_.check_keys(node, keys::kHttp)) return;
  auto http = std::make_shared<HttpSpec>();
  HttpTexts texts(complaints_, names_, work.secrets);
  if (const Node* url = node.find("url")) {
    http->url = texts.text(*url, "url");
    const bool literal = !http->url.empty() && http->url[0].secret.empty() && http->url[0].text.is_literal();
    const std::string_view problem = literal ? url_start_problem(http->url[0].text.literal_text()) : "";
    if (!problem.empty()) complaints_.error(*url, fmt::format("'url' {}", problem));
    if (http->url.empty()) complaints_.error(*url, "'url' is empty");
  } else {
    complaints_.error(node, "'http' needs a 'url'");
  }
  if (const Node* method = node.find("method")) {
    const std::vector<std::string> methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    if (const auto found = reader_.choice(*method, "method", methods)) http->method = methods[*found];
  }
  if (const Node* headers = node.find("headers")) read_http_headers(work, *http, *headers);
  read_http_body(work, *http, node);
  reader_.take_integer(node, "max_redirects", 0, kHttpRedirectsMax, http->redirects_max);
  if (const Node* success = node.find("success")) {
    auto condition = names_.parse_expression(*success, site::kSuccess, "success");
    if (condition) http->success = std::move(*condition);
  }
  std::erase_if(work.secrets, [&](const SecretRef& secret) { return !is_in(*http, secret.name); });
  work.http = std::move(http);
  if (!work.timeout) work.timeout = kHttpTimeoutDefault;
  leave_answer(work, node);
}

void TaskReader::read_http_headers(const WorkSpec& work, HttpSpec& http, const Node& node) {
  if (!node.is_map()) {
    return complaints_.error(
        node, fmt::format("'headers' is a map such as {{accept: text/csv}}, not {}", Reader::shown(node)));
  }
  if (node.members() > kHttpHeadersMax) complaints_.error(node, fmt::format("more than {} headers", kHttpHeadersMax));
  HttpTexts texts(complaints_, names_, work.secrets);
  std::vector<std::string> seen;
  for (std::size_t i = 0; i < node.members(); ++i) {
    const std::string& name = node.key(i).text;
    const std::string lower = in_lower_case(name);
    if (!is_header_name(name)) {
      complaints_.error(node.key(i),
                        fmt::format("a header has a name such as accept, not {}", Reader::shown(node.key(i))));
    } else if (std::find(kHeadersNotTheirs.begin(), kHeadersNotTheirs.end(), lower) != kHeadersNotTheirs.end()) {
      complaints_.error(node.key(i), fmt::format("'{}' follows from the rest of the request: leave it out", name));
    } else if (std::find(seen.begin(), seen.end(), lower) != seen.end()) {
      complaints_.error(node.key(i), fmt::format("two headers are called '{}'", name));
    }
    seen.push_back(lower);
    HttpText value = texts.text(node.value(i), name);
    for (const HttpPiece& piece : value) {
      const bool broken = piece.text.text().find_first_of("\r\n") != std::string::npos;
      if (broken) complaints_.error(node.value(i), fmt::format("header '{}' holds a line break", name));
    }
    http.headers.emplace_back(lower, std::move(value));
  }
}

void TaskReader::read_http_body(const WorkSpec& work, HttpSpec& http, const Node& node) {
  const Node* body = node.find("body");
  const Node* json = node.find("json");
  if (body == nullptr && json == nullptr) return;
  if (body != nullptr && json != nullptr) return complaints_.error(*json, "a request has either a 'body' or 'json'");
  if (http.method == "HEAD") complaints_.error(body != nullptr ? *body : *json, "a HEAD request has no body");
  HttpTexts texts(complaints_, names_, work.secrets);
  http.body = body != nullptr ? texts.text(*body, "body") : texts.json(*json);
  const auto is_type = [](const auto& header) { return header.first == "content-type"; };
  if (json == nullptr || std::any_of(http.headers.begin(), http.headers.end(), is_type)) return;
  http.headers.push_back({"content-type", {{expr::Template::literal("application/json"), "", Form::kPlain}}});
}

/// The worker writes down what was answered: `response.json` holds all of it, `body` the bytes of the body.
void TaskReader::leave_answer(WorkSpec& work, const Node& node) {
  for (const std::string_view name : kHttpValues) {
    const auto same = [&](const OutputValue& value) { return value.name == name; };
    if (std::any_of(work.values.begin(), work.values.end(), same)) {
      complaints_.error(node, fmt::format("every request leaves a value '{}': call yours something else", name));
      continue;
    }
    work.values.push_back({.name = std::string(name),
                           .file = std::string(kHttpAnswerFile),
                           .json_path = fmt::format("$.{}", name),
                           .default_value = {}});
  }
}

}  // namespace chappe
