# Arm Cortex-M without an operating system: gcc-arm-none-eabi with newlib (Debian: gcc-arm-none-eabi libnewlib-arm-none-eabi).
#
#   LLMIR_ARM_CPU   cortex-m4 (default), cortex-m7 or cortex-m55: floating point in hardware, the instructions that go with it
#
# Any other core: give the flags in LLMIR_ARM_FLAGS.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_ASM_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # a program needs a linker script
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LLMIR_ARM_CPU LLMIR_ARM_FLAGS)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

if(NOT LLMIR_ARM_CPU)
  set(LLMIR_ARM_CPU cortex-m4)
endif()
set(arm_fpu_of_cortex-m4 fpv4-sp-d16)
set(arm_fpu_of_cortex-m7 fpv5-d16)
set(arm_fpu_of_cortex-m55 auto)
if(NOT LLMIR_ARM_FLAGS)
  if(NOT DEFINED arm_fpu_of_${LLMIR_ARM_CPU})
    message(FATAL_ERROR "LLMIR_ARM_CPU: ${LLMIR_ARM_CPU}, expected cortex-m4, cortex-m7 or cortex-m55, or LLMIR_ARM_FLAGS")
  endif()
  set(LLMIR_ARM_FLAGS "-mcpu=${LLMIR_ARM_CPU} -mfloat-abi=hard -mfpu=${arm_fpu_of_${LLMIR_ARM_CPU}}")
endif()

# uint32_t is a long here, and formats are written for int: the same size, and every other build checks them.
set(CMAKE_C_FLAGS_INIT "-mthumb ${LLMIR_ARM_FLAGS} -Wno-format")
set(CMAKE_ASM_FLAGS_INIT "-mthumb ${LLMIR_ARM_FLAGS}")
