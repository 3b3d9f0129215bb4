#include "engine/model/sidecar.h"

#include <algorithm>

namespace chappe {

std::string join_images(const std::string& own, const std::vector<std::pair<std::string, std::string>>& sidecars) {
  std::string out = own;
  for (const auto& [name, image] : sidecars) out.append("\n").append(name).append("=").append(image);
  return out;
}

ImagesOfAttempt split_images(std::string_view text) {
  ImagesOfAttempt out;
  const std::size_t first = std::min(text.find('\n'), text.size());
  out.own = text.substr(0, first);
  text.remove_prefix(first);
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) {
      out.sidecars.emplace_back(std::string(line.substr(0, equals)), std::string(line.substr(equals + 1)));
    }
    text.remove_prefix(line.size());
  }
  return out;
}

}  // namespace chappe
