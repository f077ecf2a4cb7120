;; sleep3: /N sleeps N milliseconds on the monotonic clock and answers N, many requests at once; without N, an hour. It
;; does as it is told when its task is cancelled.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  ;; include tasks3.wat
  ;; A task's record: its set, the milliseconds, the subtask.
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "host" "context.get" (func $context.get (result i32)))
    (import "host" "set.new" (func $set.new (result i32)))
    (import "host" "set.drop" (func $set.drop (param i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "cancelled" (func $cancelled))
    (import "host" "subtask.cancel" (func $subtask.cancel (param i32) (result i32)))
    (import "host" "subtask.drop" (func $subtask.drop (param i32)))
    (import "host" "clock.wait-for" (func $wait-for (param i64) (result i32)))
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (import "tasks" "new" (func $task.new (result i32)))
    (import "tasks" "free" (func $task.free (param i32)))

    (func (export "handle") (param $request i32) (result i32)
      (local $task i32) (local $status i32)
      (local.set $task (call $task.new))
      (i32.store (local.get $task) (call $set.new))
      (i64.store offset=8 (local.get $task) (call $number (local.get $request) (i64.const 3600000)))
      (call $request.drop (local.get $request))
      ;; The state in the lowest four bits, 2 for one that has returned; above them the subtask, if there is one.
      (local.set $status (call $wait-for (i64.mul (i64.load offset=8 (local.get $task)) (i64.const 1000000))))
      (if (i32.eq (local.get $status) (i32.const 2)) (then (return (call $answer (local.get $task)))))
      (i32.store offset=16 (local.get $task) (i32.shr_u (local.get $status) (i32.const 4)))
      (call $join (i32.load offset=16 (local.get $task)) (i32.load (local.get $task)))
      (i32.or (i32.const 2) (i32.shl (i32.load (local.get $task)) (i32.const 4))))

    (func (export "callback") (param $event i32) (param $which i32) (param $code i32) (result i32)
      (local $task i32)
      (local.set $task (call $context.get))
      (if (i32.eq (local.get $event) (i32.const 6)) (then (return (call $cancel (local.get $task)))))
      (if (i32.ne (local.get $code) (i32.const 2)) (then (unreachable)))
      (call $subtask.drop (i32.load offset=16 (local.get $task)))
      (call $answer (local.get $task)))

    (func $answer (param $task i32) (result i32)
      (call $set.drop (i32.load (local.get $task)))
      (call $start)
      (call $put-number (i64.load offset=8 (local.get $task)))
      (call $finish)
      (call $task.free (local.get $task))
      (i32.const 0))

    (func $cancel (param $task i32) (result i32)
      (call $join (i32.load offset=16 (local.get $task)) (i32.const 0))
      (drop (call $subtask.cancel (i32.load offset=16 (local.get $task))))
      (call $subtask.drop (i32.load offset=16 (local.get $task)))
      (call $set.drop (i32.load (local.get $task)))
      (call $task.free (local.get $task))
      (call $cancelled)
      (i32.const 0)))
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "host" (instance $host)) (with "lib" (instance $lib))
    (with "tasks" (instance $tasks))))
  ;; include export3.wat
)
