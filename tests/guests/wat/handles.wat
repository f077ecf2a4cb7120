;; handles: /N makes N header collections, drops none of them, and answers N; without N it makes them for ever.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "host" "fields" (func $fields (result i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $count i64) (local $left i64)
      (local.set $count (call $number (local.get $request) (i64.const -1)))
      (local.set $left (local.get $count))
      (block $done
        (loop $make
          (br_if $done (i64.eqz (local.get $left)))
          (drop (call $fields))
          (local.set $left (i64.sub (local.get $left) (i64.const 1)))
          (br $make)))
      (call $start (local.get $out))
      (call $put-number (local.get $count))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
