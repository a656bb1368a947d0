//===- ToyModel.h - Small models without values, for tests of the graph -----------------------===//
#ifndef LLMIR_UNITTESTS_PLAN_TOYMODEL_H
#define LLMIR_UNITTESTS_PLAN_TOYMODEL_H

#include "llmir/Import/ImportedModel.h"

namespace llmir::compiler {

/// A model of two layers with the tensors that the architecture needs, all matrices of type `type`.
/// Its tensors have shapes but no data.
ImportedModel makeToyModel(const std::string &architecture, SourceType type = SourceType::Q4_1);

/// Adds a tensor, or replaces the one of that name.
void setTensor(ImportedModel &model, const std::string &name, SourceType type,
               std::vector<int64_t> shape);

} // namespace llmir::compiler

#endif // LLMIR_UNITTESTS_PLAN_TOYMODEL_H
