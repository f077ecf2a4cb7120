;; trap-late3: answers with status 200 and "partial", then traps.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "lib" "start" (func $start))
    (import "lib" "put" (func $put (param i32 i32) (result i32)))
    (data (i32.const 2048) "partial")
    (func (export "handle") (param i32) (result i32)
      (call $start)
      (drop (call $put (i32.const 2048) (i32.const 7)))
      (unreachable))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
