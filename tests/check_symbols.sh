#!/bin/sh
# What the library shows to a linker, and what it asks of one.
#
#   check_symbols.sh LIBRARY HEADER [any] [NM]
#
# - Every symbol with external linkage begins with llmir_ (no accident with an application's names).
# - The symbols of default visibility are exactly the LLMIR_API functions of HEADER.
# - Undefined symbols are on a list of harmless functions of libc, libm and pthreads: none that ends the
#   process, prints, or reads the environment.
# - No initialisers, and no data that could change.
# `any` as the third argument leaves out the last two: sanitizers add calls and data of their own. `drivers` allows to open
# dynamic libraries.
set -eu
export LC_ALL=C
library=$1
header=$2
mode=${3:-all}
nm=${4:-nm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# complain TEXT FILE: FILE lists what is wrong, if anything.
complain() {
    [ -s "$2" ] || return 0
    failed=1
    echo "$1:"
    sed 's/^/    /' "$2"
}

# Of the compiler and of the application's C library.
cat >"$work/allowed" <<'END'
_GLOBAL_OFFSET_TABLE_
__errno_location
__stack_chk_fail
__xpg_strerror_r
bcmp
calloc
clock_gettime
close
free
fstat
fsync
fstat64
getauxval
malloc
memchr
memcmp
memcpy
memmove
memset
mmap
mmap64
mprotect
munmap
open
open64
pthread_attr_destroy
pthread_attr_init
pthread_attr_setstacksize
pthread_cond_broadcast
pthread_cond_destroy
pthread_cond_init
pthread_cond_timedwait
pthread_cond_wait
pthread_condattr_destroy
pthread_condattr_init
pthread_condattr_setclock
pthread_create
pthread_join
pthread_mutex_destroy
pthread_mutex_init
pthread_mutex_lock
pthread_mutex_unlock
pthread_sigmask
read
realloc
rename
sched_getaffinity
sigdelset
sigfillset
snprintf
strcmp
strcspn
strerror_r
strlen
strncmp
strrchr
strstr
strtoul
strtoull
sysconf
unlink
vsnprintf
write
END
[ "$mode" != drivers ] || printf 'dlclose\ndlopen\ndlsym\n' >>"$work/allowed"
# libm: pure functions, with and without the suffix of float.
for name in ceil cos exp exp2 fabs floor fma fmax fmin ldexp log log2 nearbyint pow rint round roundeven sin sqrt tanh; do
    printf '%s\n%sf\n' $name $name
done >>"$work/allowed"
# Of compilers for processors that lack an instruction or have several: atomics, division, conversions, instruction caches.
"$nm" -u "$library" 2>/dev/null | awk '$2 ~ /^(__aarch64_(cas|ldadd|swp)[0-9]_[a-z_]+|__aeabi_[a-z0-9_]+|__clear_cache|__riscv_flush_icache)$/ { print $2 }' >>"$work/allowed"
sort -u -o "$work/allowed" "$work/allowed"

"$nm" -g --defined-only "$library" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(__odr_asan|___asan_globals_registered)/ { print $3 }' | sort >"$work/defined"
"$nm" -u "$library" 2>/dev/null | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u >"$work/wanted"

# "LLMIR_API ... name(" over one or several lines; the definition of the macro is not one.
sed '/^ *#/d' "$header" | tr '\n' ' ' | tr ';' '\n' | grep LLMIR_API |
    sed -n 's/.*LLMIR_API[^(]*[^A-Za-z0-9_(]\(llmir_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$work/declared"
if ! [ -s "$work/declared" ] || ! [ -s "$work/defined" ]; then
    echo "no symbols found in $library or $header"
    exit 1
fi

grep -v '^llmir_' "$work/defined" >"$work/out" || true
complain "external names that do not begin with llmir_" "$work/out"

uniq -d "$work/defined" >"$work/out"
complain "names that are defined twice" "$work/out"

readelf -sW "$library" 2>/dev/null |
    awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" { print $8 }' | sort -u >"$work/visible"
comm -23 "$work/visible" "$work/declared" >"$work/out"
complain "visible symbols that are not in $header" "$work/out"
comm -13 "$work/visible" "$work/declared" >"$work/out"
complain "functions of $header that the library lacks" "$work/out"

if [ "$mode" != any ]; then
    sort -u "$work/defined" "$work/allowed" >"$work/known"
    comm -13 "$work/known" "$work/wanted" >"$work/out"
    complain "functions that the library must not need" "$work/out"

    readelf -SW "$library" 2>/dev/null | sed -n 's/^ *\[ *[0-9]*\] //p' |
        awk '$1 ~ /^\.(init|fini|ctors|dtors|preinit)/ { print $1 }
             $1 ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $1 !~ /^\.data\.rel\.ro/ && $5 !~ /^0+$/ { print $1 }' |
        sort -u >"$work/out"
    complain "sections of initialisers or of data that could change" "$work/out"
fi

[ $failed -eq 0 ] && echo "$(wc -l <"$work/visible") visible symbols, $(wc -l <"$work/wanted") undefined ones: as they should be"
exit $failed
