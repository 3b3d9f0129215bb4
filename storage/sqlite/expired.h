/// \file
/// Finds artifacts whose retention may have passed. Private to storage/sqlite. Throws Failed.
#pragma once

#include "engine/run/expired.h"
#include "storage/sqlite/connection.h"

namespace chappe::sqlite {

/// When artifacts of some run may go; nullopt: of none.
std::optional<WallTime> next_due(Connection& connection);

/// Cost: O(kCollectMax) rows, each by an index.
ExpiredLooked find_expired(Connection& connection, const ExpiredQuery& query);

}  // namespace chappe::sqlite
