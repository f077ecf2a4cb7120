;; How components are put together: nested components, instances by their arguments and by their exports, aliases of all
;; kinds, instances of the same component with a state of their own. Explainer.md, "Instance Definitions", "Alias
;; Definitions".

;; Each instantiation has its own memory and globals.
(component
  (component $Counter
    (core module $M
      (global $n (mut i32) (i32.const 0))
      (func (export "next") (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (global.get $n)))
    (core instance $m (instantiate $M))
    (func (export "next") (result u32) (canon lift (core func $m "next"))))
  (instance $a (instantiate $Counter))
  (instance $b (instantiate $Counter))
  (func (export "a") (alias export $a "next"))
  (func (export "b") (alias export $b "next")))
(assert_return (invoke "a") (u32.const 1))
(assert_return (invoke "a") (u32.const 2))
(assert_return (invoke "b") (u32.const 1))

;; A core module is an argument like any other; so are core instances of inline exports, and outer aliases of modules.
(component
  (core module $Adder
    (import "numbers" "left" (global $left i32))
    (func (export "add") (param i32) (result i32) (i32.add (global.get $left) (local.get 0))))
  (component $Inner
    (alias outer 1 $Adder (core module $Adder'))
    (core module $Numbers (global (export "left") i32 (i32.const 40)) (global (export "other") i32 (i32.const 1)))
    (core instance $numbers (instantiate $Numbers))
    (core instance $renamed (export "left" (global $numbers "other")))
    (core instance $one (instantiate $Adder' (with "numbers" (instance $numbers))))
    (core instance $two (instantiate $Adder' (with "numbers" (instance $renamed))))
    (core instance $three (instantiate $Adder'
      (with "numbers" (instance (export "left" (global $numbers "left"))))))
    (func (export "one") (param "x" u32) (result u32) (canon lift (core func $one "add")))
    (func (export "two") (param "x" u32) (result u32) (canon lift (core func $two "add")))
    (func (export "three") (param "x" u32) (result u32) (canon lift (core func $three "add"))))
  (instance $inner (instantiate $Inner))
  (func (export "one") (alias export $inner "one"))
  (func (export "two") (alias export $inner "two"))
  (func (export "three") (alias export $inner "three")))
(assert_return (invoke "one" (u32.const 2)) (u32.const 42))
(assert_return (invoke "two" (u32.const 2)) (u32.const 3))
(assert_return (invoke "three" (u32.const 3)) (u32.const 43))

;; Modules and components as arguments of components, and exports of components that are themselves instantiated.
(component
  (component $Apply
    (import "code" (core module $Code (export "f" (func (param i32) (result i32)))))
    (core instance $code (instantiate $Code))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $code "f"))))
  (component $Twice
    (import "make" (component $Make
      (import "code" (core module (export "f" (func (param i32) (result i32)))))
      (export "f" (func (param "x" u32) (result u32)))))
    (core module $Double (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
    (core module $Square (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0))))
    (instance $double (instantiate $Make (with "code" (core module $Double))))
    (instance $square (instantiate $Make (with "code" (core module $Square))))
    (export "double" (func $double "f"))
    (export "square" (func $square "f")))
  (instance $twice (instantiate $Twice (with "make" (component $Apply))))
  (func (export "double") (alias export $twice "double"))
  (func (export "square") (alias export $twice "square")))
(assert_return (invoke "double" (u32.const 7)) (u32.const 14))
(assert_return (invoke "square" (u32.const 7)) (u32.const 49))

;; A chain: $A's function lowered into $B, whose function is lowered into $C; one instance serves two.
(component
  (component $A
    (core module $M (global $n (mut i32) (i32.const 0))
      (func (export "f") (param i32) (result i32)
        (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
  (component $B
    (import "f" (func $f (param "x" u32) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $M
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1000))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $m "f"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "f" (func $a "f"))))
  (instance $c (instantiate $B (with "f" (func $b "f"))))
  (func (export "a") (alias export $a "f"))
  (func (export "b") (alias export $b "f"))
  (func (export "c") (alias export $c "f")))
(assert_return (invoke "a" (u32.const 1)) (u32.const 1))
(assert_return (invoke "b" (u32.const 2)) (u32.const 1003))
(assert_return (invoke "c" (u32.const 3)) (u32.const 2006))

;; Instances of inline exports, under other names; an instance within an instance.
(component
  (component $P
    (core module $M
      (func (export "one") (result i32) (i32.const 1))
      (func (export "two") (result i32) (i32.const 2)))
    (core instance $m (instantiate $M))
    (func $one (result u32) (canon lift (core func $m "one")))
    (func $two (result u32) (canon lift (core func $m "two")))
    (instance $inner (export "x" (func $two)))
    (instance $outer (export "x" (func $one)) (export "y" (func $two)) (export "inner" (instance $inner)))
    (export "all" (instance $outer)))
  (component $Q
    (import "all" (instance $all
      (export "x" (func (result u32)))
      (export "inner" (instance (export "x" (func (result u32)))))))
    (alias export $all "inner" (instance $inner))
    (export "x" (func $all "x"))
    (export "inner-x" (func $inner "x")))
  (instance $p (instantiate $P))
  (instance $q (instantiate $Q (with "all" (instance $p "all"))))
  (func (export "x") (alias export $q "x"))
  (func (export "inner-x") (alias export $q "inner-x"))
  (alias export $p "all" (instance $p-all))
  (func (export "y") (alias export $p-all "y")))
(assert_return (invoke "x") (u32.const 1))
(assert_return (invoke "inner-x") (u32.const 2))
(assert_return (invoke "y") (u32.const 2))

;; A start function runs when its core instance is made, in the order of the definitions.
(component
  (core module $State
    (global (export "n") (mut i32) (i32.const 1))
    (func (export "get") (result i32) (i32.const 0)))
  (core instance $state (instantiate $State))
  (core module $Times (import "state" "n" (global $n (mut i32)))
    (func $run (global.set $n (i32.mul (global.get $n) (i32.const 10)))) (start $run))
  (core module $Plus (import "state" "n" (global $n (mut i32)))
    (func $run (global.set $n (i32.add (global.get $n) (i32.const 5)))) (start $run))
  (core instance $1 (instantiate $Plus (with "state" (instance $state))))
  (core instance $2 (instantiate $Times (with "state" (instance $state))))
  (core instance $3 (instantiate $Plus (with "state" (instance $state))))
  (core module $Read (import "state" "n" (global $n (mut i32))) (func (export "get") (result i32) (global.get $n)))
  (core instance $read (instantiate $Read (with "state" (instance $state))))
  (func (export "get") (result u32) (canon lift (core func $read "get"))))
(assert_return (invoke "get") (u32.const 65))

;; A trap of a start function is one of instantiating.
(assert_trap
  (component
    (core module $M (func $f (unreachable)) (start $f))
    (core instance (instantiate $M)))
  "wasm trap: wasm `unreachable` instruction executed")
(assert_trap
  (component
    (core module $M (memory 1) (data (i32.const 65536) "x"))
    (core instance (instantiate $M)))
  "wasm trap: out of bounds memory access")

;; Memories, tables and globals go from one core instance to the next, as linked libraries need them.
(component
  (core module $Main
    (memory (export "mem") 1)
    (table (export "table") 2 funcref)
    (global (export "base") i32 (i32.const 64)))
  (core instance $main (instantiate $Main))
  (core module $Library
    (import "env" "mem" (memory 1))
    (import "env" "table" (table 2 funcref))
    (import "env" "base" (global $base i32))
    (type $f (func (result i32)))
    (elem (i32.const 1) func $answer)
    (data (i32.const 64) "*")
    (func $answer (result i32) (i32.load8_u (global.get $base)))
    (func (export "call") (param i32) (result i32) (call_indirect (type $f) (local.get 0))))
  (core instance $library (instantiate $Library (with "env" (instance $main))))
  (func (export "call") (param "at" u32) (result u32) (canon lift (core func $library "call"))))
(assert_return (invoke "call" (u32.const 1)) (u32.const 42))
(assert_trap (invoke "call" (u32.const 0)) "wasm trap: uninitialized element")
