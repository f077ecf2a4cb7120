;; hello3: answers "hello".
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "memory" "memory" (memory 1))
    (import "lib" "start" (func $start))
    (import "lib" "put" (func $put (param i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 2048) "hello")
    (func (export "handle") (param $request i32) (result i32)
      (call $request.drop (local.get $request))
      (call $start)
      (drop (call $put (i32.const 2048) (i32.const 5)))
      (call $finish)
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
