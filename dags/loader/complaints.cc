#include "dags/loader/complaints.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace chappe {
namespace {

/// More are not kept; the last one that is shown says so.
constexpr std::size_t kKeptMax = 10'000;

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

}  // namespace

std::string Diagnostic::text() const {
  const std::string_view kind = warning ? "warning" : "error";
  if (line == 0) return fmt::format("{}: {}: {}", file, kind, message);
  return fmt::format("{}:{}:{}: {}: {}", file, line, column, kind, message);
}

std::string_view Complaints::line(std::uint32_t number) {
  if (line_starts_.empty()) {
    line_starts_.push_back(0);
    for (std::size_t at = text_.find('\n'); at != std::string_view::npos; at = text_.find('\n', at + 1)) {
      line_starts_.push_back(at + 1);
    }
  }
  if (number == 0 || number > line_starts_.size()) return {};
  const std::size_t start = line_starts_[number - 1];
  return text_.substr(start, text_.find('\n', start) - start);
}

void Complaints::add(yaml::Place place, std::string message, bool warning) {
  errors_ += warning ? 0 : 1;
  if (found_.size() >= kKeptMax) return;
  // Editors count characters, the parser bytes.
  const std::size_t before = place.column == 0 ? 0 : place.column - 1;
  const auto column = static_cast<std::uint32_t>(characters(line(place.line).substr(0, before)) + 1);
  found_.insert({std::string(file_), place.line, place.line == 0 ? 0 : column, std::move(message), warning});
}

void Complaints::error(const yaml::Node& scalar, std::size_t offset, std::string message) {
  add(place_in(scalar, offset), std::move(message), false);
}

void Complaints::warn(const yaml::Node& scalar, std::size_t offset, std::string message) {
  add(place_in(scalar, offset), std::move(message), true);
}

yaml::Place Complaints::place_in(const yaml::Node& scalar, std::size_t offset) {
  yaml::Place place = scalar.place;
  const std::string_view first = line(place.line);
  const std::string_view rest = first.substr(std::min<std::size_t>(first.size(), place.column - 1));
  const std::string_view text = scalar.text;
  if (rest.starts_with('|')) {
    // A literal block: line by line as in the file, apart from the indentation.
    const std::size_t begin = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;
    place.line += 1 + static_cast<std::uint32_t>(
                          std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n'));
    const std::string_view content = text.substr(begin, text.find('\n', begin) - begin);
    const std::size_t at = line(place.line).find(content);
    place.column = static_cast<std::uint32_t>((at == std::string_view::npos ? 0 : at) + (offset - begin) + 1);
  } else if (rest.starts_with(text)) {
    place.column += static_cast<std::uint32_t>(offset);
  } else if (rest.size() > text.size() && rest.substr(1).starts_with(text)) {
    place.column += static_cast<std::uint32_t>(offset) + 1;  // Behind the quote.
  }
  return place;
}

bool Complaints::Before::operator()(const Diagnostic& a, const Diagnostic& b) const {
  return std::tie(a.line, a.column, a.warning, a.message) < std::tie(b.line, b.column, b.warning, b.message);
}

std::vector<Diagnostic> Complaints::take() {
  std::vector<Diagnostic> out(found_.begin(), found_.end());
  if (out.size() <= kComplaintsMax) return out;
  const std::size_t more = out.size() - kComplaintsMax + 1;
  out.resize(kComplaintsMax);
  // An error if there is one among all: failed() and the list must agree.
  out.back().message = fmt::format("... and {} more like these", more);
  out.back().warning = !failed();
  return out;
}

}  // namespace chappe
