# How lit runs the tests of this folder: llmir-opt and FileCheck on the path, variables that are not global end with
# their CHECK-LABEL.
import os

import lit.formats

config.name = "LLMIR"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)

config.environment["PATH"] = os.pathsep.join(
    [config.llmir_opt_dir, config.filecheck_dir, config.environment["PATH"]]
)
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%include", config.include_dir))
