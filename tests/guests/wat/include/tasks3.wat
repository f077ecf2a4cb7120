  ;; What guests that serve many requests at once import from "tasks": a record of 8 KiB for each task, behind the first
  ;; page of memory. The task's context holds the record's address. Freed ones are linked by their first word.
  (core module $Tasks
    (import "memory" "memory" (memory 1))
    (import "host" "context.get" (func $context.get (result i32)))
    (import "host" "context.set" (func $context.set (param i32)))
    (global $free (mut i32) (i32.const 0))
    (global $top (mut i32) (i32.const 65536))
    (func (export "new") (result i32)
      (local $task i32)
      (local.set $task (global.get $free))
      (if (local.get $task)
        (then (global.set $free (i32.load (local.get $task))))
        (else
          (local.set $task (global.get $top))
          (global.set $top (i32.add (local.get $task) (i32.const 8192)))
          (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16))) (then
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))))
      (call $context.set (local.get $task))
      (local.get $task))
    (func (export "free") (param $task i32)
      (i32.store (local.get $task) (global.get $free))
      (global.set $free (local.get $task))))
  (core instance $tasks (instantiate $Tasks (with "memory" (instance $memory)) (with "host" (instance $host))))
