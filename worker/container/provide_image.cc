#include "worker/container/provide_image.h"

#include <fmt/format.h>

#include <thread>

#include "engine/ports/log.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRemoveRest = 500ms;  ///< Between two tries.
constexpr int kRemoveTries = 5;

}  // namespace

Result<Image> provide_image(ContainerApi& api, const ContainerSpec& spec, const std::atomic<bool>& stopped) {
  using Pull = ContainerOptions::Pull;
  const Pull pull = spec.options.pull;
  const auto named = [&](Error error, const char* what) {
    return fail(std::move(error).in(fmt::format("{} image '{}'", what, spec.image)));
  };
  if (pull != Pull::kAlways) {
    auto image = api.find_image(spec.image);
    if (image || image.error().code != ErrorCode::kNotFound) return image;
    if (pull == Pull::kNever) {
      return fail(ErrorCode::kNotFound,
                  fmt::format("image '{}' is not on this machine, and is never pulled (container: "
                              "{{pull: never}})",
                              spec.image));
    }
  }
  if (auto pulled = api.pull(spec.image, stopped); !pulled) return named(pulled.error(), "pull");
  auto image = api.find_image(spec.image);
  if (!image) return named(image.error(), "find");
  return image;
}

void remove_container(ContainerApi& api, const std::string& id, const std::string& name) {
  for (int tries = 0; tries < kRemoveTries; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(kRemoveRest);
    const Result<void> removed = api.remove(id);
    if (removed) return;
    log::warn("remove container {}: {}", name, removed.error().message);
  }
}

}  // namespace chappe::container
