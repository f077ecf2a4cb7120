;; Records and tuples: fields lie one after the other, each at its alignment; more than 16 flat parameters, and more than
;; one flat result, are passed in memory. CanonicalABI.md, "Alignment", "Element Size", "Flattening".

(component
  (core module $M
    (memory (export "mem") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      ;; as the host asks: aligned, one behind the other
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))

    ;; {u8, u64, u16}: at 0, 8 and 16; 24 bytes in all
    (func (export "flat") (param $a i32) (param $b i64) (param $c i32) (result i32)
      (i32.store8 (i32.const 64) (local.get $a))
      (i64.store (i32.const 72) (local.get $b))
      (i32.store16 (i32.const 80) (local.get $c))
      (i32.const 64))
    ;; the same as an element of a list: the second one
    (func (export "second") (param $at i32) (param $length i32) (result i32)
      (i32.add (local.get $at) (i32.const 24)))
    ;; {{u8, u8}, u32, {u16}}: at 0, 1, 4 and 8; 12 bytes
    (func (export "nested") (param $a i32) (param $b i32) (param $c i32) (param $d i32) (result i32)
      (i32.store8 (i32.const 64) (local.get $a))
      (i32.store8 (i32.const 65) (local.get $b))
      (i32.store (i32.const 68) (local.get $c))
      (i32.store16 (i32.const 72) (local.get $d))
      (i32.const 64))
    ;; 17 parameters, u8 and u32 in turn, in memory: where the last, a u8, lies
    (func (export "many") (param $at i32) (result i32)
      (i32.add
        (i32.mul (i32.load8_u (local.get $at)) (i32.const 1000))
        (i32.add (i32.mul (i32.load offset=60 (local.get $at)) (i32.const 10))
          (i32.load8_u offset=64 (local.get $at)))))
    ;; 16 are passed as they are
    (func (export "sixteen")
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.sub (local.get 15) (local.get 0)))
    (func (export "float") (param f32 f64) (result i32)
      (f32.store (i32.const 64) (local.get 0))
      (f64.store (i32.const 72) (local.get 1))
      (i32.const 64))
    (func (export "same") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $M))
  (alias core export $m "mem" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (type $r' (record (field "a" u8) (field "b" u64) (field "c" u16)))
  (export $r "r-type" (type $r'))
  (type $inner' (record (field "x" u8) (field "y" u8)))
  (export $inner "inner-type" (type $inner'))
  (type $outer' (record (field "i" $inner) (field "z" u32) (field "t" (tuple u16))))
  (export $outer "outer-type" (type $outer'))
  (type $one' (record (field "only" u32)))
  (export $one "one-type" (type $one'))
  (func (export "record") (param "r" $r) (result $r) (canon lift (core func $m "flat") (memory $mem)))
  (func (export "second") (param "l" (list $r)) (result $r)
    (canon lift (core func $m "second") (memory $mem) (realloc $realloc)))
  (func (export "nested") (param "o" $outer) (result $outer) (canon lift (core func $m "nested") (memory $mem)))
  (func (export "tuple") (param "t" (tuple f32 f64)) (result (tuple f32 f64))
    (canon lift (core func $m "float") (memory $mem)))
  ;; of one field: as flat as what is in it
  (func (export "one") (param "r" $one) (result $one) (canon lift (core func $m "same")))
  (func (export "one-in-one") (param "r" (tuple (tuple u32))) (result (tuple (tuple u32)))
    (canon lift (core func $m "same")))
  (func (export "sixteen")
    (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32) (param "f" u32) (param "g" u32)
    (param "h" u32) (param "i" u32) (param "j" u32) (param "k" u32) (param "l" u32) (param "m" u32) (param "n" u32)
    (param "o" u32) (param "p" u32) (result u32)
    (canon lift (core func $m "sixteen")))
  (func (export "many")
    (param "a" u8) (param "b" u32) (param "c" u8) (param "d" u32) (param "e" u8) (param "f" u32) (param "g" u8)
    (param "h" u32) (param "i" u8) (param "j" u32) (param "k" u8) (param "l" u32) (param "m" u8) (param "n" u32)
    (param "o" u8) (param "p" u32) (param "q" u8) (result u32)
    (canon lift (core func $m "many") (memory $mem) (realloc $realloc))))

(assert_return
  (invoke "record"
    (record.const (field "a" u8.const 1) (field "b" u64.const 0x1122334455667788) (field "c" u16.const 65535)))
  (record.const (field "a" u8.const 1) (field "b" u64.const 0x1122334455667788) (field "c" u16.const 65535)))
(assert_return
  (invoke "second" (list.const
    (record.const (field "a" u8.const 1) (field "b" u64.const 2) (field "c" u16.const 3))
    (record.const (field "a" u8.const 4) (field "b" u64.const 5) (field "c" u16.const 6))))
  (record.const (field "a" u8.const 4) (field "b" u64.const 5) (field "c" u16.const 6)))
(assert_return
  (invoke "nested" (record.const
    (field "i" record.const (field "x" u8.const 1) (field "y" u8.const 2))
    (field "z" u32.const 3) (field "t" tuple.const (u16.const 4))))
  (record.const
    (field "i" record.const (field "x" u8.const 1) (field "y" u8.const 2))
    (field "z" u32.const 3) (field "t" tuple.const (u16.const 4))))
(assert_return
  (invoke "tuple" (tuple.const (f32.const 0.5) (f64.const -0.25)))
  (tuple.const (f32.const 0.5) (f64.const -0.25)))
(assert_return (invoke "one" (record.const (field "only" u32.const 7))) (record.const (field "only" u32.const 7)))
(assert_return
  (invoke "one-in-one" (tuple.const (tuple.const (u32.const 7))))
  (tuple.const (tuple.const (u32.const 7))))
(assert_return
  (invoke "sixteen"
    (u32.const 1) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0)
    (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 0) (u32.const 16))
  (u32.const 15))
(assert_return
  (invoke "many"
    (u8.const 1) (u32.const 0) (u8.const 0) (u32.const 0) (u8.const 0) (u32.const 0) (u8.const 0) (u32.const 0)
    (u8.const 0) (u32.const 0) (u8.const 0) (u32.const 0) (u8.const 0) (u32.const 0) (u8.const 0) (u32.const 2)
    (u8.const 3))
  (u32.const 1023))
