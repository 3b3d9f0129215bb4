#include "engine/run/records.h"

namespace chappe {

bool Persist::empty() const { return *this == Persist{}; }

}  // namespace chappe
