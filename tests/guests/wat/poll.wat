;; poll: /N polls three sleeps at once, an hour, N milliseconds and an hour, and answers the index that was ready: 1.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "host" "clock.subscribe-duration" (func $subscribe-duration (param i64) (result i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $milliseconds i64)
      (local.set $milliseconds (call $number (local.get $request) (i64.const 0)))
      (i32.store (i32.const 1024) (call $subscribe-duration (i64.const 3600000000000)))
      (i32.store (i32.const 1028)
        (call $subscribe-duration (i64.mul (local.get $milliseconds) (i64.const 1000000))))
      (i32.store (i32.const 1032) (call $subscribe-duration (i64.const 3600000000000)))
      (call $poll (i32.const 1024) (i32.const 3) (i32.const 0))
      (if (i32.ne (i32.load (i32.const 4)) (i32.const 1)) (then (unreachable)))  ;; one of them
      (call $start (local.get $out))
      (call $put-number (i64.load32_u (i32.load (i32.const 0))))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
