//===- DoubleArray.cpp - Tries as two arrays -------------------------------------------------===//
//
// Nodes are placed breadth first, each at the first base where all of its children fall on free
// places. The search for a base begins at the first free place, which moves on when the places
// behind it have been tried often without success; that keeps building near linear and wastes
// little.
//
//===-----------------------------------------------------------------------------------------===//
#include "DoubleArray.h"

#include <deque>

namespace llmir::compiler {

namespace {

using Key = std::map<std::string, uint32_t>::const_iterator;

/// The keys [begin, end) share their first `depth` bytes, which lead to `node`.
struct Work {
  uint32_t node;
  size_t depth;
  Key begin, end;
};

class DoubleArrayBuilder {
public:
  std::vector<llmir_trie_node_t> run(const std::map<std::string, uint32_t> &keys);

private:
  struct Child {
    uint8_t byte;
    Key begin, end;
  };
  bool isFree(size_t place) const {
    return place >= nodes.size() || nodes[place].parent == LLMIR_TRIE_FREE;
  }
  std::vector<Child> childrenOf(const Work &work);
  uint32_t findBase(const std::vector<Child> &children);
  void occupy(uint32_t place, uint32_t parent);

  std::vector<llmir_trie_node_t> nodes;
  size_t firstFree = 1;
};

} // namespace

std::vector<DoubleArrayBuilder::Child> DoubleArrayBuilder::childrenOf(const Work &work) {
  std::vector<Child> children;
  for (Key key = work.begin; key != work.end;) {
    const auto byte = static_cast<uint8_t>(key->first[work.depth]);
    const Key begin = key;
    while (key != work.end && static_cast<uint8_t>(key->first[work.depth]) == byte)
      ++key;
    children.push_back({byte, begin, key});
  }
  return children;
}

uint32_t DoubleArrayBuilder::findBase(const std::vector<Child> &children) {
  const uint8_t least = children.front().byte; // keys ascend as unsigned bytes
  while (!isFree(firstFree))
    ++firstFree;
  size_t tries = 0;
  for (size_t place = std::max<size_t>(firstFree, least + 1u);; ++place) {
    if (!isFree(place))
      continue;
    const size_t base = place - least;
    bool fits = true;
    for (const Child &child : children)
      fits &= isFree(base + child.byte);
    if (fits)
      return static_cast<uint32_t>(base);
    if (++tries == 4096)
      firstFree = place;
  }
}

void DoubleArrayBuilder::occupy(uint32_t place, uint32_t parent) {
  if (place >= nodes.size())
    nodes.resize(place + 1, {0, LLMIR_TRIE_FREE, LLMIR_TOKENIZER_NO_TOKEN});
  nodes[place].parent = parent;
}

std::vector<llmir_trie_node_t>
DoubleArrayBuilder::run(const std::map<std::string, uint32_t> &keys) {
  // Bases are at least 1, so the root is nobody's child.
  nodes.push_back({0, 0, LLMIR_TOKENIZER_NO_TOKEN});
  std::deque<Work> queue = {{0, 0, keys.begin(), keys.end()}};
  while (!queue.empty()) {
    Work work = queue.front();
    queue.pop_front();
    if (work.begin != work.end && work.begin->first.size() == work.depth) {
      nodes[work.node].token = work.begin->second;
      ++work.begin;
    }
    const std::vector<Child> children = childrenOf(work);
    if (children.empty())
      continue;
    const uint32_t base = findBase(children);
    nodes[work.node].base = base;
    for (const Child &child : children) {
      occupy(base + child.byte, work.node);
      queue.push_back({base + child.byte, work.depth + 1, child.begin, child.end});
    }
  }
  return nodes;
}

std::vector<llmir_trie_node_t> buildDoubleArray(const std::map<std::string, uint32_t> &keys) {
  return DoubleArrayBuilder().run(keys);
}

} // namespace llmir::compiler
