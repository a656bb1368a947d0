#!/usr/bin/env python3
"""Shows that check_layering.py finds each kind of violation, and nothing in clean code."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_layering  # noqa: E402


def long_function(lines):
    return 'int f(int a,\n      int b) {\n' + '    a += b;\n' * (lines - 4) + '    return a;\n}\n'


class Layering(unittest.TestCase):
    def violations(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                    file.write(text)
            return check_layering.check_tree(root)

    def assert_found(self, path, text, message):
        found = self.violations({path: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(message, found[0])

    def assert_clean(self, path, text):
        self.assertEqual(self.violations({path: text}), [])

    def test_includes_against_the_layers_are_found(self):
        self.assert_found('core/base/a.c', '#include "platform/platform.h"\n', 'must not include')
        self.assert_found('core/a.c', '#include "targets/cpu/cpu_pool.h"\n', 'must not include')
        self.assert_found('core/a.c', '#include <unistd.h>\n', 'must not include')
        self.assert_found('platform/posix/a.c', '#include "quant/half.h"\n', 'must not include')
        self.assert_found('quant/a.c', '#include "core/base/status.h"\n', 'must not include')
        self.assert_found('targets/cpu/a.c', '#include "core/model.h"\n', 'must not include')
        self.assert_found('targets/cuda/a.c', '#include "targets/hip/hip.h"\n', 'must not include')
        self.assert_found('targets/cpu/kernels/a.c', '#include <string.h>\n', 'must not include')
        self.assert_found('examples/chat/a.c', '#include "core/model.h"\n', 'must not include')
        self.assert_found('examples/chat/a.c', '#include "llmir_bundle.h"\n', 'must not include')
        self.assert_found('core/include/llmir.h', '#include <stdio.h>\n', 'must not include')
        self.assert_found('compiler/lib/A.cpp', '#include "core/model.h"\n', 'must not include')

    def test_includes_along_the_layers_are_allowed(self):
        self.assert_clean('core/a.c', '#include "targets/target.h"\n#include "core/base/size.h"\n#include <string.h>\n')
        self.assert_clean('targets/cuda/a.c', '#include "targets/cuda/b.h"\n#include "targets/gpu/gpu.h"\n')
        self.assert_clean('targets/cpu/kernels/a.c', '#include "quant/half.h"\n#include <immintrin.h>\n')
        self.assert_clean('examples/inspect/a.c', '#include "llmir_bundle.h"\n#include <unistd.h>\n')
        self.assert_clean('compiler/lib/A.cpp', '#include "llmir/Import/Gguf.h"\n#include "Local.h"\n#include <map>\n')
        self.assert_clean('tests/unit/a.c', '#include "core/model.h"\n#include <cmocka.h>\n')

    def test_forbidden_calls_are_found(self):
        for call in ('abort()', 'exit(1)', 'printf("x")', 'getenv("X")', 'assert(0)', 'fprintf(f, "x")'):
            self.assert_found('core/a.c', f'void f(void) {{\n    {call};\n}}\n', 'must not call')
        self.assert_found('core/a.c', 'void* f(void) {\n    return stderr;\n}\n', 'must not use stderr')
        self.assert_found('quant/a.c', '_Thread_local const int x = 1;\n', 'must not use _Thread_local')

    def test_harmless_look_alikes_are_allowed(self):
        self.assert_clean('core/a.c', '/* exit(1) */ // abort()\nvoid f(void) {\n    g("getenv(x)");\n}\n')
        self.assert_clean('core/a.c', 'void f(void) {\n    snprintf(a, 1, "x");\n    _Static_assert(1, "x");\n}\n')
        self.assert_clean('examples/a.c', 'void f(void) {\n    printf("x");\n}\n')

    def test_mutable_static_data_is_found(self):
        for text in ('static int count;', 'static int count = 1;', 'static const char* name;',
                     'static uint8_t bytes[4];', 'static struct state state = {0};'):
            self.assert_found('core/a.c', text + '\n', 'static data must be const')
            self.assert_found('core/a.c', 'void f(void) {\n    ' + text + '\n}\n', 'static data must be const')

    def test_constant_static_data_and_functions_are_allowed(self):
        self.assert_clean('core/a.c', 'static const int count = 1;\nstatic const char* const names[] = {"a"};\n'
                          'static int f(int x);\nstatic inline int g(int x) { return x; }\n'
                          'static const uint8_t bytes[4] = {1};\nstatic void h(void) {}\n')

    def test_conditions_on_systems_are_found(self):
        self.assert_found('core/a.c', '#if defined(__linux__)\n#endif\n', 'systems')
        self.assert_found('targets/cpu/a.c', '#ifdef _WIN32\n#endif\n', 'systems')
        self.assert_found('quant/a.c', '#if defined(__GNUC__)\n#endif\n', 'compilers')
        self.assert_found('core/a.c', '#ifdef __AVX2__\n#endif\n', 'processors')
        self.assert_clean('platform/posix/a.c', '#if defined(__linux__)\n#endif\n')
        self.assert_clean('targets/cpu/a.c', '#if defined(__x86_64__)\n#endif\n')
        self.assert_clean('core/base/compiler.h', '#if defined(__GNUC__)\n#endif\n')

    def test_long_files_and_functions_are_found(self):
        self.assert_found('core/a.c', '\n' * 601, '601 lines')
        self.assert_clean('core/a.c', '\n' * 600)
        self.assert_found('core/a.c', long_function(71), '71 lines in a function')
        self.assert_clean('core/a.c', long_function(70))
        self.assert_clean('core/a.c', 'static const int table[] = {\n' + '    1,\n' * 100 + '};\n')
        self.assert_found('compiler/lib/A.cpp', 'namespace {\n\n' + long_function(80) + '\n} // namespace\n', '80 lines')

    def test_equal_file_names_are_found(self):
        found = self.violations({'core/a.c': '', 'targets/cpu/a.c': ''})
        self.assertEqual(len(found), 1)
        self.assertIn('the name is taken by core/a.c', found[0])
        self.assertEqual(self.violations({'core/CMakeLists.txt': '', 'quant/CMakeLists.txt': ''}), [])


if __name__ == '__main__':
    unittest.main()
