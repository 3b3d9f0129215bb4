// Does wrong what a sanitizer must find: `planted leak|overflow|freed|race`.
#include <climits>
#include <string_view>
#include <thread>

namespace {

int* volatile kept = nullptr;
volatile int number = INT_MAX;

void leak() {
  kept = new int(1);
  kept = nullptr;
}

int freed() {
  kept = new int(1);
  delete kept;
  return *kept;
}

int race() {
  int both = 0;
  std::thread other([&] { ++both; });
  ++both;
  other.join();
  return both;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view wish = count > 1 ? words[1] : "";
  if (wish == "leak") leak();
  if (wish == "overflow") number = number + 1;
  if (wish == "freed") return freed();
  return wish == "race" ? race() : 0;
}
