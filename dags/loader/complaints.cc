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

Value diagnostics_json(const std::vector<Diagnostic>& diagnostics) {
  ValueList out;
  for (const Diagnostic& one : diagnostics) {
    out.emplace_back(ValueMap{{"file", one.file},
                              {"line", std::int64_t{one.line}},
                              {"column", std::int64_t{one.column}},
                              {"severity", one.warning ? "warning" : "error"},
                              {"message", one.message},
                              {"text", one.text()}});
  }
  return out;
}

std::string_view Complaints::line(yaml::Place place) {
  File& file = files_[place.file];
  if (file.line_starts.empty()) {
    file.line_starts.push_back(0);
    for (std::size_t at = file.text.find('\n'); at != std::string_view::npos; at = file.text.find('\n', at + 1)) {
      file.line_starts.push_back(at + 1);
    }
  }
  if (place.line == 0 || place.line > file.line_starts.size()) return {};
  const std::size_t start = file.line_starts[place.line - 1];
  return file.text.substr(start, file.text.find('\n', start) - start);
}

void Complaints::add(yaml::Place place, std::string message, bool warning) {
  errors_ += warning ? 0 : 1;
  if (found_.size() >= kKeptMax) return;
  // Editors count characters, the parser bytes.
  const std::size_t before = place.column == 0 ? 0 : place.column - 1;
  const auto column = static_cast<std::uint32_t>(characters(line(place).substr(0, before)) + 1);
  found_.insert(
      {place.file, {files_[place.file].name, place.line, place.line == 0 ? 0 : column, std::move(message), warning}});
}

std::string Complaints::told(yaml::Place place, yaml::Place from) const {
  if (place.file == from.file) return fmt::format("line {}", place.line);
  return fmt::format("line {} of {}", place.line, files_[place.file].name);
}

void Complaints::error(const yaml::Node& scalar, std::size_t offset, std::string message) {
  add(place_in(scalar, offset), std::move(message), false);
}

void Complaints::warn(const yaml::Node& scalar, std::size_t offset, std::string message) {
  add(place_in(scalar, offset), std::move(message), true);
}

yaml::Place Complaints::place_in(const yaml::Node& scalar, std::size_t offset) {
  yaml::Place place = scalar.place;
  const std::string_view first = line(place);
  const std::string_view rest = first.substr(std::min<std::size_t>(first.size(), place.column - 1));
  const std::string_view text = scalar.text;
  if (rest.starts_with('|')) {
    // A literal block: line by line as in the file, apart from the indentation.
    const std::size_t begin = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;
    place.line += 1 + static_cast<std::uint32_t>(
                          std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n'));
    const std::string_view content = text.substr(begin, text.find('\n', begin) - begin);
    const std::size_t at = line(place).find(content);
    place.column = static_cast<std::uint32_t>((at == std::string_view::npos ? 0 : at) + (offset - begin) + 1);
  } else if (rest.starts_with(text)) {
    place.column += static_cast<std::uint32_t>(offset);
  } else if (rest.size() > text.size() && rest.substr(1).starts_with(text)) {
    place.column += static_cast<std::uint32_t>(offset) + 1;  // Behind the quote.
  }
  return place;
}

bool Complaints::Before::operator()(const Found& a, const Found& b) const {
  return std::tie(a.file, a.what.line, a.what.column, a.what.warning, a.what.message) <
         std::tie(b.file, b.what.line, b.what.column, b.what.warning, b.what.message);
}

std::vector<Diagnostic> Complaints::take() {
  std::vector<Diagnostic> out;
  for (const Found& found : found_) out.push_back(found.what);
  if (out.size() <= kComplaintsMax) return out;
  const std::size_t more = out.size() - kComplaintsMax + 1;
  out.resize(kComplaintsMax);
  // An error if there is one among all: failed() and the list must agree.
  out.back().message = fmt::format("... and {} more like these", more);
  out.back().warning = !failed();
  return out;
}

}  // namespace chappe
