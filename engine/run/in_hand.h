/// \file
/// What the engine is at, in plain memory: for a shell that has to say what a crash was about.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/base/ids.h"

namespace chappe {

struct InHand {
  RunSeq run;                   ///< Looked at last, in this event; none: no run yet.
  std::array<char, 256> dag{};  ///< Whose schedule, triggers or backfill are looked at; "" for none. Cut where longer.

  static void take(InHand* hand, RunSeq run) {
    if (hand != nullptr) hand->run = run;
  }
  static void take(InHand* hand, std::string_view dag) {
    if (hand == nullptr) return;
    const std::size_t size = std::min(dag.size(), hand->dag.size() - 1);
    std::copy_n(dag.begin(), size, hand->dag.begin());
    hand->dag[size] = '\0';
  }
  static void put_down(InHand* hand) {
    if (hand == nullptr) return;
    hand->run = {};
    hand->dag[0] = '\0';
  }
};

}  // namespace chappe
