;; sleep: /N sleeps N milliseconds on the monotonic clock and answers N; without N, an hour.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "host" "clock.subscribe-duration" (func $subscribe-duration (param i64) (result i32)))
    (import "host" "pollable.block" (func $pollable.block (param i32)))
    (import "host" "pollable.drop" (func $pollable.drop (param i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $milliseconds i64) (local $pollable i32)
      (local.set $milliseconds (call $number (local.get $request) (i64.const 3600000)))
      (local.set $pollable
        (call $subscribe-duration (i64.mul (local.get $milliseconds) (i64.const 1000000))))
      (call $pollable.block (local.get $pollable))
      (call $pollable.drop (local.get $pollable))
      (call $start (local.get $out))
      (call $put-number (local.get $milliseconds))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
