/* Bundles of which two must not load: files of LLMIR_FIRMWARE_MODEL, in flash beside the model. */
    .syntax unified
    .section .rodata.llmir, "a"

    .balign 64
    .global bundle_other_target
    .global bundle_other_target_end
bundle_other_target:
    .incbin "other_target.llmir"
bundle_other_target_end:

    .balign 64
    .global bundle_x86_code
    .global bundle_x86_code_end
bundle_x86_code:
    .incbin "x86_code.llmir"
bundle_x86_code_end:

    .balign 64
    .global bundle_damaged
    .global bundle_damaged_end
bundle_damaged:
    .incbin "damaged.llmir"
bundle_damaged_end:
