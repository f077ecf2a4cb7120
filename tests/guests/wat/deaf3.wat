;; deaf3: sleeps an hour before it answers "late", and goes on sleeping when its task is cancelled.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "host" "context.get" (func $context.get (result i32)))
    (import "host" "context.set" (func $context.set (param i32)))
    (import "host" "set.new" (func $set.new (result i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "subtask.drop" (func $subtask.drop (param i32)))
    (import "host" "clock.wait-for" (func $wait-for (param i64) (result i32)))
    (import "lib" "start" (func $start))
    (import "lib" "put" (func $put (param i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 2048) "late")

    (func (export "handle") (param $request i32) (result i32)
      (call $context.set (call $set.new))
      (call $join (i32.shr_u (call $wait-for (i64.const 3600000000000)) (i32.const 4)) (call $context.get))
      (call $wait))

    (func (export "callback") (param $event i32) (param $which i32) (param $code i32) (result i32)
      (if (i32.eq (local.get $event) (i32.const 6)) (then (return (call $wait))))
      (call $subtask.drop (local.get $which))
      (call $start)
      (drop (call $put (i32.const 2048) (i32.const 4)))
      (call $finish)
      (i32.const 0))

    (func $wait (result i32)
      (i32.or (i32.const 2) (i32.shl (call $context.get) (i32.const 4)))))
  ;; include start.wat
  ;; include export3.wat
)
