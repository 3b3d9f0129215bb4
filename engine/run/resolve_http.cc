#include "engine/run/resolve_http.h"

#include <fmt/format.h>

namespace chappe {
namespace {

using Told = std::function<Error(const expr::Template&, Error)>;

Result<std::string> text_of(const HttpPiece& piece, const expr::Scope& scope) {
  if (piece.form == HttpPiece::Form::kPlain) return piece.text.expand(scope);
  auto value = piece.text.evaluate(scope);
  if (!value) return fail(std::move(value.error()));
  if (piece.form == HttpPiece::Form::kJson) return to_json(*value);
  std::string quoted;
  append_json_string(quoted, to_text(*value));
  return quoted.substr(1, quoted.size() - 2);
}

class Resolving {
 public:
  Resolving(const expr::Scope& scope, const Told& told) : scope_(scope), told_(told) {}

  /// `what`: for errors.
  Result<ResolvedHttpText> text(const HttpText& pieces, std::size_t bytes_max, std::string_view what) const {
    ResolvedHttpText out;
    std::size_t bytes = 0;
    for (const HttpPiece& piece : pieces) {
      if (!piece.secret.empty()) {
        out.push_back({"", piece.secret, piece.form != HttpPiece::Form::kPlain});
        continue;
      }
      auto text = text_of(piece, scope_);
      if (!text) return fail(told_(piece.text, std::move(text.error())).in(fmt::format("http: {}", what)));
      bytes += text->size();
      if (bytes > bytes_max) {
        return fail(ErrorCode::kInvalidInput, fmt::format("http: {} has over {} bytes", what, bytes_max));
      }
      const bool goes_on = !out.empty() && out.back().secret.empty();
      goes_on ? void(out.back().text += *text) : out.push_back({std::move(*text), "", false});
    }
    return out;
  }

 private:
  const expr::Scope& scope_;
  const Told& told_;
};

}  // namespace

Result<ResolvedHttp> resolve_http(const HttpSpec& spec, const expr::Scope& scope, const Told& told) {
  const Resolving resolving(scope, told);
  ResolvedHttp out{.method = spec.method, .success = spec.success.text(), .redirects_max = spec.redirects_max};
  auto url = resolving.text(spec.url, kHttpUrlMax, "url");
  if (!url) return fail(std::move(url.error()));
  out.url = std::move(*url);
  for (const auto& [name, value] : spec.headers) {
    auto text = resolving.text(value, kHttpHeaderMax, fmt::format("header '{}'", name));
    if (!text) return fail(std::move(text.error()));
    out.headers.emplace_back(name, std::move(*text));
  }
  auto body = resolving.text(spec.body, kHttpBodyMax, "body");
  if (!body) return fail(std::move(body.error()));
  out.body = std::move(*body);
  return out;
}

}  // namespace chappe
