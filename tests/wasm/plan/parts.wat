;; Core modules with something of everything that may be, in components inside each other: what is left out of a skeleton,
;; and what must not be.
(component
  (component $inner
    (import "host" (core module $given
      (import "a" "f" (func (param i32) (result i64)))
      (export "memory" (memory 1))
      (export "g" (func (result f64)))))
    (core module $nested (func (export "f") (param i32) (result i64) (i64.const 1)))
    (core instance $nested (instantiate $nested))
    (core instance $given (instantiate $given (with "a" (instance $nested))))
    (func (export "g") (result f64) (canon lift (core func $given "g"))))

  (core module $everything
    (type $binary (func (param i32 i64 f32 f64 v128) (result i32)))
    (import "a" "f" (func $f (param i32) (result i64)))
    (import "a" "table" (table 1 funcref))
    (import "a" "memory" (memory 1))
    (import "a" "global" (global $imported i32))
    (func $declared_by_its_export (export "declared") (result i32) (i32.const 7))
    (func $start (drop (ref.func $declared_by_its_export)))
    (func (export "binary") (type $binary) (local i32 i64) (local.get 0))
    (func (export "g") (result f64) (drop (call $f (i32.const 1))) (f64.const 2))
    (func (export "fill") (memory.init $data (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $data)
      (table.init $elements (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $elements))
    (table $own (export "table") 2 4 funcref)
    (table $valued 1 (ref $binary) (ref.func 3))
    (memory $second (export "memory") 1 2)
    (global (export "sum") i32 (i32.add (global.get $imported) (i32.const 5)))
    (global (export "mutable") (mut f64) (f64.const 1))
    (global v128 (v128.const i32x4 1 2 3 4))
    (start $start)
    (elem $elements func $start)
    (elem (table $own) (i32.const 0) func $f)
    (data $data "hello")
    (data (memory $second) (i32.const 3) "there"))

  (core module $provider
    (func (export "f") (param i32) (result i64) (i64.const 3))
    (table (export "table") 1 funcref)
    (memory (export "memory") 1)
    (global (export "global") i32 (i32.const 2)))
  (core module $unused (func (export "f") (result i32) (i32.const 1)) (data "unused"))
  (core module $small
    (import "a" "f" (func $f (param i32) (result i64)))
    (memory (export "memory") 1)
    (func (export "g") (result f64) (drop (call $f (i32.const 1))) (f64.const 2)))
  (core instance $provider (instantiate $provider))
  (core instance $everything (instantiate $everything (with "a" (instance $provider))))
  (instance $inner (instantiate $inner (with "host" (core module $small))))
  (func $g (alias export $inner "g"))
  (export "g" (func $g)))
