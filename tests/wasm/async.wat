;; A component of WASI 0.3's kind, as small as can be: an asynchronous function with a callback.
(component
  (import "test:host/api" (instance $api (export "wait" (func async (param "milliseconds" u32)))))

  (core module $memory (memory (export "memory") 1) (func (export "unused")))
  (core module $main
    (import "host" "wait" (func $wait (param i32) (result i32)))
    (import "host" "return" (func $return (param i32)))
    (memory (export "memory") 1)
    (func (export "run") (param i32) (result i32)
      (drop (call $wait (local.get 0)))
      (call $return (local.get 0))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))

  (core instance $first (instantiate $memory))
  (core instance $second (instantiate $memory))
  (core func $wait (canon lower (func $api "wait") async (memory (core memory $first "memory"))))
  (core func $return (canon task.return (result u32)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "wait" (func $wait)) (export "return" (func $return))))))

  (func $run async (param "milliseconds" u32) (result u32)
    (canon lift (core func $main "run") async
      (memory (core memory $second "memory")) (callback (core func $main "callback"))))
  (instance (export "test:guest/run") (export "run" (func $run))))
