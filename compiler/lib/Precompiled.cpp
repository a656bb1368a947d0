//===- Precompiled.cpp - What Precompiled.h is compiled with --------------===//
#include "Precompiled.h"
