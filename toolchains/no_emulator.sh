#!/bin/sh
# Stands in for an emulator that is not here: no_emulator.sh NAME PROGRAM... says so; 77 is CTest's code for a skipped test.
echo "skipped: $1 is not installed"
exit 77
