// spin1.c with the names that wit-bindgen 0.2 gave to everything.
#define OLD_BINDINGS
#include "spin1.c"
