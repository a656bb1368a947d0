# Puts PREFIX before every name of the library that an archive shows to a linker, so that two versions can meet in one program:
#
#   cmake -DARCHIVE=libllmir.a -DPREFIX=old_ -DNM=nm -DOBJCOPY=objcopy -P prefix_symbols.cmake
execute_process(COMMAND ${NM} -g --defined-only ${ARCHIVE} OUTPUT_VARIABLE listing ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " llmir_[A-Za-z0-9_]+" names "${listing}")
list(REMOVE_DUPLICATES names)
set(lines "")
foreach(name IN LISTS names)
  string(STRIP "${name}" name)
  string(APPEND lines "${name} ${PREFIX}${name}\n")
endforeach()
file(WRITE ${ARCHIVE}.names "${lines}")
execute_process(COMMAND ${OBJCOPY} -D --redefine-syms=${ARCHIVE}.names ${ARCHIVE} COMMAND_ERROR_IS_FATAL ANY)
