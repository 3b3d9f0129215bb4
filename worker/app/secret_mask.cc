#include "worker/app/secret_mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "proto/json/json.h"
#include "storage/digest/digest.h"

namespace chappe::worker {
namespace {

constexpr std::string_view kStars = "***";

void collect(const Value& value, std::vector<std::string>& out) {
  if (const ValueList* list = value.as_list()) {
    for (const Value& item : *list) collect(item, out);
  } else if (const ValueMap* map = value.as_map()) {
    for (const auto& [name, item] : *map) collect(item, out);
  } else if (!value.is_null()) {
    out.push_back(to_text(value));
  }
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

struct UrlStyle {
  bool upper;      ///< %2F, not %2f.
  bool plus;       ///< A blank is '+'.
  bool raw_slash;  ///< '/' stays.
};

std::string url_encoded(std::string_view text, UrlStyle style) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c) || (style.raw_slash && c == '/')) {
      out += c;
    } else if (style.plus && c == ' ') {
      out += '+';
    } else {
      out += style.upper ? fmt::format("%{:02X}", byte) : fmt::format("%{:02x}", byte);
    }
  }
  return out;
}

std::string without_quotes(const std::string& json) { return json.substr(1, json.size() - 2); }

/// As encoders that write ASCII only do it: code points past it as \\uXXXX, in UTF-16.
std::string ascii_only(const std::string& json) {
  std::string out;
  for (std::size_t i = 0; i < json.size();) {
    const auto lead = static_cast<unsigned char>(json[i]);
    const std::size_t size = lead < 0x80 ? 1U : lead < 0xe0 ? 2U : lead < 0xf0 ? 3U : 4U;
    if (size == 1 || i + size > json.size()) {
      out += json[i++];
      continue;
    }
    std::uint32_t point = lead & (0xffU >> (size + 1));
    for (std::size_t n = 1; n < size; ++n) point = point << 6 | (static_cast<unsigned char>(json[i + n]) & 0x3fU);
    if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", point);
    } else {
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((point - 0x10000) >> 10), 0xdc00 + (point & 0x3ff));
    }
    i += size;
  }
  return out;
}

/// Base64 of `text` as it shows in a text that has `before` (0 to 2, modulo 3) bytes in front of it and any behind:
/// without the characters at both ends that its neighbours have a part in.
std::string base64_inside(std::string_view text, std::size_t before) {
  const std::string padded = std::string(before, '\0') + std::string(text);
  const std::string encoded = base64({reinterpret_cast<const std::uint8_t*>(padded.data()), padded.size()});
  const std::size_t first = (before * 8 + 5) / 6;
  const std::size_t last = padded.size() * 8 / 6;
  return first < last ? encoded.substr(first, last - first) : "";
}

std::string url_alphabet(std::string text) {
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

void add_forms(const std::string& secret, std::set<std::string>& forms) {
  forms.insert(secret);
  for (const bool upper : {true, false}) {
    for (const bool plus : {true, false}) {
      for (const bool raw_slash : {true, false}) forms.insert(url_encoded(secret, {upper, plus, raw_slash}));
    }
  }
  const std::string json = without_quotes(to_json(Value(secret)));
  forms.insert(json);
  forms.insert(ascii_only(json));
  std::vector<std::string> encoded{base64({reinterpret_cast<const std::uint8_t*>(secret.data()), secret.size()})};
  for (std::size_t before = 0; before < 3; ++before) encoded.push_back(base64_inside(secret, before));
  for (const std::string& form : encoded) {
    forms.insert(form);
    forms.insert(url_alphabet(form));
  }
}

}  // namespace

std::vector<std::string> secrets_of(const RunContext& run) {
  std::vector<std::string> secrets;
  if (run.secret_params.empty()) return secrets;
  const auto params = parse_json(run.params_json);
  if (!params) return secrets;
  for (const std::string& name : run.secret_params) {
    if (const Value* value = params->find(name)) collect(*value, secrets);
  }
  return secrets;
}

std::vector<std::string> forms_of(const std::string& secret) {
  std::set<std::string> forms;
  add_forms(secret, forms);
  for (std::size_t begin = 0; begin < secret.size();) {
    const std::size_t end = std::min(secret.find_first_of("\r\n", begin), secret.size());
    if (end - begin >= kSecretLeast) add_forms(secret.substr(begin, end - begin), forms);
    begin = end + 1;
  }
  std::erase_if(forms, [](const std::string& form) { return form.size() < kSecretLeast; });
  return {forms.begin(), forms.end()};
}

SecretMask::SecretMask(const std::vector<std::string>& secrets) {
  std::set<std::string> all;
  for (const std::string& secret : secrets) {
    if (secret.size() < kSecretLeast) continue;
    for (std::string& form : forms_of(secret)) all.insert(std::move(form));
  }
  patterns_.assign(all.begin(), all.end());
  std::ranges::stable_sort(patterns_, std::ranges::greater{}, &std::string::size);
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {
    by_first_byte_[static_cast<unsigned char>(patterns_[i].front())].push_back(i);
  }
}

std::string SecretMask::mask(std::string_view bytes) {
  kept_.append(bytes);
  return take(false);
}

std::string SecretMask::rest() { return take(true); }

/// Size of the longest pattern that stands at `position`; 0: none.
std::size_t SecretMask::match_at(std::size_t position) const {
  const std::string_view text = std::string_view(kept_).substr(position);
  for (const std::uint32_t i : by_first_byte_[static_cast<unsigned char>(text.front())]) {
    if (text.starts_with(patterns_[i])) return patterns_[i].size();
  }
  return 0;
}

/// Whether all that is there from `position` on is the beginning of a longer pattern.
bool SecretMask::may_go_on(std::size_t position) const {
  const std::string_view text = std::string_view(kept_).substr(position);
  for (const std::uint32_t i : by_first_byte_[static_cast<unsigned char>(text.front())]) {
    if (patterns_[i].size() <= text.size()) return false;  // Longest first.
    if (std::string_view(patterns_[i]).starts_with(text)) return true;
  }
  return false;
}

/// Secrets may overlap: all bytes that any of them covers are hidden, with one mark for each stretch of them.
std::string SecretMask::take(bool all) {
  std::string shown;
  std::size_t hidden_until = hidden_;
  std::size_t position = 0;
  for (; position < kept_.size(); ++position) {
    if (!all && may_go_on(position)) break;
    const std::size_t size = match_at(position);
    if (size > 0 && position >= hidden_until) shown += kStars;
    hidden_until = std::max(hidden_until, position + size);
    if (position >= hidden_until) shown += kept_[position];
  }
  kept_.erase(0, position);
  hidden_ = hidden_until > position ? hidden_until - position : 0;
  return shown;
}

}  // namespace chappe::worker
