//===- Architecture.cpp - What tells decoder architectures apart ------------------------------===//

#include "Architecture.h"

#include <algorithm>
#include <cmath>

using namespace llmir::compiler;

llvm::ArrayRef<Architecture> llmir::compiler::architectures() {
  using P = Presence;
  static constexpr Architecture table[] = {
      // name    q, k, v bias  output bias  ffn bias  head norms  post norms
      {"gemma3", P::Never, P::Never, P::Never, P::Always, P::Always},
      {"llama", P::Optional, P::Optional, P::Optional, P::Never, P::Never},
      {"qwen2", P::Always, P::Never, P::Never, P::Never, P::Never},
      {"qwen3", P::Optional, P::Never, P::Never, P::Always, P::Never},
  };
  return table;
}

const Architecture *llmir::compiler::findArchitecture(llvm::StringRef name) {
  for (const Architecture &architecture : architectures())
    if (architecture.name == name)
      return &architecture;
  return nullptr;
}

/// Llama 3: long waves are slowed by the factor, short ones kept, those between blended. The bounds
/// are the same in all released models.
static double scaleLlama3(double frequency, const ModelConfig &config) {
  constexpr double lowBound = 1.0, highBound = 4.0, pi = 3.14159265358979323846;
  double turns = config.ropeOriginalContext * frequency / (2.0 * pi);
  double keep = std::clamp((turns - lowBound) / (highBound - lowBound), 0.0, 1.0);
  return keep * frequency + (1.0 - keep) * frequency / config.ropeScaleFactor;
}

/// YaRN (arXiv 2309.00071): a linear ramp over the pairs between the two numbers of rotations in
/// the original context.
static double scaleYarn(double frequency, int64_t pair, const ModelConfig &config) {
  constexpr double pi = 3.14159265358979323846;
  auto pairOf = [&](double turns) {
    return static_cast<double>(config.ropeDim) *
           std::log(config.ropeOriginalContext / (turns * 2.0 * pi)) /
           (2.0 * std::log(config.ropeBase));
  };
  double low = std::max(std::floor(pairOf(config.ropeBetaFast)), 0.0);
  double high =
      std::min(std::ceil(pairOf(config.ropeBetaSlow)), static_cast<double>(config.ropeDim - 1));
  double ramp =
      std::clamp((static_cast<double>(pair) - low) / std::max(high - low, 0.001), 0.0, 1.0);
  return frequency * (1.0 - ramp) + frequency / config.ropeScaleFactor * ramp;
}

std::vector<float> llmir::compiler::ropeFrequencies(const ModelConfig &config, bool windowLayer) {
  bool local = windowLayer && config.ropeLocalBase != 0.0;
  double base = local ? config.ropeLocalBase : config.ropeBase;
  std::vector<float> frequencies;
  for (int64_t pair = 0; pair < config.ropeDim / 2; ++pair) {
    double frequency =
        std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(config.ropeDim));
    if (!local) {
      // Factors of a file already are the scaling.
      if (!config.ropeFrequencyFactors.empty())
        frequency /= config.ropeFrequencyFactors[pair];
      else if (config.ropeScaling == RopeScaling::Llama3)
        frequency = scaleLlama3(frequency, config);
      if (config.ropeScaling == RopeScaling::Linear)
        frequency /= config.ropeScaleFactor;
      else if (config.ropeScaling == RopeScaling::Yarn)
        frequency = scaleYarn(frequency, pair, config);
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}
