;; What is not valid: wasmtime judges it, before anything of it is used.

(assert_invalid (component (instance (instantiate 0))) "unknown component")
(assert_invalid
  (component
    (component $C (import "f" (func)))
    (instance (instantiate $C)))
  "missing import named `f`")
(assert_invalid
  (component
    (component $C (import "f" (func (param "x" u32))))
    (component $D (core module $M (func (export "f")))
      (core instance $m (instantiate $M)) (func (export "f") (canon lift (core func $m "f"))))
    (instance $d (instantiate $D))
    (instance (instantiate $C (with "f" (func $d "f")))))
  "type mismatch")
(assert_invalid
  (component
    (core module $M (func (export "f") (param i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (canon lift (core func $m "f"))))
  "type mismatch")
;; a list wants memory, and an allocator on the way in
(assert_invalid
  (component
    (core module $M (func (export "f") (param i32 i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "l" (list u8)) (canon lift (core func $m "f"))))
  "canonical option `memory` is required")
(assert_invalid
  (component
    (core module $M (memory (export "mem") 1) (func (export "f") (param i32 i32)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "l" (list u8)) (canon lift (core func $m "f") (memory (core memory $m "mem")))))
  "canonical option `realloc` is required")
(assert_invalid
  (component (type $f (flags)) (export "f" (type $f)))
  "flags must have at least one")
(assert_invalid
  (component (type $f (func (result (borrow 0)))))
  "unknown type")
(assert_invalid
  (component
    (type $r (resource (rep i32)))
    (export $r' "r" (type $r))
    (core module $M (func (export "f") (result i32) (unreachable)))
    (core instance $m (instantiate $M))
    (func (export "f") (result (borrow $r')) (canon lift (core func $m "f"))))
  "function result cannot contain a `borrow` type")
(assert_invalid
  (component (core module $M (func (export "f") (result i32))))
  "type mismatch")
(assert_invalid
  (component (type $s (stream (borrow 0))))
  "unknown type")
(assert_malformed (component binary "\00asm" "\0d\00\01\00" "\7f\00") "unexpected section")
(assert_malformed (component binary "\00asm" "\0d\00\01\00" "\07\01") "unexpected end")
(assert_malformed (component quote "(func") "expected")
